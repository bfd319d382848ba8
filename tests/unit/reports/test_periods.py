"""Days, months and weeks of a tenant's zone."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.errors import PeriodInvalid
from services.reports.domain.periods import LocalDays, Period, Span, first_of_month, micros_of
from smarketing.businesstime import load_zone

_MILLENNIUM = datetime(2005, 1, 1, tzinfo=UTC)


def _days(zone: str) -> LocalDays:
    return LocalDays(load_zone(zone).info)


def test_an_evening_in_utc_is_the_next_day_in_seoul() -> None:
    late = micros_of(datetime(2026, 3, 31, 16, tzinfo=UTC))

    assert _days("Asia/Seoul").day_of(late) == date(2026, 4, 1).toordinal()
    assert _days("Etc/UTC").day_of(late) == date(2026, 3, 31).toordinal()


def test_a_period_is_half_open_at_the_zones_midnight() -> None:
    days = _days("America/New_York")
    april = Period.month(2026, 4)

    start = days.start_of(april.first)

    assert start == micros_of(datetime(2026, 4, 1, 4, tzinfo=UTC))
    assert (days.day_of(start - 1), days.day_of(start)) == (april.first - 1, april.first)


def test_a_day_on_which_midnight_is_skipped_begins_when_the_gap_ends() -> None:
    days = _days("America/Sao_Paulo")
    day = date(2018, 11, 4).toordinal()

    assert days.start_of(day) == micros_of(datetime(2018, 11, 4, 3, tzinfo=UTC))
    assert days.day_of(days.start_of(day) - 1) == day - 1


@given(
    st.sampled_from(
        ["Asia/Seoul", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
    ),
    st.integers(0, 25 * 365 * 24 * 60).map(lambda minutes: _MILLENNIUM + timedelta(minutes=minutes)),
)
def test_every_instant_lies_between_the_starts_of_its_day_and_the_next(zone: str, instant: datetime) -> None:
    days = _days(zone)
    at = micros_of(instant)

    day = days.day_of(at)

    assert days.start_of(day) <= at < days.start_of(day + 1)


def test_weeks_begin_on_monday() -> None:
    assert Period.week_of(date(2026, 3, 8)) == Period.of(date(2026, 3, 2), date(2026, 3, 9))


def test_a_long_period_is_read_as_whole_months_between_days() -> None:
    period = Period.of(date(2026, 1, 30), date(2026, 4, 2))

    assert list(period.spans()) == [
        Span(date(2026, 1, 30).toordinal(), date(2026, 2, 1).toordinal(), whole_months=False),
        Span(date(2026, 2, 1).toordinal(), date(2026, 4, 1).toordinal(), whole_months=True),
        Span(date(2026, 4, 1).toordinal(), date(2026, 4, 2).toordinal(), whole_months=False),
    ]


@given(st.dates(date(2020, 1, 1), date(2026, 1, 1)), st.integers(1, 200))
def test_spans_touch_and_cover_the_period_and_months_are_whole(start: date, length: int) -> None:
    period = Period.of(start, start + timedelta(days=length))
    spans = list(period.spans())

    assert [span.first for span in spans] == [period.first, *[span.last for span in spans[:-1]]]
    assert spans[-1].last == period.last
    for span in spans:
        if span.whole_months:
            assert (first_of_month(span.first), first_of_month(span.last)) == (span.first, span.last)


def test_a_period_without_a_day_is_refused() -> None:
    with pytest.raises(PeriodInvalid):
        Period.of(date(2026, 3, 1), date(2026, 3, 1))
