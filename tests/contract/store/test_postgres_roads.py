"""What the road to PostgreSQL can do to us: it is slow, or takes every word and brings none back (F7)."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import Connection, text

from services.leads.store.old_copies import old_copies
from services.leads.store.schema import SCHEMA
from smarketing import wallclock
from smarketing.sql import StorageFault, StorageUnavailable, Writer, open_database
from smarketing.sql.local_server import fresh_password
from tests.builders import postgres
from tests.builders.processes import until
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


@contextmanager
def a_server() -> Iterator[tuple[str, int, str]]:
    """Give a way to a server's database that no road leads on, its port, and the password of `kim`."""
    password = fresh_password()
    with postgres.server_of_ones_own() as server:
        assert server.port is not None
        direct = server.url("postgres")
        with psycopg.connect(direct, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE kim LOGIN SUPERUSER PASSWORD '{password}'")
            connection.execute("CREATE TABLE kept (number BIGINT PRIMARY KEY)")
        yield direct, server.port, password


@asynccontextmanager
async def a_road() -> AsyncIterator[There]:
    with a_server() as (direct, port, password):
        async with FaultProxy(("127.0.0.1", port)) as road:
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


async def test_a_question_that_follows_an_answer_at_once_is_not_waited_for_without_end_either() -> None:
    with a_server() as (direct, port, password):
        url = f"postgresql://kim:{password}@127.0.0.1:{port}/postgres"
        with psycopg.connect(direct) as holder:
            holder.execute("SELECT pg_advisory_lock(1)")
            with await asyncio.to_thread(open_database, url, statement_timeout=STATEMENT) as database:
                for _ in range(3):
                    with pytest.raises(StorageUnavailable) as cut, database.reading() as connection:
                        asked_without_end(connection)
                    # Not the server's own patience with locks, which is longer.
                    assert cut.value.fault is StorageFault.UNREACHABLE


async def test_an_answer_that_nobody_has_read_yet_is_no_silence() -> None:
    with a_server() as (direct, port, password), psycopg.connect(direct) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        url = f"postgresql://kim:{password}@127.0.0.1:{port}/postgres"
        database = await asyncio.to_thread(open_database, url, statement_timeout=STATEMENT)
        with database, closing(database.reader_engine.raw_connection()) as raw:
            driver: Any = raw.driver_connection
            # As whoever is stopped between a question and its answer.
            driver.pgconn.send_query(b"SELECT 1")
            with pytest.raises(StorageUnavailable) as cut, database.reading() as connection:
                asked_without_end(connection)
            assert cut.value.fault is StorageFault.UNREACHABLE
            assert driver.pgconn.get_result().get_value(0, 0) == b"1"
            assert driver.pgconn.get_result() is None
            assert driver.execute("SELECT 2").fetchone() == (2,)


def asked_without_end(connection: Connection) -> None:
    """Ask for what somebody else has, with two questions of which the first is answered at once."""
    connection.exec_driver_sql("SET LOCAL statement_timeout TO 0")
    connection.exec_driver_sql("SELECT pg_advisory_lock(1)")


async def swallows(road: FaultProxy, asking: "asyncio.Future[Any]") -> None:
    """Let the road take what is asked and lose it; it is open again, and nobody cuts the connection."""
    before, road.way = road.swallowed, Way.HALF_OPEN
    while road.swallowed == before and not asking.done():  # noqa: ASYNC110 -- the road tells nobody
        await asyncio.sleep(0.005)
    road.way = Way.PASS


async def test_a_table_that_takes_long_to_write_anew_is_waited_for_longer_than_any_other_silence() -> None:
    with a_server() as (direct, port, password):
        url = f"postgresql://kim:{password}@127.0.0.1:{port}/postgres"
        with await asyncio.to_thread(
            open_database, url, statement_timeout=STATEMENT, busy_timeout=timedelta(minutes=1)
        ) as database:
            with database.writer_engine.begin() as connection:
                SCHEMA.metadata.create_all(connection)
            copies = old_copies(database)
            assert copies is not None
            with psycopg.connect(direct) as holder:
                holder.execute("SELECT pg_advisory_lock(1)")
                holder.execute(f'LOCK TABLE "{SCHEMA.commands.idempotency.name}" IN ACCESS SHARE MODE')
                rewriting = asyncio.create_task(asyncio.to_thread(copies.rewrite))
                await until(lambda: asyncio.to_thread(waiting, direct, "VACUUM%"), bool)
                # Whoever asked later, and is not known to take long, is cut off: so was nobody before.
                with pytest.raises(StorageUnavailable) as cut, database.reading() as connection:
                    asked_without_end(connection)
                assert cut.value.fault is StorageFault.UNREACHABLE
                assert await asyncio.to_thread(waiting, direct, "VACUUM%") == 1
            assert await rewriting


def waiting(direct: str, statement: str) -> int:
    """Return how many statements of a kind wait for a lock, of sessions whose client is still there."""
    with psycopg.connect(direct) as connection:
        [(found,)] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s",
            [statement],
        ).fetchall()
    return int(found)


async def test_one_thread_looks_for_silence_however_often_there_was_no_connection() -> None:
    with a_server() as (_, port, password):
        url = f"postgresql://kim:{password}@127.0.0.1:{port}/postgres"
        before = set(threading.enumerate())
        with await asyncio.to_thread(open_database, url) as database:
            for _ in range(20):
                with database.reading() as connection:
                    assert kept(connection) == []
                database.forget_connections()
            with database.reading() as connection:
                assert kept(connection) == []
                looking = [
                    thread
                    for thread in threading.enumerate()
                    if thread.name == "silence" and thread not in before
                ]
                # One that ends in this moment was there before the one that goes on.
                for thread in looking[:-1]:
                    thread.join(0.5)
                assert [thread.is_alive() for thread in looking] == [False] * (len(looking) - 1) + [True]
