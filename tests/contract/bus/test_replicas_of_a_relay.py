"""Two replicas of a log's owner, of which one publishes, by the lease of the service (F5, F24)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import MetaData

from smarketing import wallclock
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.link import Link, LinkSettings
from smarketing.eventlog.reading import ensure_identity
from smarketing.eventlog.relay import Relay
from smarketing.eventlog.tables import define_tables
from smarketing.sql import Database, Writer, open_database
from smarketing.sql.leases import Lease, define_leases
from tests.builders import postgres
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.carriers import Carried
from tests.contract.bus.followers import Make, Noted, running
from tests.contract.bus.served_log import LOG_ID, ServedLog, seen

pytestmark = pytest.mark.timeout(60)

MANY: Final = 300
NEVER: Final = 3600.0


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url, open_database(url) as database:
        metadata = MetaData()
        define_tables(metadata)
        define_leases(metadata)
        with database.migrating() as connection:
            metadata.create_all(connection)
            ensure_identity(connection, new_log_id=lambda: LOG_ID)
        yield url


@pytest.fixture
async def log(url: str, tmp_path: Path) -> AsyncIterator[ServedLog]:
    """A log in the database that both replicas share, served by whoever lives."""
    log = ServedLog(tmp_path, database=open_database(url))
    await log.start()
    yield log
    await log.close()


class Owner:
    """A process of the service that owns the log, as far as that goes: it publishes by the lease."""

    def __init__(self, name: str, url: str, carried: Carried, server: NatsServer) -> None:
        self._open = ExitStack()
        self._writer = Writer(self._open.enter_context(open_database(url)), now=wallclock.utc_now)
        self._link = Link(LinkSettings(servers=[server.url], name="leads"))
        self.lease = Lease(
            self._writer, "work", holder=name, monotonic=wallclock.monotonic, length=timedelta(seconds=1)
        )
        # Its place is never stored, as when it is killed before: its successor publishes all of it again.
        self.relay = Relay(
            self._link,
            self._writer,
            log=carried.name,
            stream=carried.stream,
            window_events=20,
            poll_seconds=0.05,
            ack_seconds=2.0,
            store_seconds=NEVER,
            longest_pause_seconds=0.5,
        )
        self._tasks = [
            asyncio.create_task(self._ask()),
            asyncio.create_task(self.lease.while_held(self.relay.run)),
        ]

    async def _ask(self) -> None:
        while True:
            await self.lease.ask()
            await asyncio.sleep(0.1)

    async def vanish(self) -> None:
        """End without a word, as by SIGKILL: neither the lease is given back nor a place stored."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writer.close()
        await self._link.close()
        self._open.close()


async def test_when_the_replica_that_publishes_is_killed_the_other_goes_on_and_everything_comes_once(
    url: str, log: ServedLog, nats_server: NatsServer, follower: Database, make: Make
) -> None:
    carried = Carried(log, [nats_server], name="reports")
    noted = Noted()
    one = Owner("one", url, carried, nats_server)
    await carried.when(one.lease.held)
    two = Owner("two", url, carried, nats_server)
    try:
        await log.record("first")
        async with log.channel() as channel:
            consumer = make(feed=carried.source(Feed(channel, name="reports.leads")), observer=noted)
            async with running(consumer):
                await consumer.wait_until(1)
                await carried.subscribed()
                # Whoever is killed has published a part of what it was to publish.
                begun = asyncio.create_task(log.record(*(f"a{number}" for number in range(MANY))))
                await carried.when(lambda: one.relay.position > 1)
                await one.vanish()
                await begun
                assert not two.lease.held()

                await log.record(*(f"b{number}" for number in range(MANY)))
                await carried.when(lambda: two.relay.position == 2 * MANY + 1)
                await consumer.wait_until(2 * MANY + 1)
                await log.record("last")
                await consumer.wait_until(2 * MANY + 2)
                await carried.when(lambda: two.relay.position == 2 * MANY + 2)
        assert two.lease.held()
    finally:
        await two.vanish()
        await carried.close()

    told = ["first", *(f"a{n}" for n in range(MANY)), *(f"b{n}" for n in range(MANY)), "last"]
    assert seen(follower) == list(enumerate(told, start=1))
    assert noted.handled["applied"] == len(told)
    assert carried.observer.refused == []
