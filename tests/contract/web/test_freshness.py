"""Since when a log is known to be folded in whole, and what a choice of days means."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta

import pytest

from services.reports.domain.periods import Period
from services.reports.web.choices import Choice, PeriodChoice
from services.reports.web.freshness import Freshness, HeardSource
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.feed import FeedBatch


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


class _Told:
    """A source that tells what it was given."""

    def __init__(self, batches: Sequence[FeedBatch]) -> None:
        self._batches = batches

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        del log_id, after
        for batch in self._batches:
            yield batch

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        del log_id, after, limit
        return self._batches[0]


def _batch(*positions: int, head: int) -> FeedBatch:
    return FeedBatch("log", [eventlogpb.Event(position=position) for position in positions], head)


async def _age_after(batches: Sequence[FeedBatch], *, after: int = 0) -> timedelta:
    """Return the age once all was folded in, ten seconds for each batch."""
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    source = HeardSource(_Told(batches), "leads", freshness)
    async with aclosing(source.follow(log_id="log", after=after)) as heard:
        async for _ in heard:
            clock.pass_by(10)
    return freshness.age()


async def test_a_quiet_log_that_still_says_where_it_ends_is_not_stale() -> None:
    assert await _age_after([_batch(1, 2, head=2), _batch(head=2), _batch(head=2)]) == timedelta()


async def test_a_log_that_runs_ahead_grows_stale_although_events_arrive() -> None:
    ahead = [_batch(1, head=1), _batch(2, head=90), _batch(3, head=90)]

    assert await _age_after(ahead) == timedelta(seconds=20)


async def test_events_of_an_earlier_run_count_as_folded_in() -> None:
    assert await _age_after([_batch(head=7)], after=7) == timedelta()


async def test_what_is_handed_out_and_not_folded_in_yet_does_not_count() -> None:
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    source = HeardSource(_Told([_batch(1, head=1)]), "leads", freshness)
    async with aclosing(source.follow(log_id="log", after=0)) as heard:
        await anext(heard)
        clock.pass_by(70)

        assert freshness.age() == timedelta(seconds=70)


async def test_who_looks_on_at_a_busy_log_is_as_current_as_it_was_at_the_head_it_has_reached_since() -> None:
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    source = HeardSource(_Told([_batch(head=10)]), "leads", freshness)
    await source.read(log_id="log", after=4, limit=1)
    clock.pass_by(5)
    await source.read(log_id="log", after=9, limit=1)
    assert freshness.complete_until() is None, "nobody has folded in what was there at first"
    clock.pass_by(5)
    source._source = _Told([_batch(head=20)])
    await source.read(log_id="log", after=12, limit=1)
    clock.pass_by(1)

    assert freshness.age() == timedelta(seconds=6)


def test_of_a_log_that_does_not_count_nothing_is_noted() -> None:
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    freshness.current("leads.0of2")
    clock.pass_by(70)
    freshness.current("leads")

    assert freshness.age() == timedelta()


def test_the_log_that_is_furthest_behind_decides() -> None:
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    freshness.expect("sla")
    clock.pass_by(30)
    freshness.current("leads")

    assert freshness.age() == timedelta(seconds=30)


def test_nothing_is_complete_before_each_log_was_current_once() -> None:
    clock = _Clock()
    freshness = Freshness(clock)
    freshness.expect("leads")
    freshness.expect("sla")
    freshness.current("leads")
    began = clock.now
    assert freshness.complete_until() is None

    clock.pass_by(5)
    freshness.current("sla")
    assert freshness.complete_until() == began


@pytest.mark.parametrize(
    ("choice", "first", "last"),
    [
        (Choice.THIS_MONTH, date(2024, 2, 1), date(2024, 3, 1)),
        (Choice.LAST_MONTH, date(2024, 1, 1), date(2024, 2, 1)),
        (Choice.LAST_30_DAYS, date(2024, 1, 31), date(2024, 3, 1)),
        (Choice.THIS_QUARTER, date(2024, 1, 1), date(2024, 4, 1)),
    ],
)
def test_choices_are_whole_days_and_today_is_among_them(choice: Choice, first: date, last: date) -> None:
    leap_day = date(2024, 2, 29).toordinal()

    assert PeriodChoice(choice).on(leap_day) == Period.of(first, last)


def test_last_month_in_january_and_the_quarter_in_december_stay_in_their_years() -> None:
    assert PeriodChoice(Choice.LAST_MONTH).on(date(2026, 1, 31).toordinal()) == Period.month(2025, 12)
    december = date(2026, 12, 31)
    assert PeriodChoice(Choice.THIS_QUARTER).on(december.toordinal()) == Period.of(
        date(2026, 10, 1), date(2027, 1, 1)
    )
