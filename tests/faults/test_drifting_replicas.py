"""Replicas of `sla` on one PostgreSQL whose own clocks are wrong, each by something else (F40).

The server's clock decides for all of them: nothing is recorded before its instant by it, nothing twice, and
nothing is late by what a replica believes. They are threads of this process, each with a database, a writer
and a clock of its own.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, select, text

from services.sla.__main__ import a_process
from services.sla.config import SlaConfig
from services.sla.domain.agreement import TimeBasis
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.usecases.foresight import Foresight
from services.sla.usecases.sweep import Sweeper, WallGuard
from smarketing import wallclock
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.eventlog.reading import last_record_time
from smarketing.sql import Database, Writer, open_database
from tests.builders.sla_engine import AN_HOUR_AFTER, AT_DUE, REP, SALES, TENANT, Engine, a_promise, some_terms
from tests.builders.stores import STORE_VARIABLE, Store, a_url
from tests.contract.sla.yard import Yard, run_beside, serve_log

true_now: Final = wallclock.utc_now

pytestmark = pytest.mark.timeout(120)

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
TARGET: Final = timedelta(hours=4)
OVERDUE: Final = 12
SOON: Final = 24
"""How many fall due one after the other while the replicas look on."""
LATER: Final = (2 * MINUTE, 4 * MINUTE, HOUR, 2 * HOUR - MINUTE)
"""Due when a clock that is five minutes or two hours ahead says so, and not yet."""
FIRED: Final = {"ClockBreached", "RungFired"}
WRONG: Final = {
    "five minutes ahead": 5 * MINUTE,
    "five minutes behind": -5 * MINUTE,
    "two hours ahead": 2 * HOUR,
    "two hours behind": -2 * HOUR,
}


@dataclass
class DriftingClock:
    """Shows a time that is wrong, and more so each time that somebody looks."""

    off: timedelta
    chance: random.Random = field(default_factory=lambda: random.Random(40))

    def __call__(self) -> datetime:
        self.off *= 1 + self.chance.random() / 1000
        return true_now() + self.off


@dataclass
class Replica:
    """Sweeps as the process does that is put together in `services.sla`."""

    writer: Writer
    sweeper: Sweeper


@asynccontextmanager
async def a_replica(url: str, off: timedelta) -> AsyncIterator[Replica]:
    """Start a replica whose own clock is wrong by so much."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(await asyncio.to_thread(open_database, url))
        now, archive = database.clock(DriftingClock(off)), Archive()
        writer = await stack.enter_async_context(Writer(database, now=now, not_before=last_record_time))
        guard = WallGuard(now=now, monotonic=wallclock.monotonic)
        foresight = Foresight(archive)
        # Batches that are small meet more often.
        yield Replica(
            writer, Sweeper(writer, archive, guard=guard, now=now, foresight=foresight, batch_clocks=4)
        )


@dataclass
class House:
    """A database in which handoffs wait, and when each is due by the server's clock."""

    url: str
    database: Database
    due: dict[str, datetime]

    def servers_time(self) -> datetime:
        """Return what the server's clock shows."""
        with self.database.reading() as connection:
            shown: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return shown

    def fired(self) -> list[tuple[str, str, datetime, datetime]]:
        """Return what fired of which handoff, when it was due, and when it was recorded."""
        with self.database.reading() as connection:
            return fired(connection)


def fired(connection: Connection) -> list[tuple[str, str, datetime, datetime]]:
    """Return each miss, and each rung by its id, with its handoff, its instant and when it was recorded."""
    log = schema.eventlog_tables.event_log
    query = select(log.c.payload_type, log.c.payload, log.c.occur_time, log.c.record_time)
    found = []
    for row in connection.execute(query.order_by(log.c.position)):
        kind = row.payload_type.rsplit(".", 1)[1]
        if kind in FIRED:
            said: Any = getattr(slaeventspb, kind).FromString(row.payload)
            what = said.rung_id if kind == "RungFired" else "missed"
            found.append((said.clock.handoff, what, row.occur_time, row.record_time))
    return found


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(STORE_VARIABLE, Store.POSTGRESQL)
    with a_url("services.sla.store.migrations") as url:
        yield url


