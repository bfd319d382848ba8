"""Due instants beyond the years that somebody looked through, and what becomes of them once somebody does."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.sla.domain.course import Outcome
from services.sla.domain.holidays import HolidayReview, Published
from services.sla.domain.terms import Target
from services.sla.store.moves import find_move
from services.sla.usecases.moving import move_batch
from services.sla.usecases.planning import (
    ActivateHolidays,
    ProposeHolidays,
    activate_holidays,
    propose_holidays,
)
from services.sla.usecases.provisional import provisional
from tests.builders.sla_engine import SALES_MANAGER, TENANT, Engine, a_promise, hours, some_terms

DECEMBER_30 = datetime(2026, 12, 30, 0, 0, tzinfo=UTC)
"""Nine o'clock in Seoul, a Wednesday: the office opens for nine hours on it, on Thursday, and on Friday."""
NEW_YEAR = date(2027, 1, 1)


def review(engine: Engine, year: int, *holidays: date) -> HolidayReview:
    """Draw a year's list up and put it in force."""
    titles = tuple((day, "Holiday") for day in holidays)
    published = Published(year=year, country="KR", subdivision="", titles=titles, lists_version="lists 1")
    wanted = ProposeHolidays(tenant="default", calendar="office", published=published, actor=SALES_MANAGER)
    (proposed,) = engine._act(propose_holidays, [wanted])
    name = f"{TENANT}/calendars/office/holidayReviews/{year}"
    request = ActivateHolidays(name=name, etag=proposed.etag, declined=(), added=(), actor=SALES_MANAGER)
    (answer,) = engine._act(activate_holidays, [request])
    assert isinstance(answer, HolidayReview)
    return answer


def move(engine: Engine, *, limit: int = 200) -> list[int]:
    """Move what is to be moved, each batch in a transaction of its own; return how many were looked at."""
    found: list[int] = []
    while True:
        engine.restart()
        with engine.database.writer_engine.begin() as connection:
            done = move_batch(connection, engine.archive, limit, now=engine.now)
        if done is None:
            return found
        found.append(done)


def handoffs(count: int) -> Sequence[str]:
    return [f"{TENANT}/leads/l{number}/handoffs/1" for number in range(count)]


@pytest.fixture
def engine() -> Engine:
    """Promise three days of nine hours, from the thirtieth of December on."""
    engine = Engine(now=DECEMBER_30)
    review(engine, 2026)
    move(engine)
    engine.agree(some_terms(a_promise(targets=(Target(amount=hours(20)),))))
    return engine


def at(day: int, hour: int, month: int = 1) -> datetime:
    """Return an hour in Seoul."""
    return datetime(2027 if month == 1 else 2026, month, day, hour - 9, tzinfo=UTC)


def test_a_clock_due_in_a_year_that_is_then_looked_through_counts_by_its_holidays(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    # Eighteen hours on the thirtieth and the thirty-first, two on Friday.
    assert engine.clock().due_time == at(1, 11)
    active = review(engine, 2027, NEW_YEAR)
    assert engine.clock().due_time == at(1, 11)
    move(engine)

    # On Monday then.
    assert (engine.clock().due_time, engine.clock().calendar_version) == (at(4, 11), active.calendar_version)
    kinds: dict[str, Any] = dict(engine.log())
    said = kinds["ClockReassessed"]
    assert (said.principal, said.previous_due_time.ToDatetime(tzinfo=UTC)) == (SALES_MANAGER, at(1, 11))
    assert kinds["ClockReassigned"].clock.due_time.ToDatetime(tzinfo=UTC) == at(4, 11)
    engine.now = at(4, 10)
    engine.sweep()
    assert engine.clock().outcome is Outcome.RUNNING


def is_provisional(engine: Engine) -> bool:
    clocks = engine.clocks()
    with engine.database.reading() as connection:
        return bool(provisional(connection, engine.archive, clocks))


def test_a_due_instant_beyond_the_last_reviewed_year_is_provisional_until_that_is_reviewed(
    engine: Engine,
) -> None:
    engine.submit()
    engine.assign()
    assert is_provisional(engine)
    review(engine, 2027, NEW_YEAR)
    move(engine)
    assert not is_provisional(engine)


def test_the_year_of_a_due_instant_is_that_of_the_calendars_zone(engine: Engine) -> None:
    engine.agree(some_terms(a_promise(targets=(Target(amount=hours(18)),))))
    engine.submit()
    engine.assign()

    assert engine.clock().due_time == at(31, 18, month=12)
    assert not is_provisional(engine)


def test_what_was_done_or_missed_is_provisional_no_more(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    engine.follow_up()

    assert not is_provisional(engine)


def test_in_a_calendar_of_which_no_year_was_ever_looked_through_nothing_is_provisional() -> None:
    engine = Engine(now=DECEMBER_30)
    engine.agree(some_terms(a_promise(targets=(Target(amount=hours(20)),))))
    engine.submit()
    engine.assign()

    assert not is_provisional(engine)


def test_a_clock_that_is_due_before_that_year_stays_in_the_calendar_it_started_in(engine: Engine) -> None:
    engine.agree(some_terms(a_promise(targets=(Target(amount=hours(9)),))))
    engine.submit()
    engine.assign()
    before = engine.clock()
    review(engine, 2027, NEW_YEAR)
    move(engine)

    assert before.due_time == at(30, 18, month=12)
    assert engine.clock() == before


def test_a_year_that_was_looked_through_before_moves_no_clock(engine: Engine) -> None:
    review(engine, 2027)
    engine.submit()
    engine.assign()
    before = engine.clock()
    review(engine, 2027, NEW_YEAR)
    move(engine)

    assert engine.clock() == before


def test_clocks_are_moved_once_each_in_batches_that_go_on_after_a_restart(engine: Engine) -> None:
    for handoff in handoffs(5):
        engine.submit(handoff)
        engine.assign(handoff)
    review(engine, 2027, NEW_YEAR)

    # Whoever is moved behind the place that was reached is looked at once more, and not moved again.
    assert max(move(engine, limit=2)) == 2
    assert {clock.due_time for clock in engine.clocks()} == {at(4, 11)}
    assert engine.said().count("ClockReassessed") == 5
    with engine.database.reading() as connection:
        assert find_move(connection) is None
    assert move(engine) == []
