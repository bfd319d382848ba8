"""The sweeper as a task: woken by what is stored, and in time."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from services.sla.consumers.leads_log import CaughtUp, ingest
from services.sla.domain.agreement import TimeBasis
from services.sla.usecases.sweep import Sweeper, WallGuard
from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.sql import Connection, Writer
from tests.builders.sla_engine import HANDOFF, MONDAY_NINE, REP, SALES, Engine, a_promise, some_terms


class Watch:
    """Notes how late timers fire."""

    def __init__(self) -> None:
        self.lateness: list[float] = []

    def timer_fired(self, kind: str, lateness_seconds: float) -> None:
        assert kind == "breach"
        self.lateness.append(lateness_seconds)

    def swept(self, seconds: float) -> None:
        assert seconds > 0

    def turned(self) -> None:
        """Pass over."""

    def clock_stepped_back(self) -> None:
        raise AssertionError


async def test_a_miss_is_found_within_a_second_also_when_its_clock_starts_while_nothing_was_due() -> None:
    engine = Engine(now=wallclock.utc_now())
    engine.agree(some_terms(a_promise(basis=TimeBasis.WALL, target=0.2 / 3600)))
    engine.now = wallclock.utc_now()
    event = engine.event(HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES))
    watch, found = Watch(), asyncio.Event()
    async with Writer(engine.database, now=wallclock.utc_now) as writer:
        writer.when_committed(lambda: found.set() if watch.lateness else None)
        guard = WallGuard(now=wallclock.utc_now, monotonic=wallclock.monotonic)
        sweeper = Sweeper(writer, engine.archive, guard=guard, now=wallclock.utc_now, observer=watch)
        sweeping = asyncio.create_task(sweeper.run())

        def take_in(
            connection: Connection, events: Sequence[eventlogpb.Event], now: datetime
        ) -> Sequence[None]:
            ingest(connection, engine.archive, events, now=now)
            return [None] * len(events)

        await writer.run(take_in, [event])
        async with asyncio.timeout(10):
            await found.wait()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)

    (lateness,) = watch.lateness
    assert 0 <= lateness < 1


class Reader:
    """A consumer, as far as catching up goes."""

    def __init__(self) -> None:
        self.position, self.head_position, self.caught_up = 0, 0, False
        self.read_until: datetime | None = None


def test_timers_may_fire_once_the_log_is_read_or_its_owner_was_away_long_enough() -> None:
    reader, seconds = Reader(), [0.0]
    caught_up = CaughtUp(
        reader,
        now=lambda: MONDAY_NINE + timedelta(seconds=seconds[0]),
        monotonic=lambda: seconds[0],
        patience_seconds=30,
    )
    assert not caught_up()
    reader.position, reader.head_position = 5, 5
    assert not caught_up(), "where the last run ended says nothing of what came since"
    reader.caught_up = True
    assert caught_up()
    reader.head_position = 9
    seconds[0] = 29.0
    assert not caught_up()
    seconds[0] = 31.0
    assert caught_up()
    reader.position, seconds[0] = 7, 40.0
    reader.read_until = MONDAY_NINE + timedelta(seconds=30)
    assert not caught_up()
    reader.read_until = MONDAY_NINE + timedelta(seconds=39)
    assert caught_up()
