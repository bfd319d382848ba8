"""A team with a calendar of its own is measured in it, from the instant on that it counts."""

from datetime import timedelta

import pytest

from services.sla.domain.rota import NOTICE
from services.sla.usecases.explain import states_of
from services.sla.usecases.planning import AssignCalendar, assign_calendars
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import MONDAY_NINE, SALES, SALES_MANAGER, Engine, a_promise, some_terms

EIGHT_TO_NOON = {day: [["08:00", "12:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
OTHER = "tenants/default/leads/l2/handoffs/h1"
BERLIN = "tenants/default/calendars/office/versions/2"


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise()))
    assert engine.make_calendar(Calendar.of("Europe/Berlin", EIGHT_TO_NOON)) == BERLIN
    return engine


def give(engine: Engine, version: str) -> None:
    request = AssignCalendar(
        tenant="default", holder=SALES, calendar_version=version, effective_time=None, actor=SALES_MANAGER
    )
    (answer,) = engine._act(assign_calendars, [request])
    assert not isinstance(answer, Exception)


def test_a_clock_that_runs_keeps_its_calendar_and_the_next_one_has_the_teams(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    give(engine, BERLIN)
    engine.now += NOTICE
    engine.submit(OTHER)
    engine.assign(OTHER)
    engine.sweep()

    before, after = engine.clocks()
    # Four hours in Seoul from nine o'clock there; four in Berlin from eight, which is six in UTC.
    assert before.due_time == MONDAY_NINE + timedelta(hours=4)
    assert before.calendar_version.endswith("/versions/1")
    assert after.due_time == MONDAY_NINE + timedelta(hours=10)
    assert after.calendar_version == BERLIN


def test_the_explanation_and_a_restart_count_in_the_same_calendar(engine: Engine) -> None:
    give(engine, BERLIN)
    engine.now += NOTICE
    engine.submit()
    engine.assign()
    engine.restart()
    clock = engine.clock()
    with engine.database.reading() as connection:
        state = states_of(connection, engine.archive, [clock], as_of=engine.now)[clock.name]

    assert (state.due_time, state.calendar) == (clock.due_time, BERLIN)


def test_a_calendar_given_in_the_same_breath_moves_nothing_that_was_dated_ahead(engine: Engine) -> None:
    engine.submit()
    give(engine, BERLIN)
    engine.assign()

    assert engine.clock().due_time == MONDAY_NINE + timedelta(hours=4)
