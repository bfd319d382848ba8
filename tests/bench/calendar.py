"""Business time beside pandas CustomBusinessHour and businesstimedelta: the same questions, in one run.

The calendar is one that all three can say: a zone without daylight saving, Monday to Friday nine to six, and
holidays. No answer lies on closing time, which pandas reads as the next opening: starts are never on the
hour, and no amount is a number of whole days. Everybody is handed values of their own types, made before.
"""

import operator
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from importlib.util import find_spec
from random import Random
from statistics import median
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from smarketing.businesstime import BusinessTime, Calendar, Openings, from_us, to_us

Figures = dict[str, Any]
Question = tuple[datetime, int]
"""A start, and hours of open time."""

ZONE = ZoneInfo("Asia/Seoul")
HOLIDAYS = ("2026-01-01", "2026-02-16", "2026-02-17", "2026-02-18", "2026-09-24", "2026-09-25", "2026-12-25")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
FIRST = datetime(2026, 1, 5, tzinfo=UTC)
AMOUNTS = [hours for hours in range(1, 41) if hours % 9]
ROUNDS = 5
OURS, THEIRS, BATCH = 50_000, 300, 1_000_000
HOUR_US = 3_600_000_000


def calendar() -> Figures:
    """One `add` or `between` beside pandas and businesstimedelta, a million at once, an hour and a year."""
    openings = Openings(
        Calendar.of("Asia/Seoul", {day: [["09:00", "18:00"]] for day in WEEKDAYS}, holidays=HOLIDAYS)
    )
    random = Random(26)
    questions = [(_a_start(random), random.choice(AMOUNTS)) for _ in range(THEIRS)]
    rivals = {name: make() for name, make in RIVALS.items() if find_spec(name) is not None}
    absent = [f"{name} is not installed: left out" for name in RIVALS if name not in rivals]
    _same(openings, questions, rivals)
    rounds = [_round(openings, questions, rivals, random) for _ in range(ROUNDS)]
    cost = {name: median(each[name] for each in rounds) for name in rounds[0]}
    ratios = {name: median(each) for name, each in _ratios(rounds).items()}
    lines = [f"{name.replace('_', ' '):32} {value:>10.3f} µs" for name, value in cost.items()]
    return {
        "us_per_item": cost,
        "lines": [*lines, *absent],
        "ratios": ratios,
        "goals": {name: goal for name, goal in GOALS.items() if name in ratios},
    }


