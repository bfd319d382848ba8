"""What PostgreSQL and replicas around it can do to us, and what callers learn of it (F8, F40, F54, F57)."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, MetaData, text

from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity, last_record_time, read
from smarketing.eventlog.tables import define_tables
from smarketing.sql import (
    CommitUnknown,
    Database,
    DatabaseUnsupported,
    StorageCorrupt,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnavailable,
    Writer,
    migrate,
    open_database,
)
from smarketing.sql.local_server import fresh_password
from tests.builders import postgres
from tests.faults.harness.proxy import FaultProxy, Way

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOG_ID = "6f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c11"
PATIENCE = timedelta(milliseconds=300)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url, open_database(url) as database:
        metadata = MetaData()
        define_tables(metadata)
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
            ensure_identity(connection, new_log_id=lambda: LOG_ID)
            connection.execute(text("CREATE TABLE kept (number BIGINT PRIMARY KEY, amount BIGINT NOT NULL)"))
            connection.execute(text("INSERT INTO kept VALUES (0, 0)"))
        yield url


@pytest.fixture
async def replica(url: str) -> AsyncIterator[Callable[..., Writer]]:
    """Start a replica of the service that owns the database, with a clock of its own."""
    async with AsyncExitStack() as stack:

        def start(now: Callable[[], datetime] = lambda: NOON, **settings: timedelta) -> Writer:
            database = stack.enter_context(open_database(url, **{"busy_timeout": PATIENCE, **settings}))
            writer = Writer(database, now=now, not_before=last_record_time)
            stack.push_async_callback(writer.close)
            return writer

        yield start


def add(connection: Connection, amounts: Sequence[int], _now: datetime) -> list[int]:
    """Add to what is kept by reading it first, as a decision does."""
    for amount in amounts:
        before = connection.execute(text("SELECT amount FROM kept WHERE number = 0")).scalar_one()
        connection.execute(text("UPDATE kept SET amount = :a WHERE number = 0"), {"a": before + amount})
    return list(amounts)


def kept(connection: Connection) -> int:
    return int(connection.execute(text("SELECT amount FROM kept WHERE number = 0")).scalar_one())


def an_event(name: str) -> NewEvent:
    return NewEvent(
        tenant="tenants/acme",
        subject=f"tenants/acme/leads/{name}",
        occur_time=NOON,
        actor="people/kim",
        payload=StringValue(value=name),
    )


def tell(connection: Connection, names: Sequence[str], now: datetime) -> list[datetime]:
    """Record an event each, and answer with the transaction's instant."""
    append(connection, [an_event(name) for name in names], now=now)
    return [now] * len(names)


async def test_what_replicas_decide_from_what_they_read_is_never_lost(
    replica: Callable[..., Writer],
) -> None:
    # Patience for others must outlast all of them: the test is about turns, not about waiting.
    writers = [replica(busy_timeout=timedelta(seconds=30)) for _ in range(3)]

    await asyncio.gather(*(writer.run(add, [1]) for writer in writers for _ in range(20)))

    assert await writers[0].read(kept) == 60


async def test_replicas_record_one_log_without_hole_in_which_time_never_goes_back(
    replica: Callable[..., Writer],
) -> None:
    early = replica(lambda: NOON)
    late = replica(lambda: NOON + timedelta(hours=1))

    [first] = await early.run(tell, ["a"])
    [second] = await late.run(tell, ["b"])
    [third] = await early.run(tell, ["c"])

    assert (first, second, third) == (NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=1))
    events = (await early.read(lambda c: read(c, "tenants/-", after=0, limit=10))).events
    assert [event.position for event in events] == [1, 2, 3]
    recorded = [event.record_time.ToDatetime(tzinfo=UTC) for event in events]
    assert recorded == [first, second, third]


async def test_a_transaction_that_is_open_elsewhere_is_waited_for_and_then_given_up(
    replica: Callable[..., Writer], url: str
) -> None:
    writer = replica()
    with open_database(url) as other, other.writer_engine.begin():
        with pytest.raises(StorageUnavailable) as refusal:
            await writer.run(add, [1])
        assert refusal.value.fault is StorageFault.LOCKED
        assert await writer.read(kept) == 0

    assert await writer.run(add, [1]) == [1]


