"""What a long reader and damaged bytes do to a SQLite file (F12, F16)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from smarketing.sql import StorageCorrupt, Writer, open_database
from smarketing.sql.engine import sqlite_driver

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PAGE = 4096
MEBIBYTE = 1 << 20


def keep(connection: Connection, sizes: Sequence[int], _now: datetime) -> Sequence[int]:
    """Keep a value of each size."""
    for size in sizes:
        connection.exec_driver_sql("INSERT INTO kept (content) VALUES (randomblob(?))", (size,))
    return sizes


def count(path: Path) -> int:
    """Return how many values a file holds, as somebody who opens it for good sees it."""
    with open_database(f"sqlite:///{path}") as database, database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one())


def damage_a_page(path: Path) -> None:
    """Turn the bits at the head of a page in the middle, for which nobody has asked yet."""
    content = bytearray(path.read_bytes())
    middle = len(content) // PAGE // 2 * PAGE
    content[middle : middle + 16] = bytes(byte ^ 0xFF for byte in content[middle : middle + 16])
    path.write_bytes(content)


def copied_with_damage(path: Path, copy: Path, after_bytes: int) -> None:
    """Copy both files as a process leaves them that was killed, and turn a bit of the second one."""
    copy.write_bytes(path.read_bytes())
    ahead = bytearray(path.with_name(f"{path.name}-wal").read_bytes())
    ahead[after_bytes + 50] ^= 1
    copy.with_name(f"{copy.name}-wal").write_bytes(ahead)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with open_database(f"sqlite:///{path}") as database, database.writer_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (number INTEGER PRIMARY KEY, content BLOB)")
    return path


async def test_a_long_reader_lets_the_write_ahead_log_grow_and_not_for_ever(path: Path) -> None:
    ahead = path.with_name("store.db-wal")
    with open_database(f"sqlite:///{path}") as database:
        async with Writer(database, now=lambda: NOON) as writer:
            with database.reading() as reader:
                before = reader.exec_driver_sql("SELECT count(*) FROM kept").scalar_one()
                for _ in range(72):
                    await writer.run(keep, [MEBIBYTE])
                held = reader.exec_driver_sql("SELECT count(*) FROM kept").scalar_one()
                grown = ahead.stat().st_size
            # The next one who writes carries it over, and starts again at the front.
            for _ in range(3):
                await writer.run(keep, [MEBIBYTE])
            cut = ahead.stat().st_size

    assert (before, held) == (0, 0)
    assert grown > 72 * MEBIBYTE
    assert cut <= 65 * MEBIBYTE, "the log kept its size"
    assert count(path) == 75


async def test_a_damaged_page_is_found_at_the_start_and_nothing_is_served(path: Path) -> None:
    with open_database(f"sqlite:///{path}") as database:
        async with Writer(database, now=lambda: NOON) as writer:
            await writer.run(keep, [500] * 400)
    damage_a_page(path)

    with pytest.raises(StorageCorrupt):
        open_database(f"sqlite:///{path}")


async def test_a_damaged_end_of_the_write_ahead_log_loses_its_end_and_nothing_before(path: Path) -> None:
    copy = path.with_name("copy.db")
    sizes: list[int] = []
    with open_database(f"sqlite:///{path}") as database:
        async with Writer(database, now=lambda: NOON) as writer:
            for _ in range(40):
                await writer.run(keep, [3_000])
                sizes.append(path.with_name("store.db-wal").stat().st_size)
            copied_with_damage(path, copy, sizes[29])

    assert count(copy) == 30


def test_a_file_that_is_no_database_is_told_from_an_empty_one(tmp_path: Path) -> None:
    strange = tmp_path / "strange.db"
    strange.write_bytes(b"this is a letter to somebody, and has been for years" * 100)

    with pytest.raises(StorageCorrupt):
        open_database(f"sqlite:///{strange}")
    assert sqlite_driver().sqlite_version_info >= (3, 51, 3)
