"""SQLite databases that begin as a template is: migrated or prepared once a process, copied for each test.

What `postgres.template` is for the other store. A copy of a file lies in memory where there is room, since
no test takes the power away.
"""

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from smarketing.sql import Database, migrate
from smarketing.sql.engine import sqlite_driver

_ROOM_BYTES: Final = 1024**3

_prepared: dict[str, Any] = {}
"""Name → the driver's connection to a database in memory that nobody changes."""

_numbers = itertools.count(1)


def fill(database: Database, name: str, prepare: Callable[[Database], None]) -> None:
    """Make an empty database in memory like the template, which `prepare` fills when first asked for."""
    with closing(database.writer_engine.raw_connection()) as connection:
        _template(name, prepare).backup(connection.driver_connection)


def fill_migrated(database: Database, migrations: str) -> None:
    """Bring an empty database in memory to the newest schema of a service's `migrations`."""
    fill(database, migrations, lambda template: _migrated(template, migrations))


@contextmanager
def a_migrated_file(migrations: str) -> Iterator[str]:
    """Give the URL of a new file at the newest schema of a service's `migrations`; it goes at the end."""
    folder = _folder() / str(next(_numbers))
    folder.mkdir()
    path = shutil.copyfile(_file(migrations), folder / "store.db")
    try:
        yield f"sqlite:///{path}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _template(name: str, prepare: Callable[[Database], None]) -> Any:
    if name not in _prepared:
        kept = sqlite_driver().connect(":memory:", check_same_thread=False)
        with Database.in_memory() as made:
            prepare(made)
            with closing(made.writer_engine.raw_connection()) as connection:
                connection.driver_connection.backup(kept)
        _prepared[name] = kept
        atexit.register(kept.close)
    return _prepared[name]


def _migrated(database: Database, migrations: str) -> None:
    migrate(database, migrations)


@cache
def _file(migrations: str) -> Path:
    path = _folder() / f"{migrations}.db"
    with closing(sqlite_driver().connect(path)) as file:
        _template(migrations, lambda template: _migrated(template, migrations)).backup(file)
        # As the service itself would, so that no copy has to be changed over.
        file.execute("PRAGMA journal_mode=WAL")
    return path


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="smarketing-templates-", dir=memory if roomy else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
