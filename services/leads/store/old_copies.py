"""Old bytes of rows that were changed or deleted: where they lie, and how they are got rid of."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import text

from services.leads.store.schema import SCHEMA
from smarketing.sql import Database, StorageUnavailable
from smarketing.sql.engine import sqlite_driver
from smarketing.sql.errors import storage_error_of

__all__ = ["OldCopies", "copies_in_file", "copies_on_server", "old_copies", "rewrite_file"]

_log = structlog.get_logger(__name__)

_LOCK_SECONDS: Final = 0.05
"""How long the write-ahead file's end is waited for: writers wait behind it."""
_LONGEST: Final = timedelta(minutes=10)
"""How long one table may take."""


@dataclass(frozen=True, slots=True)
class OldCopies:
    """What holds rows, and with them what they were before."""

    size_bytes: Callable[[], int]
    rewrite: Callable[[], bool]
    """Leave only what the rows are now; False when somebody is in the middle of something.

    Raises:
        StorageError: when storage is at fault, such as `StorageFull`: each table needs room for a second one.
    """


def old_copies(database: Database) -> OldCopies | None:
    """Return where the database keeps old copies; None for one in memory."""
    if database.is_remote:
        return copies_on_server(database)
    return None if database.path is None else copies_in_file(database.path)


def copies_in_file(path: Path) -> OldCopies:
    """Return those of a SQLite file."""
    return OldCopies(lambda: path.stat().st_size, partial(rewrite_file, path))


def copies_on_server(database: Database) -> OldCopies:
    """Return those in the tables of a database server; its own log and backups are its keeper's to expire."""
    return OldCopies(partial(_size_of_tables, database), partial(_rewrite_tables, database))


def rewrite_file(path: Path) -> bool:
    """Write the database anew, row by row, and cut its write-ahead file off; return whether that succeeded.

    A row that was changed or moved before leaves its old bytes in the unused part of a page, where nothing
    that is said of the row reaches them. Writers wait meanwhile, some ten seconds a gigabyte; a reader in the
    middle of a transaction, or a writer, prevents it for that moment.
    """
    driver = sqlite_driver()
    with closing(driver.connect(str(path), timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA secure_delete=ON").close()
            connection.execute("VACUUM").close()
        except driver.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                return False
            raise storage_error_of(error) or error from error
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _tables() -> list[str]:
    """Return the tables with rows of leads, and those with kept answers and secrets."""
    kept = {SCHEMA.commands.idempotency.name}
    return sorted(
        table.name
        for table in SCHEMA.metadata.sorted_tables
        if table.name in kept or not {"lead", "wrapped_key", "digest"}.isdisjoint(table.c.keys())
    )


def _size_of_tables(database: Database) -> int:
    query = text(
        "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)"
        " FROM unnest(CAST(:names AS text[])) name"
    )
    with database.reading() as connection:
        return int(connection.execute(query, {"names": _tables()}).scalar_one())


def _rewrite_tables(database: Database) -> bool:
    """Write each table anew into a file of its own; who asks for it waits for some seconds a gigabyte."""
    try:
        with closing(database.writer_engine.raw_connection()) as raw:
            connection: Any = raw.driver_connection
            try:
                database.let_take(connection, _LONGEST)
                connection.execute(f"SET statement_timeout TO '{_LONGEST // timedelta(seconds=1)}s'")
                for name in _tables():
                    connection.execute(f'VACUUM (FULL) "{name}"')
            finally:
                raw.invalidate()  # the session's settings were changed
    except Exception as error:
        refused = storage_error_of(error)
        if not isinstance(refused, StorageUnavailable):
            raise refused or error from error
        _log.info("old_copies_kept_for_now", reason=type(error).__name__)
        return False
    return True
