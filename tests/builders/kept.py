"""Databases that outlast a process under test, or go when the object that holds them does."""

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from smarketing.sql import Database, open_database
from tests.builders.stores import Store, a_url, store
from tests.builders.templates import fill_migrated

__all__ = ["a_kept_database", "a_lasting_url", "a_url_for"]

_of_folders: dict[Path, str] = {}
_until_the_end = ExitStack()


@contextmanager
def a_lasting_url(migrations: str) -> Iterator[str]:
    """Give the URL of a new database that is there after a restart: at the newest schema of `migrations`.

    Without them it is empty, and the URL too for a file in the data folder.
    """
    if store() is Store.SQLITE and not migrations:
        yield ""
        return
    with a_url(migrations) as url:
        yield url


def a_url_for(data_dir: Path) -> str:
    """Return the URL of the database that belongs to a data folder, whoever starts on it; empty for files."""
    if data_dir not in _of_folders:
        # It goes with its server, at the end of the tests.
        _of_folders[data_dir] = _until_the_end.enter_context(a_lasting_url(""))
    return _of_folders[data_dir]


def a_kept_database(migrations: str) -> Database:
    """Return a new database of the store in use, at the newest schema; SQLite's is in memory."""
    place = ExitStack()
    if store() is Store.SQLITE:
        database = Database.in_memory()
        fill_migrated(database, migrations)
    else:
        database = open_database(place.enter_context(a_url(migrations)))
    engines = (database.reader_engine, database.writer_engine)

    def drop() -> None:
        for engine in engines:
            engine.dispose()
        place.close()

    # What is left at the end of the process goes with its server.
    weakref.finalize(database, drop).atexit = False
    return database
