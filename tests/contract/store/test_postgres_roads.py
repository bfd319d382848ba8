"""What the road to PostgreSQL can do to us: it is slow, or takes every word and brings none back (F7)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import Connection, text

from smarketing import wallclock
from smarketing.sql import Writer, open_database
from smarketing.sql.local_server import fresh_password
from tests.builders import postgres
from tests.faults.harness.proxy import FaultProxy, Way

pytestmark = pytest.mark.timeout(60)

NOON: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
STATEMENT: Final = timedelta(milliseconds=400)


def add(connection: Connection, numbers: Sequence[int], _now: datetime) -> Sequence[int]:
    for number in numbers:
        connection.execute(text("INSERT INTO kept VALUES (:number)"), {"number": number})
    return numbers


def kept(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT number FROM kept ORDER BY number")).scalars())


@dataclass(frozen=True)
class There:
    """A writer, the road to its database, and a way to that database which nothing happens on."""

    writer: Writer
    road: FaultProxy
    direct: str

    def connections(self) -> int:
        """Return how many connections the server holds open for the service."""
        with psycopg.connect(self.direct) as connection:
            counted = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'kim'"
            [(found,)] = connection.execute(counted).fetchall()
        return int(found)


@asynccontextmanager
async def a_road() -> AsyncIterator[There]:
    password = fresh_password()
    with postgres.server_of_ones_own() as server:
        assert server.port is not None
        direct = server.url("postgres")
        with psycopg.connect(direct, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE kim LOGIN SUPERUSER PASSWORD '{password}'")
            connection.execute("CREATE TABLE kept (number BIGINT PRIMARY KEY)")
        async with FaultProxy(("127.0.0.1", server.port)) as road:
            url = f"postgresql://kim:{password}@{road.address}/postgres"
            with await asyncio.to_thread(open_database, url, statement_timeout=STATEMENT) as database:
                async with Writer(database, now=lambda: NOON) as writer:
                    yield There(writer, road, direct)


async def test_on_a_slow_road_writes_and_reads_are_slow_and_nothing_else() -> None:
    async with a_road() as there:
        there.road.way, there.road.delay_seconds = Way.DELAY, 0.05
        began = wallclock.monotonic()
        await asyncio.gather(*(there.writer.run(add, [number]) for number in range(20)))
        found = await there.writer.read(kept)

        assert found == list(range(20))
        assert wallclock.monotonic() - began > 4 * 0.05, "nothing was slow"
        held = await asyncio.to_thread(there.connections)
        assert held <= 6


async def test_a_road_that_brings_no_answer_is_given_up_and_the_next_call_takes_another() -> None:
    async with a_road() as there:
        await there.writer.run(add, [1])
        assert await there.writer.read(kept) == [1]
        write = asyncio.ensure_future(there.writer.run(add, [2]))
        await swallows(there.road, write)
        assert await write == [2]
        read = asyncio.ensure_future(there.writer.read(kept))
        await swallows(there.road, read)
        assert await read == [1, 2]
        held = await asyncio.to_thread(there.connections)
        assert held <= 6


async def swallows(road: FaultProxy, asking: "asyncio.Future[Any]") -> None:
    """Let the road take what is asked and lose it; it is open again, and nobody cuts the connection."""
    before, road.way = road.swallowed, Way.HALF_OPEN
    while road.swallowed == before and not asking.done():  # noqa: ASYNC110 -- the road tells nobody
        await asyncio.sleep(0.005)
    road.way = Way.PASS
