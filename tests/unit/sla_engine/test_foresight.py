"""Decisions made ahead: what they spare, and that nothing which comes between is overlooked."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.sla.domain.course import Outcome
from services.sla.store.planning import put_assignment
from services.sla.store.tx import SlaTx
from services.sla.usecases.explain import states_of
from services.sla.usecases.foresight import Foresight
from services.sla.usecases.sweep import Sweeper, WallGuard, sweep_batch
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.sql import Writer
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    HANDOFF,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)
from tests.unit.sla_engine.test_sweeping import a_story, many

DUE_TIME = MONDAY_NINE + timedelta(hours=4)
SHORTLY_BEFORE = DUE_TIME - timedelta(seconds=20)
SHORTLY_AFTER = DUE_TIME + timedelta(seconds=5)


class FarSighted(Engine):
    """An engine that decides ahead, when told to, and sweeps with what it knows."""

    def look_ahead(self) -> int:
        """Decide all that is due within half a minute; return of how many handoffs something is known."""
        self.foresight = Foresight(self.archive)
        asyncio.run(self._look())
        return len(self.foresight)

    async def _look(self) -> None:
        async with Writer(self.database, now=lambda: self.now) as writer:
            while await self.foresight.look(writer, now=lambda: self.now):
                pass

    def sweep(self, *, limit: int = 1000) -> int:
        with self.database.writer_engine.begin() as connection:
            return sweep_batch(
                connection, self.archive, limit, now=self.now, foresight=getattr(self, "foresight", None)
            )

    def relies_on(self) -> list[str]:
        """Return the handoffs of which a sweep now would take what was decided ahead."""
        with self.database.writer_engine.connect() as connection:
            tx = SlaTx(connection, self.archive, now=self.now)
            return list(self.foresight.valid(tx, [HANDOFF]))


def an_engine(kind: type[Engine] = FarSighted) -> Any:
    """Return an engine whose only handoff was assigned at nine; half the target has passed."""
    engine = kind()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER))))
    engine.submit()
    engine.assign()
    engine.now = MONDAY_NINE + timedelta(hours=3)
    engine.sweep()
    return engine


def test_a_miss_decided_ahead_is_recorded_as_one_decided_when_due() -> None:
    ahead, at_due = an_engine(), an_engine(Engine)
    for engine in (ahead, at_due):
        engine.now = SHORTLY_BEFORE
    assert ahead.look_ahead() == 1
    for engine in (ahead, at_due):
        engine.now = SHORTLY_AFTER
    assert ahead.relies_on() == [HANDOFF]
    for engine in (ahead, at_due):
        assert engine.sweep() == 1
        assert engine.sweep() == 0

    assert ahead.clock() == at_due.clock()
    assert ahead.clock().detect_time == SHORTLY_AFTER
    assert ahead.log() == at_due.log()
    assert ahead.alerts() == at_due.alerts()
    assert ahead.said()[-2:] == ["ClockBreached", "RungFired:due"]


def test_what_is_decided_ahead_fires_not_before_its_instant() -> None:
    engine = an_engine()
    engine.now = SHORTLY_BEFORE
    engine.look_ahead()
    engine.now = DUE_TIME
    assert engine.relies_on() == []
    engine.sweep()

    assert engine.clock().outcome is Outcome.RUNNING
    assert engine.said()[-1] == "RungFired:due"


def _followed_up(engine: Engine) -> None:
    engine.follow_up()


def _promised(engine: Engine) -> None:
    # Told half a minute before it happens, by a clock that is ahead: it changes nothing yet.
    engine.follow_up(at=engine.now + timedelta(seconds=30))


def _given_to_another(engine: Engine) -> None:
    engine.assign(to=OTHER_REP)


def _voided(engine: Engine) -> None:
    engine.void()


def _agreed_anew(engine: Engine) -> None:
    engine.agree(some_terms(a_promise(target=2)))


def _got_a_calendar(engine: Engine) -> None:
    from services.sla.domain.rota import Assignment

    with engine.database.writer_engine.begin() as connection:
        put_assignment(
            connection,
            Assignment(
                tenant="default",
                holder=SALES,
                calendar_version="tenants/default/calendars/office/versions/1",
                effective_time=engine.now,
                principal=REP,
                create_time=engine.now,
            ),
        )


@pytest.mark.parametrize(
    "comes_between",
    [_followed_up, _promised, _given_to_another, _voided, _agreed_anew, _got_a_calendar],
    ids=lambda each: each.__name__.strip("_"),
)
def test_whatever_comes_between_has_the_clock_decided_anew(
    comes_between: Callable[[Engine], None],
) -> None:
    ahead, at_due = an_engine(), an_engine(Engine)
    ahead.now = SHORTLY_BEFORE
    ahead.look_ahead()
    for engine in (ahead, at_due):
        engine.now = SHORTLY_BEFORE + timedelta(seconds=1)
        comes_between(engine)
        engine.now = SHORTLY_AFTER
    assert ahead.relies_on() == []
    for engine in (ahead, at_due):
        engine.sweep()

    assert ahead.clocks() == at_due.clocks()
    assert ahead.said() == at_due.said()
    assert ahead.alerts() == at_due.alerts()


def test_whoever_has_the_role_when_a_rung_fires_is_told_though_it_was_decided_ahead() -> None:
    engine = an_engine()
    engine.now = SHORTLY_BEFORE
    engine.look_ahead()
    engine.tell(SALES, leadeventspb.TeamChanged(team=SALES, manager=OTHER_REP))
    engine.now = SHORTLY_AFTER
    assert engine.relies_on() == []
    engine.sweep()

    assert engine.alerts()[-1].recipients == (OTHER_REP, REP)


def test_a_decision_ahead_of_a_sweep_that_comes_too_late_for_it_is_not_taken() -> None:
    engine = an_engine()
    engine.now = SHORTLY_BEFORE
    engine.look_ahead()
    # The rung an hour after due has passed as well by now.
    engine.now = DUE_TIME + timedelta(hours=2)
    assert engine.relies_on() == []
    engine.sweep()

    assert engine.said()[-3:] == ["ClockBreached", "RungFired:due", "RungFired:late"]


def test_what_is_due_soon_is_known_and_nothing_else() -> None:
    engine = FarSighted()
    engine.agree(some_terms(a_promise()))
    many(engine, 90)  # one a second
    engine.now = DUE_TIME
    known = engine.look_ahead()

    # Due is a second after another; the first is due now, and the horizon half a minute.
    assert known == 30


def test_a_clock_that_cannot_be_decided_ahead_is_left_to_the_sweep() -> None:
    engine = an_engine()
    with engine.database.writer_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE clock SET kind = 'NONSENSE'")
    engine.now = SHORTLY_BEFORE

    assert engine.look_ahead() == 0


async def test_the_sweeper_looks_ahead_while_nothing_is_due_and_forgets_what_is_past() -> None:
    engine = an_engine(Engine)
    engine.now = SHORTLY_BEFORE
    foresight = Foresight(engine.archive)
    async with Writer(engine.database, now=lambda: engine.now) as writer:
        sweeper = Sweeper(
            writer,
            engine.archive,
            guard=WallGuard(now=lambda: engine.now, monotonic=lambda: 0.0),
            now=lambda: engine.now,
            foresight=foresight,
        )
        sweeping = asyncio.create_task(sweeper.run())
        async with asyncio.timeout(10):
            while not len(foresight):  # noqa: ASYNC110 -- nothing else tells of it
                await asyncio.sleep(0.01)
            engine.now = SHORTLY_AFTER
            while len(foresight):  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)

    assert engine.said()[-2:] == ["ClockBreached", "RungFired:due"]


@pytest.mark.parametrize("seed", range(4))
def test_every_clock_is_what_its_timeline_says_when_all_is_decided_ahead(seed: int) -> None:
    dice = random.Random(seed)
    engine = FarSighted()
    engine.agree(
        some_terms(a_promise(target=0.5, steps=(WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER)), title="Between us")
    )
    relied = 0
    for event in a_story(engine, dice):
        engine.deliver([event])
        # Up to whatever is due within the hour, one after the other, and beyond it.
        until = engine.now + timedelta(hours=1)
        while (coming := _next_time(engine)) is not None and coming < until:
            engine.now = max(engine.now, coming - timedelta(seconds=10))
            relied += engine.look_ahead()
            engine.now = max(engine.now, coming + timedelta(seconds=1))
            while engine.sweep(limit=dice.choice((1, 100))):
                pass

    clocks = engine.clocks()
    with engine.database.reading() as connection:
        states = states_of(connection, engine.archive, clocks, as_of=engine.now)
    assert relied > 0
    for clock in clocks:
        state = states[clock.name]
        assert (clock.outcome, clock.due_time, clock.breach_time, clock.stop_time) == (
            state.outcome,
            state.due_time,
            state.breach_time,
            state.stop_time,
        )


def _next_time(engine: Engine) -> datetime | None:
    return min((clock.next_time for clock in engine.clocks() if clock.next_time), default=None)
