"""What the disk can do to a SQLite file, and what callers learn of it (F11, F13, F14, F15)."""

import asyncio
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from smarketing.sql import StorageFault, StorageFull, StorageUnavailable, Writer, open_database
from smarketing.sql.engine import sqlite_driver

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_sqlite = sqlite_driver()


def _keep(connection: Connection, sizes: Sequence[int], _now: datetime) -> Sequence[int]:
    for size in sizes:
        connection.exec_driver_sql("INSERT INTO kept (content) VALUES (zeroblob(?))", (size,))
    return sizes


def _sizes(connection: Connection) -> list[int]:
    return list(connection.exec_driver_sql("SELECT length(content) FROM kept ORDER BY number").scalars())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    with open_database(f"sqlite:///{path}", busy_timeout=timedelta(milliseconds=20)) as database:
        with database.writer_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE kept (number INTEGER PRIMARY KEY, content BLOB)")
        async with Writer(database, now=lambda: NOON) as writer:
            yield writer


async def test_a_foreign_lock_is_refused_in_time_and_forgotten_when_it_goes(
    writer: Writer, path: Path
) -> None:
    foreign = _sqlite.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")

    results = await asyncio.gather(*(writer.run(_keep, [n]) for n in range(20)), return_exceptions=True)

    assert {result.fault for result in results if isinstance(result, StorageUnavailable)} == {
        StorageFault.LOCKED
    }
    assert await writer.read(_sizes) == []
    foreign.execute("ROLLBACK")
    foreign.close()
    assert await writer.run(_keep, [1]) == [1]


async def test_a_database_at_its_size_limit_refuses_what_does_not_fit_and_serves_on(writer: Writer) -> None:
    def limit(connection: Connection, pages: Sequence[int], _now: datetime) -> Sequence[int]:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages[0]}")
        return pages

    await writer.run(limit, [20])
    small, large = await asyncio.gather(
        writer.run(_keep, [10]), writer.run(_keep, [1_000_000]), return_exceptions=True
    )

    assert small == [10]
    assert isinstance(large, StorageFull)
    assert await writer.read(_sizes) == [10]
    await writer.run(limit, [100_000])
    assert await writer.run(_keep, [1_000_000]) == [1_000_000]


@contextmanager
def _file_size_limit(limit_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_full_disk_is_refused_as_full_and_recovers_without_a_restart(
    writer: Writer, path: Path
) -> None:
    await writer.run(_keep, [10])
    with _file_size_limit(path.with_name("store.db-wal").stat().st_size + 100_000):
        with pytest.raises(StorageFull):
            await writer.run(_keep, [1_000_000])
        assert await writer.read(_sizes) == [10]

    assert await writer.run(_keep, [1_000_000]) == [1_000_000]
    assert await writer.read(_sizes) == [10, 1_000_000]


async def test_a_database_that_turned_read_only_refuses_writes_and_answers_reads(writer: Writer) -> None:
    await writer.run(_keep, [1])

    def read_only(connection: Connection, requests: Sequence[int], _now: datetime) -> Sequence[int]:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("DELETE FROM kept")
        return requests

    with pytest.raises(StorageUnavailable) as refusal:
        await writer.run(read_only, [1])

    assert refusal.value.fault is StorageFault.READ_ONLY
    assert await writer.read(_sizes) == [1]
    # The connection that met the fault was replaced.
    assert await writer.run(_keep, [2]) == [2]


@pytest.fixture
def copy_of(path: Path, tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", folder / f"store.db{suffix}")
        return folder / "store.db"

    return copy


async def test_the_files_as_a_power_cut_leaves_them_hold_every_answered_write(
    writer: Writer, copy_of: Callable[[str], Path]
) -> None:
    for number in range(1, 6):
        await writer.run(_keep, [number])
        copy = _sqlite.connect(copy_of(f"cut{number}"))

        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [row[0] for row in copy.execute("SELECT length(content) FROM kept")] == list(
            range(1, number + 1)
        )
        copy.close()


@pytest.mark.needs("strace")
def test_at_least_one_sync_lies_between_a_write_and_its_answer(path: Path, tmp_path: Path) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from datetime import UTC, datetime\n"
        "from smarketing.sql import Writer, open_database\n"
        "def keep(connection, requests, now):\n"
        "    connection.exec_driver_sql('CREATE TABLE IF NOT EXISTS kept (a INTEGER)')\n"
        "    connection.exec_driver_sql('INSERT INTO kept VALUES (1)')\n"
        "    return requests\n"
        "async def main():\n"
        "    with open_database(sys.argv[1]) as database:\n"
        "        async with Writer(database, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as writer:\n"
        "            for _ in range(20):\n"
        "                await writer.run(keep, [1])\n"
        "                os.write(1, b'answered')\n"
        "asyncio.run(main())\n"
    )
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-e",
        "trace=fdatasync,fsync,write",
        "-o",
        str(trace),
        sys.executable,
        "-c",
        script,
    ]
    subprocess.run([*command, f"sqlite:///{path}"], check=True, capture_output=True)

    synced, unsynced_answers = False, 0
    for line in trace.read_text().splitlines():
        synced = synced or "sync(" in line
        if '"answered"' in line:
            unsynced_answers += not synced
            synced = False
    assert unsynced_answers == 0