@contextmanager
def a_house(url: str, *, soon: int) -> Iterator[House]:
    """Give a house in which some handoffs are overdue, `soon` fall due now, and others are due later."""
    with open_database(url) as database:
        house = House(url, database, due={})
        now = house.servers_time()
        engine = Engine(now=now - timedelta(days=2), database=database)
        terms = some_terms(a_promise(basis=TimeBasis.WALL, steps=(AT_DUE, AN_HOUR_AFTER)))
        engine.agree(terms, effective_time=engine.now)
        dues = [now - MINUTE - number * timedelta(seconds=1) for number in range(OVERDUE)]
        dues += [now + timedelta(seconds=1) + number * timedelta(milliseconds=40) for number in range(soon)]
        dues += [now + later for later in LATER]
        for number, due in enumerate(sorted(dues)):
            handoff = f"{TENANT}/leads/l{number}/handoffs/h{number}"
            house.due[handoff] = due
            engine.now = due - TARGET
            submitted = leadeventspb.HandoffSubmitted(handoff=handoff)
            assigned = leadeventspb.HandoffAccepted(handoff=handoff, owner=REP, team=SALES)
            engine.deliver([engine.event(handoff, submitted), engine.event(handoff, assigned)])
        yield house


def assert_fired(house: House, handoffs: int) -> None:
    """Check that so many of those due first fired, each rung and miss once, dated and recorded as it was due.

    By the server's clock, to which no replica could say anything.
    """
    expected = {
        (handoff, what, due)
        for handoff, due in list(house.due.items())[:handoffs]
        for what in ("due", "missed")
    }
    found = house.fired()
    assert Counter((handoff, what, due) for handoff, what, due, _ in found) == Counter(expected)
    assert [each for each in found if each[3] < each[2]] == []
    after = house.servers_time()
    assert all(recorded <= after for *_, recorded in found)


@pytest.mark.parametrize("off", WRONG.values(), ids=WRONG.keys())
async def test_a_replica_whose_clock_is_wrong_fires_what_is_due_by_the_server_and_nothing_else(
    url: str, off: timedelta
) -> None:
    with a_house(url, soon=0) as house:
        async with a_replica(url, off) as replica:
            before = house.servers_time()
            swept = await replica.sweeper.sweep()
            assert swept == OVERDUE
        assert_fired(house, OVERDUE)
        assert all(recorded >= before for *_, recorded in house.fired())


@pytest.mark.parametrize("off", WRONG.values(), ids=WRONG.keys())
async def test_the_process_as_it_is_put_together_has_the_servers_clock_decide(
    url: str, off: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one place that reads this machine's clock.
    monkeypatch.setattr(wallclock, "utc_now", DriftingClock(off))
    with a_house(url, soon=0) as house:
        async with AsyncExitStack() as stack:
            yard = Yard(now=house.servers_time())
            port = await serve_log(stack, yard)
            nowhere = "127.0.0.1:0"
            config = SlaConfig(
                listen=nowhere,
                http_listen=nowhere,
                data_dir=tmp_path,
                database_url=url,
                leads_address=f"127.0.0.1:{port}",
            )
            yard.process = await stack.enter_async_context(a_process(config))
            for task in yard.process.background:
                if task.name in ("lease", "leads", "directory", "http"):
                    run_beside(stack, task.run())
            await yard.tell((SALES, leadeventspb.TeamChanged(team=SALES)))
            before = house.servers_time()
            assert await yard.process.sweeper.sweep() == OVERDUE
        assert_fired(house, OVERDUE)
        assert all(recorded >= before for *_, recorded in house.fired())


async def test_replicas_whose_clocks_drift_apart_record_each_miss_once_and_none_before_its_instant(
    url: str,
) -> None:
    with a_house(url, soon=SOON) as house:
        async with AsyncExitStack() as stack:
            replicas = [await stack.enter_async_context(a_replica(url, off)) for off in WRONG.values()]
            await race(replicas, misses=OVERDUE + SOON)
            # Those that are due by one of the clocks, and not by the server's, stay where they are.
            assert await asyncio.gather(*(replica.sweeper.sweep() for replica in replicas)) == [0] * 4
        assert_fired(house, OVERDUE + SOON)


async def race(replicas: list[Replica], *, misses: int) -> None:
    """Let all of them sweep until there are so many misses."""
    committed = asyncio.Event()
    for replica in replicas:
        replica.writer.when_committed(committed.set)
    running = [asyncio.create_task(replica.sweeper.run()) for replica in replicas]
    try:
        while len([each for each in await replicas[0].writer.read(fired) if each[1] == "missed"]) < misses:
            await committed.wait()
            committed.clear()
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
