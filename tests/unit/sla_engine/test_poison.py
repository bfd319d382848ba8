"""A clock that cannot be decided is put aside alone, without the other clocks of its handoff."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.sla.domain.agreement import CommitmentKind, TimeBasis
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from services.sla.domain.rota import Assignment
from services.sla.domain.terms import Promise
from services.sla.store import schema
from services.sla.store.planning import put_assignment
from services.sla.store.quarantine import MOST_ATTEMPTS
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import MONDAY_NINE, REP, SALES, Engine, a_promise, some_terms

GOOD = CommitmentKind.FIRST_FOLLOW_UP
BAD = "bad"


def bad(**changed: Any) -> Promise:
    """Return the promise whose clock is going to be poisoned."""
    return a_promise(GOOD, **{"basis": TimeBasis.WALL, "id": BAD, **changed})


def an_engine(*, bad_target: float) -> Engine:
    """Return an engine with one handoff and two clocks on it, the good one due after four hours."""
    engine = Engine()
    engine.agree(some_terms(a_promise(GOOD, basis=TimeBasis.WALL), bad(target=bad_target)))
    engine.submit()
    engine.assign()
    return engine


def poison(engine: Engine, **values: object) -> None:
    """Make one row something that no clock can be made of, or decided by."""
    with engine.database.writer_engine.begin() as connection:
        row = schema.clock.c.commitment_id == BAD
        connection.execute(update(schema.clock).where(row).values(values))


def sweep_until(engine: Engine, end: datetime) -> None:
    """Sweep every half hour, until nothing is due each time."""
    while engine.now < end:
        engine.advance(minutes=30)
        for _ in range(20):
            if not engine.sweep():
                break
        else:
            pytest.fail("what cannot be decided stays due")


def good(engine: Engine) -> Clock:
    """Return the clock that is in order."""
    (clock,) = (each for each in engine.clocks() if each.commitment_id != BAD)
    return clock


def quarantined(engine: Engine) -> list[tuple[str, int]]:
    """Return the commitments of the clocks put aside, with how often they were tried."""
    with engine.database.reading() as connection:
        rows = connection.execute(schema.clock.select().where(schema.clock.c.quarantine_time.is_not(None)))
        return [(row.commitment_id, row.attempts) for row in rows]


@pytest.mark.parametrize("bad_target", [2, 6], ids=["due_before", "due_after"])
def test_the_other_clock_of_the_handoff_is_decided_when_a_row_cannot_be_read(bad_target: float) -> None:
    engine = an_engine(bad_target=bad_target)
    poison(engine, outcome="NONSENSE")
    sweep_until(engine, MONDAY_NINE + timedelta(hours=10))

    assert [kind for kind in engine.said() if kind == "ClockBreached"] == ["ClockBreached"]
    with engine.database.reading() as connection:
        found = connection.execute(schema.clock.select().where(schema.clock.c.commitment_id != BAD)).one()
    assert found.breach_time == MONDAY_NINE + timedelta(hours=4)
    assert quarantined(engine) == [(BAD, MOST_ATTEMPTS)]


@pytest.mark.parametrize("bad_target", [2, 6], ids=["due_before", "due_after"])
def test_the_other_clock_of_the_handoff_is_decided_when_one_cannot_be(bad_target: float) -> None:
    engine = an_engine(bad_target=bad_target)
    poison(engine, agreement_version="nonsense")
    sweep_until(engine, MONDAY_NINE + timedelta(hours=10))

    assert good(engine).breach_time == MONDAY_NINE + timedelta(hours=4)
    assert quarantined(engine) == [(BAD, MOST_ATTEMPTS)]


def test_a_clock_that_was_put_aside_is_tried_again_with_the_next_fact_and_decided_by_event_time() -> None:
    engine = an_engine(bad_target=2)
    poison(engine, agreement_version="nonsense")
    sweep_until(engine, MONDAY_NINE + timedelta(hours=3.5))
    assert quarantined(engine) == [(BAD, MOST_ATTEMPTS)]
    poison(engine, agreement_version=good(engine).agreement_version)
    engine.follow_up()

    assert quarantined(engine) == []
    (mended,) = (each for each in engine.clocks() if each.commitment_id == BAD)
    assert (mended.outcome, mended.breach_time) == (Outcome.BREACHED, MONDAY_NINE + timedelta(hours=2))
    assert good(engine).outcome is Outcome.MET


def test_a_fact_about_a_handoff_with_a_clock_that_cannot_be_decided_reaches_its_other_clock() -> None:
    engine = an_engine(bad_target=2)
    poison(engine, agreement_version="nonsense")
    engine.now = MONDAY_NINE + timedelta(hours=1)
    engine.follow_up()

    assert good(engine).outcome is Outcome.MET
    assert quarantined(engine) == [(BAD, 1)]


def test_where_one_due_instant_cannot_be_reached_the_other_clock_starts() -> None:
    engine = Engine()
    promises = (a_promise(GOOD, basis=TimeBasis.WALL), bad(target=20, basis=TimeBasis.BUSINESS))
    engine.agree(some_terms(*promises))
    # The team's own calendar opens once more, for nine hours: there are no twenty.
    once = Calendar.of("Asia/Seoul", {}, overrides={"2026-09-22": [["09:00", "18:00"]]})
    assignment = Assignment(
        tenant="default",
        holder=SALES,
        calendar_version=engine.make_calendar(once),
        effective_time=engine.now,
        principal=REP,
        create_time=engine.now,
    )
    with engine.database.writer_engine.begin() as connection:
        put_assignment(connection, assignment)
    engine.submit()
    engine.assign()

    assert [clock.commitment_id for clock in engine.clocks()] == ["first-follow-up"]
    engine.follow_up()
    assert engine.clock().outcome is Outcome.MET