GOALS = {
    "add_to_pandas": 100.0,
    "add_to_businesstimedelta": 200.0,
    "between_to_businesstimedelta": 200.0,
    "add_batch_to_one": 5.0,
    "between_batch_to_one": 5.0,
    # Flat: an hour's cost over a year's. An hour inside one window takes one search, everything else two.
    "add_hour_to_year": 0.5,
    "between_hour_to_year": 0.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another library with the same calendar: how it says a start and an amount, and what it is asked.

    `due` reads an answer of `start + amount` as an instant. pandas has nothing like `between`.
    """

    start: Callable[[datetime], Any]
    amount: Callable[[int], Any]
    due: Callable[[Any], datetime]
    between: Callable[[datetime, datetime], Any] | None = None


def _pandas() -> Rival:
    import pandas as pd  # type: ignore[import-untyped]  # it says no types

    hours = {
        n: pd.offsets.CustomBusinessHour(n, start="09:00", end="18:00", holidays=list(HOLIDAYS))
        for n in AMOUNTS
    }
    return Rival(
        start=lambda start: pd.Timestamp(start.astimezone(ZONE).replace(tzinfo=None)),
        amount=hours.__getitem__,
        due=lambda local: local.to_pydatetime().replace(tzinfo=ZONE),
    )


def _businesstimedelta() -> Rival:
    import businesstimedelta as other  # type: ignore[import-untyped]  # it says no types
    import pytz  # type: ignore[import-untyped]  # it says no types

    zone = pytz.timezone("Asia/Seoul")
    days = other.WorkDayRule(time(9), time(18), working_days=[0, 1, 2, 3, 4], tz=zone)
    off = other.HolidayRule({datetime.fromisoformat(day).date() for day in HOLIDAYS}, tz=zone)
    rules = other.Rules([days, off])
    return Rival(
        start=lambda start: start,
        amount=lambda hours: other.BusinessTimeDelta(rules, hours=hours),
        due=lambda due: due,
        between=rules.difference,
    )


RIVALS: dict[str, Callable[[], Rival]] = {"pandas": _pandas, "businesstimedelta": _businesstimedelta}


def _a_start(random: Random) -> datetime:
    day = FIRST + timedelta(days=random.randrange(250))
    return day + timedelta(hours=random.randrange(24), minutes=random.randint(1, 59))


def _same(openings: Openings, questions: Sequence[Question], rivals: dict[str, Rival]) -> None:
    """Refuse to measure what answers differently."""
    for start, hours in questions:
        due = openings.add(start, BusinessTime.of(hours=hours))
        for name, rival in rivals.items():
            theirs = rival.due(rival.start(start) + rival.amount(hours))
            if theirs != due:
                raise RuntimeError(f"{name} adds {hours} h to {start} and gets {theirs}, not {due}")
            if rival.between is not None:
                counted = rival.between(start, due + timedelta(minutes=1)).timedelta
                ours = openings.between(start, due + timedelta(minutes=1))
                if counted != timedelta(microseconds=ours.microseconds):
                    raise RuntimeError(f"{name} counts {counted} after {start}, not {ours}")


def _round(
    openings: Openings, questions: Sequence[Question], rivals: dict[str, Rival], random: Random
) -> Figures:
    """Measure everything once, one after the other, in microseconds an item."""
    asked = [(to_us(start), hours * HOUR_US) for start, hours in questions] * (OURS // THEIRS)
    spans = [(start, openings.add_us(start, amount)) for start, amount in asked]
    cost = {
        "one_add": _asked(openings.add_us, asked),
        "one_between": _asked(openings.between_us, spans),
        **_with_datetimes(openings, questions),
        **_spans(openings, [start for start, _ in asked]),
        **_batches(openings, random),
    }
    for name, rival in rivals.items():
        theirs = [(rival.start(start), rival.amount(hours)) for start, hours in questions]
        cost[f"{name}_add"] = _asked(operator.add, theirs)
        if rival.between is not None:
            pairs = [(from_us(start), from_us(end)) for start, end in spans[: len(questions)]]
            cost[f"{name}_between"] = _asked(rival.between, pairs)
    return cost


def _with_datetimes(openings: Openings, questions: Sequence[Question]) -> Figures:
    asked = [(start, BusinessTime.of(hours=hours)) for start, hours in questions] * 20
    return {"one_add_of_datetimes": _asked(openings.add, asked)}


def _spans(openings: Openings, starts: Sequence[int]) -> Figures:
    """The same number of questions over an hour and over a year: of open time, and on the wall."""
    year = 250 * 9 * HOUR_US
    openings.add_us(max(starts), year)
    hour, longest = [(at, at + HOUR_US) for at in starts], [(at, at + 365 * 24 * HOUR_US) for at in starts]
    return {
        "add_of_an_hour": _asked(openings.add_us, [(at, HOUR_US) for at in starts]),
        "add_of_a_year": _asked(openings.add_us, [(at, year) for at in starts]),
        "between_over_an_hour": _asked(openings.between_us, hour),
        "between_over_a_year": _asked(openings.between_us, longest),
    }


def _batches(openings: Openings, random: Random) -> Figures:
    first = to_us(FIRST)
    starts = array("q", (first + random.randrange(250 * 24 * HOUR_US) for _ in range(BATCH)))
    ends = array("q", (start + 100 * HOUR_US for start in starts))
    return {
        "add_in_a_batch": _timed(lambda: openings.add_many_us(starts, 8 * HOUR_US), BATCH),
        "between_in_a_batch": _timed(lambda: openings.between_many_us(starts, ends), BATCH),
    }


def _asked(ask: Callable[..., object], questions: Sequence[tuple[Any, ...]]) -> float:
    return _timed(lambda: [ask(*each) for each in questions], len(questions))


def _timed(work: Callable[[], object], items: int) -> float:
    began = perf_counter()
    work()
    return (perf_counter() - began) / items * 1e6


def _ratios(rounds: Sequence[Figures]) -> dict[str, list[float]]:
    """Return every ratio, round by round: only what was measured together is compared."""
    parts = {
        "add_to_pandas": ("pandas_add", "one_add"),
        "add_to_businesstimedelta": ("businesstimedelta_add", "one_add"),
        "between_to_businesstimedelta": ("businesstimedelta_between", "one_between"),
        "add_batch_to_one": ("one_add", "add_in_a_batch"),
        "between_batch_to_one": ("one_between", "between_in_a_batch"),
        "add_hour_to_year": ("add_of_an_hour", "add_of_a_year"),
        "between_hour_to_year": ("between_over_an_hour", "between_over_a_year"),
        "add_of_datetimes_to_pandas": ("pandas_add", "one_add_of_datetimes"),
        "add_of_datetimes_to_businesstimedelta": ("businesstimedelta_add", "one_add_of_datetimes"),
    }
    return {
        name: [each[over] / each[under] for each in rounds]
        for name, (over, under) in parts.items()
        if over in rounds[0]
    }
