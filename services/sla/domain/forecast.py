"""How many clocks may fall due and be missed on one day: from inflow by hour of week, and who is there.

The clocks due on a day are Poisson with a rate common to its weekday, times a busyness that all hours of a
day share (Whitt 1999; Avramidis, Deslauriers and L'Ecuyer 2004): the gamma posterior of the weekday's rate,
of which the hours that are open on the day have their part. The share missed is beta with Jeffreys' prior
(Brown, Cai and DasGupta 2001), varying from day to day by the moments of Kleinman (1973), and is taken from
the lighter or the heavier half of the past days, by clocks due for each hour that somebody was there.
Both are drawn many times over; the bounds are quantiles of the draws, the same for the same history.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from random import Random
from statistics import fmean, median

from smarketing.businesstime import BusinessTime

LEAST_WEEKS = 8
LEAST_SETTLED = 30
_DRAWS = 2_000
_DAYS_OF_A_BAND = 10
_LOADS_APART = 1.25
"""By which factor the heavier half of the days must exceed the lighter one for availability to count."""
_HALF = 0.5
"""Jeffreys' prior, of the gamma's shape and of both sides of the beta."""
_LARGE = 25.0
"""From here on a normal distribution is as good."""
_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDay:
    """A local day: clocks due by its hours that were settled, those missed, and the time people had."""

    day: date
    due_by_hour: tuple[int, ...]
    missed: int
    is_open: bool
    """Whether clocks could fall due at all."""
    available: BusinessTime

    @property
    def due(self) -> int:
        """All hours together."""
        return sum(self.due_by_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDay:
    """The day that is asked about: which part of each hour is open, and the time people will have."""

    day: date
    open_by_hour: tuple[float, ...]
    available: BusinessTime


class Silence(Enum):
    """Why nothing is said."""

    TOO_FEW_WEEKS = "TOO_FEW_WEEKS"
    TOO_FEW_CLOCKS = "TOO_FEW_CLOCKS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Quantiles: 10, 25, 75 and 90 in a hundred."""

    p10: int
    p25: int
    p75: int
    p90: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a day may bring."""

    due: Bounds
    missed: Bounds
    availability_counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one commitment may bring on a day, and how much is known of it.

    `known_due` counts clocks that have started already; `available` is what people have for the day.
    """

    day: date
    agreement: str
    commitment_id: str
    weeks: int
    settled: int
    outcome: Forecast | Silence
    known_due: int
    available: BusinessTime


def forecast(days: Sequence[PastDay], planned: PlannedDay, *, seed: str) -> Forecast | Silence:
    """Return the bounds for a day; `days` are whole weeks up to now.

    Pure: the same history and seed give the same bounds. Nothing is said from less than eight weeks in which
    the day's weekday was open, or from less than thirty settled clocks.
    """
    alike = [each for each in days if each.day.weekday() == planned.day.weekday() and each.is_open]
    is_closed = not any(planned.open_by_hour)
    if len(days) // 7 < LEAST_WEEKS or (len(alike) < LEAST_WEEKS // 2 and not is_closed):
        return Silence.TOO_FEW_WEEKS
    if sum(each.due for each in days) < LEAST_SETTLED:
        return Silence.TOO_FEW_CLOCKS
    bands = _bands(days, planned)
    # Nobody has to keep the numbers secret: equal questions are to have equal answers.
    dice = Random(seed)  # noqa: S311 - as above
    inflow = _inflow(days, alike, planned)
    drawn = [_draw(dice, inflow, planned.available, bands) for _ in range(_DRAWS)]
    return Forecast(
        due=_bounds(sorted(due for due, _ in drawn)),
        missed=_bounds(sorted(missed for _, missed in drawn)),
        availability_counts=bands.limit is not None,
    )


@dataclass(frozen=True, slots=True)
class _Share:
    """The missed share of some days: what was seen, and how alike its days are (None: as one)."""

    due: int
    missed: int
    alike: float | None


@dataclass(frozen=True, slots=True)
class _Bands:
    """The share missed by load; without a limit all days are one band, given twice."""

    light: _Share
    heavy: _Share
    limit: float | None

    def of(self, due: int, available: BusinessTime) -> _Share:
        if self.limit is None:
            return self.light
        return self.heavy if _load(due, available) > self.limit else self.light


@dataclass(frozen=True, slots=True)
class _Inflow:
    """What falls due on a day: the gamma of its rate, and how days differ (None: as Poisson alone)."""

    shape: float
    scale: float
    busyness: float | None


