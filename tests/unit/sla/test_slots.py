"""A window's slots: each of its minutes once, and few of them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain.slots import SIZES, instant_at, last_minute_by, minute_of, slots_between
from tests.builders.sla import at

MINUTES = st.integers(min_value=25_000_000, max_value=32_000_000)
NINE = at("2026-09-21T09:00:00+00:00")


def minutes_in(after: int, until: int) -> list[int]:
    return [
        minute
        for size, first, last in slots_between(after, until)
        for minute in range((first - 1) * size + 1, last * size + 1)
    ]


@given(after=MINUTES, length=st.integers(min_value=-10, max_value=50_000))
def test_a_window_is_each_of_its_minutes_once_in_order(after: int, length: int) -> None:
    assert minutes_in(after, after + length) == list(range(after + 1, after + length + 1))


@given(after=MINUTES, days=st.integers(min_value=1, max_value=400))
def test_a_window_of_days_has_few_slots_besides_its_days(after: int, days: int) -> None:
    rows = sum(last - first + 1 for _, first, last in slots_between(after, after + days * 1440))

    minute, hour, day = SIZES
    # At both ends less than an hour of minutes and less than a day of hours.
    assert rows <= 2 * (hour // minute - 1) + 2 * (day // hour - 1) + days


def test_a_clock_counts_from_the_end_of_the_minute_in_which_it_fell_due() -> None:
    just_after = NINE + timedelta(microseconds=1)

    assert instant_at(minute_of(NINE)) == NINE
    assert instant_at(minute_of(just_after)) == NINE + timedelta(minutes=1)
    assert last_minute_by(NINE) == minute_of(NINE)
    assert last_minute_by(NINE + timedelta(seconds=59)) == minute_of(NINE)
