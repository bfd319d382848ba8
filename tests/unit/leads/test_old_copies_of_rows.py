"""What was changed or deleted is not left in the unused parts of the database's file."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, select

from services.leads.store.old_copies import copies_in_file, old_copies, rewrite_file
from services.leads.store.schema import SCHEMA
from services.leads.store.transaction import By
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.forgetting import Forgetter
from smarketing.server.idempotency import IdempotencyKey, IdempotencyRecord, keep_records
from smarketing.sql.engine import sqlite_driver
from tests.builders import postgres
from tests.builders.leads import FORM, House, a_submission
from tests.builders.stores import STORE_VARIABLE, Store

MARK = "what somebody once said"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Give a database in which rows were changed long before anybody asked for zeros."""
    path = tmp_path / "some.db"
    with closing(sqlite_driver().connect(str(path), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA secure_delete=OFF").close()
        connection.execute("CREATE TABLE said (id TEXT PRIMARY KEY, words TEXT) WITHOUT ROWID").close()
        rows = [(f"{number * 7919 % 1000:04}", f"{MARK} {number}") for number in range(1000)]
        connection.executemany("INSERT INTO said VALUES (?, ?)", rows).close()
        connection.execute("UPDATE said SET words = ''").close()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        assert MARK.encode() in path.read_bytes()
        yield path


def _left(path: Path) -> bool:
    files = [path, path.with_name(f"{path.name}-wal")]
    return any(MARK.encode() in each.read_bytes() for each in files if each.exists())


def test_no_old_copy_of_a_row_is_left_in_a_rewritten_file(file: Path) -> None:
    assert rewrite_file(file)

    assert not _left(file)
    with closing(sqlite_driver().connect(str(file))) as connection:
        assert connection.execute("SELECT count(*) FROM said").fetchone() == (1000,)


def test_a_writer_in_the_middle_of_something_delays_it(file: Path) -> None:
    with closing(sqlite_driver().connect(str(file), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE").close()
        assert not rewrite_file(file)
        writer.execute("COMMIT").close()

    assert rewrite_file(file)


async def test_a_large_file_is_rewritten_once_a_day_for_all_who_were_erased_since(file: Path) -> None:
    async with House() as house:
        forgetter = Forgetter(
            house.store,
            CollectorRegistry(),
            now=lambda: house.now,
            copies=copies_in_file(file),
            small_bytes=0,
        )

        async def erase(number: int) -> None:
            [submitted] = await house.submit(a_submission(number))
            subject = Subject(tenant="default", lead=submitted.handoff.id.lead)
            await house.one(erase_subjects, EraseSubject(subject=subject, by=By(FORM)))
            house.later(seconds=1)

        await erase(1)
        assert await forgetter.finish_once() == 1
        await erase(2)
        await erase(3)
        assert await forgetter.finish_once() == 0
        house.now += timedelta(days=1)
        assert await forgetter.finish_once() == 2


async def test_no_old_copy_of_a_row_is_left_in_the_tables_of_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(STORE_VARIABLE, Store.POSTGRESQL)
    table = SCHEMA.commands.idempotency
    async with House() as house:
        copies = old_copies(house.database)
        assert copies is not None
        with house.database.writer_engine.begin() as connection:
            key = IdempotencyKey("default", "people/kim", "/m", "r1")
            keep_records(table, connection, [IdempotencyRecord(key, b"f", MARK.encode())], now=house.now)
        with house.database.writer_engine.begin() as connection:
            connection.execute(delete(table))
        assert _is_in_tables()

        with house.database.reading() as reading:
            reading.execute(select(table)).all()
            assert not copies.rewrite()
        assert copies.rewrite()

        assert copies.size_bytes() > 0
        assert not _is_in_tables()


def _is_in_tables() -> bool:
    """Whether the mark is anywhere in the files of the server's databases, once they are on the disk."""
    with psycopg.connect(postgres.url_of("postgres", user=postgres.OWNER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    base = postgres.server().folder / "data" / "base"
    return any(MARK.encode() in each.read_bytes() for each in base.rglob("*") if each.is_file())