async def test_a_reader_sees_one_state_and_is_refused_every_write(url: str) -> None:
    with open_database(url) as database:
        with database.reading() as connection:
            before = kept(connection)
            with database.writer_engine.begin() as writing:
                add(writing, [5], NOON)
            assert kept(connection) == before
        with pytest.raises(Exception, match="read-only transaction"), database.reading() as connection:
            add(connection, [1], NOON)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("53100", StorageFull),
        ("25006", StorageFault.READ_ONLY),
        ("57014", StorageFault.TIMED_OUT),
        ("58030", StorageFault.INPUT_OUTPUT),
        ("57P01", StorageFault.UNREACHABLE),
        ("XX001", StorageCorrupt),
    ],
)
async def test_what_the_server_says_of_itself_is_told_as_what_it_is(
    replica: Callable[..., Writer], code: str, expected: StorageFault | type[StorageError]
) -> None:
    writer = replica()

    with pytest.raises(StorageError) as refusal:
        await writer.run(_raising(code, times=10_000), [1])

    said = refusal.value
    assert (said.fault if isinstance(said, StorageUnavailable) else type(said)) == expected
    assert await writer.run(add, [1]) == [1]


@pytest.mark.parametrize("code", ["40P01", "40001", "08006"])
async def test_what_passes_is_begun_anew_as_a_whole(replica: Callable[..., Writer], code: str) -> None:
    writer = replica()
    unit = _raising(code, times=2)

    assert await writer.run(unit, [7]) == [7]
    assert await writer.read(kept) == 7


def _raising(code: str, *, times: int) -> Callable[[Connection, Sequence[int], datetime], list[int]]:
    """Return a unit that adds, and whose server then fails so many times."""
    left = iter(range(times))

    def unit(connection: Connection, amounts: Sequence[int], now: datetime) -> list[int]:
        added = add(connection, amounts, now)
        if next(left, None) is not None:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return added

    return unit


async def test_connections_that_died_while_nobody_used_them_are_replaced(
    replica: Callable[..., Writer], url: str
) -> None:
    writer = replica()
    await writer.run(add, [1])
    _end_sessions(url)

    assert await writer.run(add, [1]) == [1]
    await asyncio.gather(*(writer.read(_slowly) for _ in range(4)))
    _end_sessions(url)
    assert await writer.read(kept) == 2


def _slowly(connection: Connection) -> None:
    """Take a reader of one's own: nobody is done before all have begun."""
    connection.exec_driver_sql("SELECT pg_sleep(0.1)")


def _end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_commit_waits_for_what_the_server_is_told_to_wait_for(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit TO 'on'")

    with open_database(url) as database, database.writer_engine.connect() as writing:
        assert writing.execute(text("SHOW synchronous_commit")).scalar_one() == "on"


async def test_a_connection_lost_at_the_commit_leaves_the_outcome_unknown_and_says_so(
    replica: Callable[..., Writer],
) -> None:
    writer = replica()
    begun: list[int] = []

    def doomed(connection: Connection, amounts: Sequence[int], now: datetime) -> list[int]:
        begun.extend(amounts)
        connection.exec_driver_sql(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON kept DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION die()"
        )
        return add(connection, amounts, now)

    with pytest.raises(CommitUnknown):
        await writer.run(doomed, [1])
    # Here it did not happen, which only asking again can tell: it is not done a second time by itself.
    assert (await writer.read(kept), begun) == (0, [1])


async def test_a_statement_that_takes_too_long_is_ended(replica: Callable[..., Writer]) -> None:
    writer = replica(statement_timeout=timedelta(milliseconds=100))

    def sleep(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT pg_sleep(30)")

    with pytest.raises(StorageUnavailable) as refusal:
        await writer.read(sleep)
    assert refusal.value.fault is StorageFault.TIMED_OUT


async def test_the_servers_clock_decides_where_there_is_a_server(replica: Callable[..., Writer]) -> None:
    writer = replica()
    clock = writer.database.clock(lambda: NOON)

    def servers_time(connection: Connection) -> datetime:
        return datetime.fromisoformat(
            str(connection.execute(text("SELECT clock_timestamp()::text")).scalar())
        )

    before = clock()
    told = await writer.read(servers_time)

    assert before <= told
    assert told - clock() < timedelta(seconds=1)
    with Database.in_memory() as database:
        assert database.clock(lambda: NOON)() == NOON


def test_every_session_is_bounded_named_and_in_utc(url: str) -> None:
    with open_database(url) as database, database.reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "timezone",
                "application_name",
                "transaction_isolation",
            )
        }

    assert settings == {
        "statement_timeout": "30s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "1min",
        "timezone": "UTC",
        "application_name": "smarketing-reader",
        "transaction_isolation": "repeatable read",
    }


