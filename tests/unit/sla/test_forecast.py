"""A day's misses as intervals, from inflow by hour of week and who is there; silent where little is known."""

import math
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from services.sla.domain.forecast import (
    LEAST_SETTLED,
    LEAST_WEEKS,
    Bounds,
    Forecast,
    PastDay,
    PlannedDay,
    Silence,
    forecast,
)
from smarketing.businesstime import BusinessTime

MONDAY = date(2026, 9, 21)
OFFICE = tuple(1.0 if 9 <= hour < 18 else 0.0 for hour in range(24))
CLOSED = (0.0,) * 24
STAFF = BusinessTime.of(hours=45)
"""Five people for nine hours."""


def by_hour(due: int) -> tuple[int, ...]:
    """Return so many clocks, spread over the office's hours from the first on."""
    return tuple(
        sum(1 for each in range(due) if 9 + each % 9 == hour) if 9 <= hour < 18 else 0 for hour in range(24)
    )


def a_day(back: int, due: int, missed: int, *, available: BusinessTime = STAFF) -> PastDay:
    """Return the day so many days before the Monday that is asked about; nothing falls due at weekends."""
    day = MONDAY - timedelta(days=back)
    is_open = day.weekday() < 5
    return PastDay(
        day=day,
        due_by_hour=by_hour(due if is_open else 0),
        missed=missed if is_open else 0,
        is_open=is_open,
        available=available if is_open else BusinessTime(),
    )


def weeks(count: int, due: int = 20, missed: int = 2) -> list[PastDay]:
    return [a_day(back, due, missed) for back in range(count * 7, 0, -1)]


def planned(**changed: object) -> PlannedDay:
    return replace(PlannedDay(day=MONDAY, open_by_hour=OFFICE, available=STAFF), **changed)  # type: ignore[arg-type] # forwarded as written


def told(days: list[PastDay], plan: PlannedDay | None = None) -> Forecast:
    found = forecast(days, plan or planned(), seed="test")
    assert isinstance(found, Forecast), found
    return found


def test_nothing_is_said_of_less_than_eight_weeks() -> None:
    assert forecast(weeks(LEAST_WEEKS - 1), planned(), seed="") is Silence.TOO_FEW_WEEKS
    assert isinstance(forecast(weeks(LEAST_WEEKS), planned(), seed=""), Forecast)
    assert forecast([], planned(), seed="") is Silence.TOO_FEW_WEEKS


def test_nothing_is_said_of_less_than_thirty_settled_clocks() -> None:
    quiet = [replace(each, due_by_hour=(0,) * 24, missed=0) for each in weeks(LEAST_WEEKS)]
    enough = [replace(quiet[-1], due_by_hour=by_hour(LEAST_SETTLED))]

    assert forecast(quiet, planned(), seed="") is Silence.TOO_FEW_CLOCKS
    assert isinstance(forecast(quiet[:-1] + enough, planned(), seed=""), Forecast)


def test_nothing_is_said_of_a_weekday_that_was_hardly_ever_open() -> None:
    saturday = planned(day=MONDAY + timedelta(days=5))

    assert forecast(weeks(12), saturday, seed="") is Silence.TOO_FEW_WEEKS


def test_on_a_closed_day_nothing_falls_due() -> None:
    nothing = Bounds(p10=0, p25=0, p75=0, p90=0)

    found = told(weeks(12), planned(open_by_hour=CLOSED))

    assert (found.due, found.missed) == (nothing, nothing)


def test_bounds_are_ordered_hold_the_usual_day_and_are_no_point() -> None:
    found = told(weeks(12, due=20, missed=2))

    assert found.due.p10 <= found.due.p25 < 20 < found.due.p75 <= found.due.p90
    assert found.missed.p10 <= found.missed.p25 <= 2 <= found.missed.p75 <= found.missed.p90
    assert found.missed.p10 < found.missed.p90


