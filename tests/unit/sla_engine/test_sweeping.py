"""What the sweeper does when things go wrong, and what it costs when they do not."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from services.sla.domain.agreement import CommitmentKind
from services.sla.domain.course import Outcome
from services.sla.domain.decide import clock_id
from services.sla.store import schema
from services.sla.store.due import DUE
from services.sla.usecases.explain import states_of
from services.sla.usecases.sweep import Sweeper, WallGuard, sweep_batch
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.sql import Writer
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES,
    TENANT,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)

DUE_TIME = MONDAY_NINE + timedelta(hours=4)


def handoff(number: int) -> str:
    return f"{TENANT}/leads/l{number}/handoffs/h{number}"


def many(engine: Engine, count: int) -> None:
    """Assign so many handoffs, one a second, in one batch."""
    events = []
    for number in range(count):
        events.append(engine.event(handoff(number), leadeventspb.HandoffSubmitted(handoff=handoff(number))))
        payload = leadeventspb.HandoffAccepted(handoff=handoff(number), owner=REP, team=SALES)
        events.append(engine.event(handoff(number), payload))
        engine.now += timedelta(seconds=1)
    engine.deliver(events)


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER))))
    return engine


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_the_size_of_a_sweep_makes_no_difference(engine: Engine, limit: int) -> None:
    many(engine, 10)
    engine.now = DUE_TIME + timedelta(hours=2)
    while engine.sweep(limit=limit):
        pass

    assert engine.said().count("ClockBreached") == 10
    assert {clock.breach_time for clock in engine.clocks()} == {
        DUE_TIME + timedelta(seconds=number) for number in range(10)
    }
    assert len(engine.alerts()) == 10


@pytest.mark.usefixtures("on_sqlite")
def test_looking_for_what_is_due_goes_through_the_index_of_what_will_be_due(engine: Engine) -> None:
    many(engine, 300)
    engine.now += timedelta(hours=1)
    for number in range(0, 300, 2):
        engine.follow_up(handoff(number))

    with engine.database.reading() as connection:
        sql = str(DUE.compile(dialect=connection.dialect))
        plan = connection.execute(text("EXPLAIN QUERY PLAN " + sql.replace("?", "1"))).all()
        indexed = connection.execute(
            text("SELECT count(*) FROM clock INDEXED BY clock_due WHERE next_time IS NOT NULL")
        )
        waiting = indexed.scalar_one()
    assert ["USING" in row[3] and "clock_due" in row[3] for row in plan] == [True]
    assert waiting == 150


async def _swept(engine: Engine, **changed: Any) -> int:
    async with Writer(engine.database, now=lambda: engine.now) as writer:
        guard = changed.pop("guard", None) or WallGuard(now=lambda: engine.now, monotonic=lambda: 0.0)
        sweeper = Sweeper(writer, engine.archive, guard=guard, now=lambda: engine.now, **changed)
        return await sweeper.sweep()


async def test_a_clock_that_cannot_be_decided_is_put_aside_and_holds_up_nobody(engine: Engine) -> None:
    many(engine, 20)
    poisoned = clock_id(handoff(7), "main", "first-follow-up")
    with engine.database.writer_engine.begin() as connection:
        statement = update(schema.clock).where(schema.clock.c.id == poisoned)
        connection.execute(statement.values(kind="NONSENSE"))
    for _ in range(4):
        engine.advance(hours=5)
        await _swept(engine, batch_clocks=8)

    assert engine.said().count("ClockBreached") == 19
    with engine.database.reading() as connection:
        table = schema.clock
        rows = connection.execute(table.select().where(table.c.quarantine_time.is_not(None))).all()
    assert [(row.id, row.attempts, row.next_time) for row in rows] == [(poisoned, 3, None)]


async def test_nothing_fires_while_the_wall_clock_is_set_back(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    engine.now = DUE_TIME - timedelta(seconds=1)
    monotonic = [100.0]
    guard = WallGuard(now=lambda: engine.now, monotonic=lambda: monotonic[0])
    assert await _swept(engine, guard=guard) == 1  # the warning at half

    # It was due four seconds ago, then somebody sets the clock back by two hours.
    monotonic[0] += 5
    engine.now = DUE_TIME + timedelta(seconds=4) - timedelta(hours=2)
    assert guard.is_back()
    assert await _swept(engine, guard=guard) == 0
    monotonic[0] += 7200
    engine.now = DUE_TIME + timedelta(seconds=4)
    assert not guard.is_back()
    assert await _swept(engine, guard=guard) > 0
    assert engine.clock().breach_time == DUE_TIME


async def test_nothing_fires_before_the_log_is_read_to_its_end(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    engine.now = DUE_TIME + timedelta(hours=1)

    assert await _swept(engine, may_fire=lambda: False) == 0
    assert engine.said() == ["ClockStarted"]
    assert await _swept(engine) == 1


def test_a_new_version_moves_no_running_clock(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    engine.advance(minutes=10)
    engine.agree(some_terms(a_promise(target=1)))
    engine.assign(to=OTHER_REP)
    engine.submit(handoff(2))
    engine.assign(handoff(2))

    old, new = engine.clocks()
    assert old.due_time == DUE_TIME
    assert old.agreement_version.endswith("/1")
    assert (new.due_time, new.agreement_version[-2:]) == (engine.now + timedelta(hours=1), "/2")


def test_a_version_that_reaches_into_the_past_measures_only_what_nobody_measured() -> None:
    engine = Engine()
    engine.submit()
    engine.assign()
    engine.now = DUE_TIME + timedelta(hours=1)
    engine.agree(some_terms(a_promise(steps=(AT_DUE,))), effective_time=MONDAY_NINE)
    _replay(engine)
    engine.sweep()

    clock = engine.clock()
    assert (clock.outcome, clock.silent, clock.breach_time) == (Outcome.BREACHED, True, DUE_TIME)
    assert [p.delivered for kind, p in engine.log() if kind == "RungFired"] == [False]
    assert engine.alerts() == []
    engine.agree(some_terms(a_promise(target=1), a_promise(CommitmentKind.ROUTE)), effective_time=MONDAY_NINE)
    _replay(engine)
    assert engine.clocks() == [clock]


def _replay(engine: Engine) -> None:
    from services.sla.usecases.replay import replay_batch

    done: int | None = 0
    while done is not None:
        with engine.database.writer_engine.begin() as connection:
            done = replay_batch(connection, engine.archive, 1, now=engine.now)


def test_how_fresh_a_lead_was_is_decided_when_it_is_submitted() -> None:
    from services.sla.domain.agreement import Party

    engine = Engine()
    promise = a_promise(CommitmentKind.FRESHNESS, target=1, parties=(Party.MARKETING,))
    engine.agree(some_terms(promise))
    for number, late in ((1, timedelta(minutes=30)), (2, timedelta(minutes=90))):
        payload = leadeventspb.HandoffSubmitted(handoff=handoff(number))
        payload.qualification.inquire_time.FromDatetime(MONDAY_NINE)
        engine.now = MONDAY_NINE + late
        engine.tell(handoff(number), payload)

    assert engine.said() == ["ClockStarted", "ClockMet", "ClockStarted", "ClockBreached", "ClockStoppedLate"]
    assert engine.alerts() == []


@pytest.mark.parametrize("seed", range(8))
def test_every_clock_is_what_its_timeline_says_whatever_happened_on_the_way(seed: int) -> None:
    dice = random.Random(seed)
    engine = Engine()
    engine.agree(
        some_terms(
            a_promise(CommitmentKind.ROUTE, target=0.5),
            a_promise(CommitmentKind.ACCEPT, target=1, steps=(AT_DUE,)),
            a_promise(target=2, steps=(WARN_AT_HALF, AN_HOUR_AFTER)),
        )
    )
    waiting: list[Any] = []
    for event in a_story(engine, dice):
        waiting.append(event)
        if dice.random() < 0.5:
            engine.deliver(waiting)
            if dice.random() < 0.2:
                engine.deliver(waiting)
            waiting = []
        if dice.random() < 0.4 and not waiting:
            engine.sweep(limit=dice.choice((1, 2, 100)))
        if dice.random() < 0.1:
            engine.restart()
    engine.deliver(waiting)
    engine.advance(days=3)
    while engine.sweep(limit=3):
        pass

    clocks = engine.clocks()
    with engine.database.reading() as connection:
        states = states_of(connection, engine.archive, clocks, as_of=engine.now)
    assert len(clocks) > 20
    for clock in clocks:
        state = states[clock.name]
        assert (clock.outcome, clock.due_time, clock.start_time) == (
            state.outcome,
            state.due_time,
            state.start_time,
        )
        assert (clock.breach_time, clock.stop_time) == (state.breach_time, state.stop_time)
        assert set(clock.fired) >= {rung.id for rung in state.rungs if rung.is_passed}
    _each_once(engine, len(clocks))


def _each_once(engine: Engine, clocks: int) -> None:
    once: set[tuple[str, str]] = set()
    verdicts: dict[str, int] = {}
    for kind, payload in engine.log():
        if kind == "AlertChanged":
            continue
        clock = payload.clock.clock
        key = (clock, kind + (payload.rung_id if kind == "RungFired" else ""))
        assert key not in once or kind == "ClockReassigned", key
        once.add(key)
        verdicts[clock] = verdicts.get(clock, 0) + (kind in {"ClockMet", "ClockBreached", "ClockVoided"})
    assert len(verdicts) == clocks
    assert set(verdicts.values()) <= {0, 1}


def a_story(engine: Engine, dice: random.Random) -> Iterator[Any]:
    """Tell of fifteen handoffs at once: offered, assigned, followed up in time, late, after the fact."""
    stages = dict.fromkeys(range(15), 0)
    latest = dict.fromkeys(range(15), engine.now)
    while any(stage < 5 for stage in stages.values()):
        engine.advance(minutes=dice.randint(0, 40))
        number = dice.choice([each for each, stage in stages.items() if stage < 5])
        name, stage = handoff(number), stages[number]
        stages[number] += 1
        payload = _happens(name, stage, dice)
        at = engine.now
        if isinstance(payload, leadeventspb.FollowUpLogged):
            # It may be told up to three hours after it happened.
            at = max(latest[number], at - timedelta(minutes=dice.randint(0, 180)))
        latest[number] = at
        yield engine.event(name, payload, at=at)


def _happens(name: str, stage: int, dice: random.Random) -> Any:
    if stage == 0:
        return leadeventspb.HandoffSubmitted(handoff=name)
    if stage == 1:
        return leadeventspb.HandoffOffered(handoff=name, assignee=REP, team=SALES)
    if stage == 2:
        return leadeventspb.HandoffAccepted(handoff=name, owner=dice.choice((REP, OTHER_REP)), team=SALES)
    if stage == 4 and dice.random() < 0.2:
        return leadeventspb.HandoffVoided(handoff=name, reason_code="TEST")
    if stage == 3 and dice.random() < 0.5:
        return leadeventspb.HandoffRevised(handoff=name)
    grade = termspb.EVIDENCE_GRADE_SELF_REPORTED
    return leadeventspb.FollowUpLogged(handoff=name, person=REP, team=SALES, grade=grade)


@pytest.mark.usefixtures("on_sqlite")
def test_a_sweep_costs_what_is_due_and_not_what_is_open(engine: Engine) -> None:
    engine.submit()
    engine.assign()
    columns = [column.name for column in schema.clock.columns]
    copied = ", ".join(
        {"id": "'c' || n", "handoff": "handoff || n", "next_time": "next_time + 86400000000"}.get(name, name)
        for name in columns
    )
    with engine.database.writer_engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < 10000)"
            f" INSERT INTO clock ({', '.join(columns)}) SELECT {copied} FROM clock, k"
        )
    engine.now = DUE_TIME + timedelta(seconds=1)
    with engine.database.writer_engine.begin() as connection:
        steps = _steps_of(connection, lambda: sweep_batch(connection, engine.archive, 256, now=engine.now))

    assert engine.said() == ["ClockStarted", "RungFired:warn", "ClockBreached", "RungFired:due"]
    assert steps < 20_000  # looking at each of the open clocks once would take several times that


def _steps_of(connection: Any, work: Any) -> int:
    """Count, in thousands, the steps of the database's own machine that some work takes."""
    counted = [0]

    def count() -> int:
        counted[0] += 1000
        return 0

    driver = connection.connection.driver_connection
    driver.set_progress_handler(count, 1000)
    work()
    driver.set_progress_handler(None, 0)
    return counted[0]
