"""Estimators that count those who still wait, and intervals for shares.

A curve is Aalen–Johansen's cumulative incidence of the answer. Where nothing else ends the waiting it is
one minus Kaplan and Meier's survival, figure for figure; where something does (a rejection before any
follow-up), that exit is an outcome of its own and never treated as if the answer were still to come.
"""

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["Curve", "Interval", "Outcome", "Point", "estimate", "estimate_counted", "fixed_horizon", "wilson"]

_Z95: Final = 1.959963984540054


class Outcome(enum.IntEnum):
    """How the waiting of one item stands."""

    ANSWERED = 0
    EXITED = 1
    WAITING = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


class Point(NamedTuple):
    """The curve from one duration on."""

    duration: int
    """Microseconds since the start."""
    answered: float
    """Share answered by then."""
    survival: float
    """Share that is neither answered nor gone."""
    at_risk: int
    """Items that still waited just before."""
    variance: float
    """Greenwood's sum up to here, of all that ended the waiting."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Answered shares over time; points only where something ended."""

    points: tuple[Point, ...]
    item_count: int
    waiting_count: int
    exited_count: int

    def quantile(self, share: float) -> int | None:
        """Return the least duration by which `share` were answered; None when the curve never gets there."""
        # Sums of floats must not miss a level that they reach exactly in arithmetic.
        wanted = share - 1e-12
        return next((point.duration for point in self.points if point.answered >= wanted), None)

    def survival_interval(self, duration: int) -> Interval | None:
        """Return Greenwood's interval for the share still waiting at `duration`, on the log-log scale.

        None before the first end of waiting and where nobody waits any more: the scale ends there.
        """
        reached = [point for point in self.points if point.duration <= duration]
        if not reached or not 0 < reached[-1].survival < 1:
            return None
        last = reached[-1]
        log_survival = math.log(last.survival)
        half = _Z95 * math.sqrt(last.variance) / -log_survival
        center = math.log(-log_survival)
        return Interval(math.exp(-math.exp(center + half)), math.exp(-math.exp(center - half)))

    def thinned(self, limit: int) -> tuple[Point, ...]:
        """Return at most `limit` points for a chart, first and last among them."""
        if len(self.points) <= limit:
            return self.points
        step = (len(self.points) - 1) / (limit - 1)
        return tuple(self.points[round(number * step)] for number in range(limit))


def estimate(items: Iterable[tuple[int, Outcome]]) -> Curve:
    """Return the curve of these (duration, outcome) items; durations in microseconds, in any order.

    Items that end at the same instant are one step, those that wait until then still at risk in it.
    """
    return estimate_counted((duration, outcome, 1) for duration, outcome in items)


def estimate_counted(items: Iterable[tuple[int, Outcome, int]]) -> Curve:
    """Return the curve of so many items each of a duration and outcome."""
    steps: dict[int, list[int]] = {}
    for duration, outcome, number in items:
        step = steps.get(duration)
        if step is None:
            step = steps[duration] = [0, 0, 0]
        step[outcome] += number
    points: list[Point] = []
    item_count = at_risk = sum(map(sum, steps.values()))
    survival, answered, variance = 1.0, 0.0, 0.0
    for duration in sorted(steps):
        answered_here, exited_here, waiting_here = steps[duration]
        ended = answered_here + exited_here
        if ended:
            answered += survival * answered_here / at_risk
            # All who are left end together: survival is zero, not a rounding of it.
            survival = survival * (at_risk - ended) / at_risk
            variance += ended / (at_risk * (at_risk - ended)) if at_risk > ended else math.inf
            points.append(Point(duration, answered, survival, at_risk, variance))
        at_risk -= ended + waiting_here
    waiting_count = sum(step[Outcome.WAITING] for step in steps.values())
    exited_count = sum(step[Outcome.EXITED] for step in steps.values())
    return Curve(tuple(points), item_count, waiting_count, exited_count)


def wilson(numerator: int, denominator: int) -> Interval | None:
    """Return Wilson's 95 % interval of a share; None where there is nothing to divide by."""
    if denominator == 0:
        return None
    share, z2 = numerator / denominator, _Z95 * _Z95
    stretch = 1 + z2 / denominator
    center = (share + z2 / (2 * denominator)) / stretch
    inner = share * (1 - share) / denominator + z2 / (4 * denominator * denominator)
    half = _Z95 * math.sqrt(inner) / stretch
    return Interval(max(0.0, center - half), min(1.0, center + half))


def fixed_horizon(items: Sequence[tuple[int, Outcome, int]], horizon: int) -> tuple[int, int]:
    """Return how many were answered within `horizon`, and of how many: those started at least so long ago.

    An item is its duration, its outcome and its age, all in microseconds.
    """
    observed = [(duration, outcome) for duration, outcome, age in items if age >= horizon]
    answered = sum(outcome is Outcome.ANSWERED and duration <= horizon for duration, outcome in observed)
    return answered, len(observed)