def test_half_of_the_days_lie_within_the_inner_bounds_and_eight_of_ten_within_the_outer() -> None:
    """Twelve weeks with twenty a day: what comes is Poisson with a rate near twenty, and nothing more."""
    due = told(weeks(12, due=20)).due

    # Whole numbers, and a rate that is not known exactly: a little more than half, and than eight of ten.
    assert 0.5 <= poisson_between(20, due.p25, due.p75) <= 0.7
    assert 0.8 <= poisson_between(20, due.p10, due.p90) <= 0.93


def poisson_between(mean: float, low: int, high: int) -> float:
    return sum(math.exp(-mean) * mean**count / math.factorial(count) for count in range(low, high + 1))


def test_half_a_day_open_has_about_half_of_the_inflow() -> None:
    whole = told(weeks(12, due=90, missed=9))
    # Of nine hours with ten clocks each the first three.
    morning = tuple(1.0 if 9 <= hour < 12 else 0.0 for hour in range(24))
    part = told(weeks(12, due=90, missed=9), planned(open_by_hour=morning))

    assert part.due.p90 < whole.due.p10
    assert part.due.p10 < 30 < part.due.p90


def test_history_that_differs_from_day_to_day_gives_wider_bounds() -> None:
    even = weeks(12, due=20)
    uneven = [a_day(back, 5 if back // 7 % 2 else 35, 2) for back in range(84, 0, -1)]

    def width(found: Forecast) -> int:
        return found.due.p90 - found.due.p10

    assert width(told(uneven)) > 1.5 * width(told(even))


def test_misses_that_came_on_few_days_give_wider_bounds_than_as_many_on_all_days() -> None:
    # As many clocks every day, and as many misses in all: six a day, or twelve in every other week.
    steady = weeks(LEAST_WEEKS, missed=6)
    in_lumps = [replace(each, missed=each.missed * (at // 7 % 2) * 2) for at, each in enumerate(steady)]
    wide, narrow = told(in_lumps).missed, told(steady).missed

    assert sum(each.missed for each in in_lumps) == sum(each.missed for each in steady)
    assert wide.p90 - wide.p10 > narrow.p90 - narrow.p10


def test_days_that_were_short_of_people_missed_more_and_so_will_such_a_day() -> None:
    few, many = BusinessTime.of(hours=9), BusinessTime.of(hours=90)
    days = [
        a_day(back, 20, 10 if back // 7 % 2 else 1, available=few if back // 7 % 2 else many)
        for back in range(84, 0, -1)
    ]
    short, well = told(days, planned(available=few)), told(days, planned(available=many))

    assert short.availability_counts
    assert short.missed.p25 > well.missed.p75


def test_availability_counts_for_nothing_where_days_were_alike_or_nobody_is_asked_for() -> None:
    assert not told(weeks(12)).availability_counts
    assert not told(weeks(12), planned(available=BusinessTime())).availability_counts


def test_the_same_history_gives_the_same_bounds() -> None:
    assert told(weeks(12)) == told(weeks(12))


def test_eight_of_ten_days_fall_between_the_outer_bounds() -> None:
    """Whatever made the days: here leads come as Poisson, and one in ten is missed."""
    dice = Random(7)
    held = 0
    for _ in range(20):
        days = [a_day(back, *_drawn(dice)) for back in range(84, 0, -1)]
        found = told(days)
        _, missed = _drawn(dice)
        held += found.missed.p10 <= missed <= found.missed.p90
    # Of 20 days at 0.8, ten or fewer are held in three histories of a thousand; counts are whole numbers,
    # so that more than eight of ten lie on the bounds or between them.
    assert held > 10


def _drawn(dice: Random) -> tuple[int, int]:
    due, waited = 0, dice.expovariate(1.0)
    while waited < 20:
        due += 1
        waited += dice.expovariate(1.0)
    return due, sum(dice.random() < 0.1 for _ in range(due))