def test_services_in_schemas_of_one_database_neither_meet_nor_wait_for_one_another(url: str) -> None:
    with open_database(f"{url}&schema=sla") as sla, open_database(f"{url}&schema=leads") as leads:
        for database in (sla, leads):
            with database.migrating() as connection:
                connection.execute(text("CREATE TABLE own (number BIGINT)"))
        with sla.writer_engine.begin() as one, leads.writer_engine.begin() as other:
            one.execute(text("INSERT INTO own VALUES (1)"))
            assert other.execute(text("SELECT count(*) FROM own")).scalar_one() == 0


def test_a_database_that_keeps_texts_otherwise_than_in_the_order_of_utf_8_is_refused() -> None:
    with psycopg.connect(postgres.url_of("postgres", user=postgres.OWNER), autocommit=True) as connection:
        connection.execute("CREATE DATABASE in_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with pytest.raises(DatabaseUnsupported, match=r"LOCALE 'C.UTF-8'"):
        open_database(postgres.url_of("in_ascii"))


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(StorageUnavailable) as refusal:
        open_database("postgresql://kim:canary-secret@127.0.0.1:1/leads")

    told = [str(refusal.value), repr(refusal.value)]
    cause: BaseException | None = refusal.value
    while cause is not None:
        told.append(f"{cause!r} {cause}")
        cause = cause.__cause__ or cause.__context__
    assert refusal.value.fault is StorageFault.UNREACHABLE
    assert not [each for each in told if "canary-secret" in each]


STEP = """
    from alembic import op
    revision = "0001"
    down_revision = None
    def upgrade() -> None:
        op.execute("CREATE TABLE offer (name TEXT PRIMARY KEY)")
        op.execute("SELECT pg_sleep(0.3)")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "steps_of_postgres").mkdir()
    (tmp_path / "steps_of_postgres" / "0001_step.py").write_text(dedent(STEP))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return "steps_of_postgres"


def test_of_twenty_replicas_that_start_together_one_migrates_and_all_are_ready(
    url: str, package: str
) -> None:
    start = threading.Barrier(20)

    def replica_starts(_number: int) -> str:
        # Patience for a lock is far shorter than the migration, which all the others wait for.
        with open_database(url, reader_count=1, busy_timeout=timedelta(milliseconds=50)) as database:
            start.wait(30)
            return migrate(database, package)

    with ThreadPoolExecutor(20) as threads:
        reached = list(threads.map(replica_starts, range(20)))

    assert reached == ["0001"] * 20


def test_a_migration_does_not_queue_for_a_table_in_front_of_its_readers(url: str) -> None:
    def alter(database: Database) -> None:
        with database.migrating() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
            connection.exec_driver_sql("SET LOCAL lock_timeout TO '100ms'")
            connection.exec_driver_sql("ALTER TABLE kept ADD COLUMN more BIGINT")

    with open_database(url) as database, open_database(url) as other:
        with other.reading() as reading:
            kept(reading)
            with pytest.raises(StorageUnavailable) as refusal:
                alter(database)
            assert refusal.value.fault is StorageFault.LOCKED
        alter(database)


async def test_a_commit_whose_answer_is_lost_happened_once_and_is_told_as_unknown() -> None:
    password = fresh_password()
    with postgres.server_of_ones_own() as server:
        assert server.port is not None
        direct = server.url("postgres")
        with psycopg.connect(direct, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE kim LOGIN SUPERUSER PASSWORD '{password}'")
            connection.execute("CREATE TABLE kept (number BIGINT, amount BIGINT)")
            connection.execute("INSERT INTO kept VALUES (0, 0)")
        async with FaultProxy(("127.0.0.1", server.port)) as road:
            url = f"postgresql://kim:{password}@{road.address}/postgres"
            with await asyncio.to_thread(open_database, url, busy_timeout=PATIENCE) as database:
                await _lose_the_answer(database, road, direct)


async def _lose_the_answer(database: Database, road: FaultProxy, direct: str) -> None:
    begun: list[int] = []

    def unit(connection: Connection, amounts: Sequence[int], now: datetime) -> list[int]:
        begun.extend(amounts)
        added = add(connection, amounts, now)
        road.way = Way.ONE_WAY  # what is said from here on arrives, and no answer to it
        return added

    def amount() -> int:
        with psycopg.connect(direct) as connection:
            [(found,)] = connection.execute("SELECT amount FROM kept").fetchall()
        return int(found)

    async with Writer(database, now=lambda: NOON) as writer:
        running = asyncio.ensure_future(writer.run(unit, [1]))
        async with asyncio.timeout(30):
            while await asyncio.to_thread(amount) == 0:  # noqa: ASYNC110 -- the server tells nobody
                await asyncio.sleep(0.01)
        road.cut()

        with pytest.raises(CommitUnknown):
            await running

    assert (await asyncio.to_thread(amount), begun) == (1, [1])
