"""Which database the services of a test store in: SQLite, or PostgreSQL with STORE=postgresql.

Suites about what is stored run on both; all others on SQLite, unless the environment says otherwise.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Row, inspect, make_url, text

from smarketing.sql import Database, migrate, open_database
from tests.builders import postgres, templates

STORE_VARIABLE: Final = "STORE"


class Store(StrEnum):
    """A kind of database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def store() -> Store:
    """Return the store that the environment names."""
    return Store(os.environ.get(STORE_VARIABLE) or Store.SQLITE)


@contextmanager
def a_url(migrations: str = "") -> Iterator[str]:
    """Give the URL of a new database: an empty one, or one at the newest schema of a service's `migrations`.

    An empty one of SQLite is in memory, and as many as open it have one each.
    """
    if store() is Store.SQLITE:
        with templates.a_migrated_file(migrations) if migrations else nullcontext("sqlite://") as url:
            yield url
        return
    template = "template0"
    if migrations:
        template = postgres.template(migrations.replace(".", "_"), partial(_migrated, migrations))
    with postgres.database(template) as url:
        yield _in_schema(url, migrations) if migrations else url


@contextmanager
def a_database(name: str, prepare: Callable[[Connection], None]) -> Iterator[Database]:
    """Give a new database in which `prepare` made tables; what goes by one `name` is always made alike."""
    if store() is Store.SQLITE:
        with Database.in_memory() as database:
            templates.fill(database, name, lambda template: _prepared(template, prepare))
            yield database
        return
    template = postgres.template(name, partial(_prepared_at, prepare))
    with postgres.database(template) as url, open_database(url) as database:
        yield database


def every_row(connection: Connection) -> list[Row[Any]]:
    """Return all that a database holds."""
    tables = (text(f'SELECT * FROM "{name}"') for name in inspect(connection).get_table_names())
    return [row for table in tables for row in connection.execute(table)]


def skip_unless_sqlite(reason: str) -> None:
    """Skip a test about what only SQLite has: its plans, its files."""
    if store() is not Store.SQLITE:
        pytest.skip(reason)


def _in_schema(url: str, migrations: str) -> str:
    """Name the schema that the service of these migrations keeps to by itself."""
    service = migrations.split(".")[1]
    return make_url(url).update_query_dict({"schema": service}).render_as_string(hide_password=False)


def _migrated(migrations: str, url: str) -> None:
    with open_database(_in_schema(url, migrations)) as database:
        migrate(database, migrations)


def _prepared_at(prepare: Callable[[Connection], None], url: str) -> None:
    with open_database(url) as database:
        _prepared(database, prepare)


def _prepared(database: Database, prepare: Callable[[Connection], None]) -> None:
    with database.writer_engine.begin() as connection:
        prepare(connection)