def _inflow(days: Sequence[PastDay], alike: Sequence[PastDay], planned: PlannedDay) -> _Inflow:
    part = _open_part(alike, planned) if alike else 0.0
    if not part:
        return _Inflow(_HALF, 0.0, None)
    return _Inflow(_HALF + sum(each.due for each in alike), part / len(alike), _busyness(days))


def _draw(dice: Random, inflow: _Inflow, available: BusinessTime, bands: _Bands) -> tuple[int, int]:
    if not inflow.scale:
        return 0, 0
    rate = dice.gammavariate(inflow.shape, inflow.scale)
    if inflow.busyness is not None:
        rate *= dice.gammavariate(inflow.busyness, 1 / inflow.busyness)
    due = _poisson(dice, rate)
    share = bands.of(due, available)
    missed = dice.betavariate(_HALF + share.missed, _HALF + share.due - share.missed)
    if share.alike is not None and 0 < missed < 1:
        missed = dice.betavariate(missed * share.alike, (1 - missed) * share.alike)
    return due, _binomial(dice, due, missed)


def _open_part(alike: Sequence[PastDay], planned: PlannedDay) -> float:
    """Return which part of the weekday's inflow falls into the hours that are open on the day."""
    by_hour = [sum(each.due_by_hour[hour] for each in alike) for hour in range(len(planned.open_by_hour))]
    total = sum(by_hour)
    if not total:
        return fmean(planned.open_by_hour)
    within = [count * part for count, part in zip(by_hour, planned.open_by_hour, strict=True)]
    return sum(within) / total


def _busyness(days: Sequence[PastDay]) -> float | None:
    """Return the shape of the factor common to a day's hours; None when days differ no more than Poisson."""
    excess, weight = 0.0, 0.0
    for weekday in range(7):
        counts = [each.due for each in days if each.day.weekday() == weekday and each.is_open]
        if len(counts) < 2 or not any(counts):
            continue
        mean = fmean(counts)
        # One is lost to the mean.
        excess += sum((count - mean) ** 2 for count in counts) - (len(counts) - 1) * mean
        weight += (len(counts) - 1) * mean * mean
    return weight / excess if excess > 0 else None


def _bands(days: Sequence[PastDay], planned: PlannedDay) -> _Bands:
    whole = _share(days)
    loads = {each.day: _load(each.due, each.available) for each in days if each.due}
    if len(loads) < 2 * _DAYS_OF_A_BAND or not planned.available or math.inf in loads.values():
        return _Bands(whole, whole, None)
    limit = median(loads.values())
    light = [each for each in days if loads.get(each.day, math.inf) <= limit]
    heavy = [each for each in days if limit < loads.get(each.day, 0.0)]
    if not heavy or _mean_load(heavy) < _LOADS_APART * _mean_load(light):
        return _Bands(whole, whole, None)
    return _Bands(_share(light), _share(heavy), limit)


def _mean_load(days: Sequence[PastDay]) -> float:
    return fmean(_load(each.due, each.available) for each in days)


def _load(due: int, available: BusinessTime) -> float:
    return due / (available.microseconds / _HOUR_US) if available else math.inf


def _share(days: Sequence[PastDay]) -> _Share:
    due, missed = sum(each.due for each in days), sum(each.missed for each in days)
    share = missed / due if due else 0.0
    spread = share * (1 - share)
    excess = sum((each.missed - each.due * share) ** 2 - each.due * spread for each in days)
    pairs = sum(each.due * (each.due - 1) for each in days) * spread
    alike = None
    if excess > 0 and pairs > 0:
        correlation = min(excess / pairs, 0.99)
        alike = 1 / correlation - 1
    return _Share(due, missed, alike)


def _bounds(drawn: Sequence[int]) -> Bounds:
    def at(percent: int) -> int:
        return drawn[min(len(drawn) - 1, len(drawn) * percent // 100)]

    return Bounds(p10=at(10), p25=at(25), p75=at(75), p90=at(90))


def _poisson(dice: Random, mean: float) -> int:
    if mean > _LARGE:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    count, left = 0, dice.expovariate(1.0)
    while left < mean:
        count += 1
        left += dice.expovariate(1.0)
    return count


def _binomial(dice: Random, count: int, share: float) -> int:
    if share > _HALF:
        return count - _binomial(dice, count, 1 - share)
    if count * share * (1 - share) > _LARGE:
        drawn = round(dice.gauss(count * share, math.sqrt(count * share * (1 - share))))
        return min(max(drawn, 0), count)
    return sum(dice.random() < share for _ in range(min(count, 100_000)))
