"""Running clocks under a newer edition of the zone rules than the one they were planned by (F43)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.sla.domain.course import Outcome
from services.sla.store import schema
from services.sla.store.calendars import add_calendar, calendars_of_older_editions
from services.sla.usecases.replay import Replayer
from smarketing.businesstime import tzdata_version
from smarketing.sql import Writer
from tests.builders.sla_engine import Engine, a_promise, some_terms
from tests.unit.sla_engine.test_pausing import HOLIDAY, Desk
from tests.unit.sla_engine.test_reviewed_years import handoffs

HOUR = timedelta(hours=1)


@pytest.fixture
def engine() -> Engine:
    """Give two clocks that run."""
    engine = Engine()
    engine.agree(some_terms(a_promise()))
    for handoff in handoffs(2):
        engine.submit(handoff)
        engine.assign(handoff)
    return engine


def by_an_older_edition(engine: Engine, *, ends_later: str) -> None:
    """Leave what a build with older rules would have: by them one zone was an hour behind at the end."""
    clock = schema.clock
    with engine.database.writer_engine.begin() as connection:
        connection.execute(update(schema.calendar_version).values(tzdata_version="2020a"))
        due = connection.execute(select(clock.c.due_time).where(clock.c.handoff == ends_later)).scalar_one()
        connection.execute(update(clock).where(clock.c.handoff == ends_later).values(due_time=due + HOUR))
    engine.restart()


async def started(engine: Engine) -> int:
    """Do what a process does when it starts; return how much there was to look at."""
    async with Writer(engine.database, now=lambda: engine.now) as writer:
        return await Replayer(writer, engine.archive).replay()


def editions(engine: Engine) -> list[str]:
    table = schema.calendar_version
    with engine.database.reading() as connection:
        return list(connection.execute(select(table.c.tzdata_version).order_by(table.c.version)).scalars())


async def test_a_clock_that_new_rules_end_at_another_instant_is_planned_anew_and_says_why(
    engine: Engine,
) -> None:
    planned = {clock.handoff: clock for clock in engine.clocks()}
    one, other = handoffs(2)
    by_an_older_edition(engine, ends_later=one)
    await started(engine)

    found = {clock.handoff: clock for clock in engine.clocks()}
    assert found[one].due_time == planned[one].due_time
    assert found[one].outcome is Outcome.RUNNING
    kinds: dict[str, Any] = dict(engine.log())
    said = kinds["ClockReassessed"]
    assert said.clock.handoff == one
    assert said.previous_due_time.ToDatetime(tzinfo=engine.now.tzinfo) == planned[one].due_time + HOUR
    assert said.principal == "tenants/-/systems/sla"
    # The version that it counts by now tells by which rules.
    assert editions(engine) == ["2020a", tzdata_version()]
    assert found[one].calendar_version.endswith("/versions/2")
    assert found[other] == planned[other]
    assert engine.said().count("ClockReassessed") == 1


async def test_the_same_rules_move_nothing_and_new_ones_do_so_once(engine: Engine) -> None:
    before = engine.clocks()
    assert await started(engine) == 0
    assert engine.clocks() == before

    by_an_older_edition(engine, ends_later=handoffs(1)[0])
    await started(engine)
    moved = engine.clocks()
    assert await started(engine) == 0
    assert engine.clocks() == moved


async def test_a_clock_that_stood_still_for_a_while_is_not_moved_for_that() -> None:
    desk = Desk()
    desk.agree(some_terms(a_promise(), pause_reasons=(HOLIDAY,)))
    desk.submit()
    desk.assign()
    desk.now += HOUR
    desk.say()
    desk.now += HOUR
    desk.say(resumes=True)
    paused = desk.clock()
    with desk.database.writer_engine.begin() as connection:
        connection.execute(update(schema.calendar_version).values(tzdata_version="2020a"))
    desk.restart()
    await started(desk)

    assert desk.clock() == paused
    assert "ClockReassessed" not in desk.said()


async def test_a_clock_of_other_days_than_the_newest_version_keeps_them(engine: Engine) -> None:
    before = engine.clocks()
    due_days = frozenset(clock.due_time.date() for clock in before)
    with engine.database.writer_engine.begin() as connection:
        [first] = calendars_of_older_editions(connection, "none yet", limit=9)
        closed_then = replace(first.calendar, holidays=first.calendar.holidays | due_days)
        add_calendar(connection, replace(first, number=2, calendar=closed_then))
        connection.execute(update(schema.calendar_version).values(tzdata_version="2020a"))
    engine.restart()
    await started(engine)

    assert editions(engine) == ["2020a", "2020a", tzdata_version()]
    assert engine.clocks() == before
