"""The tables that a service declares are those its migrations make."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, MetaData, inspect

from services.leads.store.schema import SCHEMA as LEADS
from services.reports.store.database import SCHEMA as REPORTS
from services.sla.store.schema import metadata as sla_metadata
from smarketing.sql import Database, migrate

SCHEMAS = {
    "services.leads.store.migrations": LEADS.metadata,
    "services.reports.store.migrations": REPORTS.metadata,
    "services.sla.store.migrations": sla_metadata,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A table as the database knows it, whatever the order in which its parts came."""

    columns: frozenset[tuple[object, ...]]
    foreign_keys: frozenset[tuple[object, ...]]
    indexes: frozenset[tuple[object, ...]]
    checks: frozenset[str]
    is_strict: bool
    lies_in_key_order: bool


@pytest.mark.parametrize("package", SCHEMAS)
def test_all_migrations_together_make_the_declared_schema(package: str) -> None:
    assert _migrated(package) == _created(SCHEMAS[package])


def _created(metadata: MetaData) -> dict[str, Described]:
    with Database.in_memory() as database:
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
        return _tables(database)


def _migrated(package: str) -> dict[str, Described]:
    with Database.in_memory() as database:
        migrate(database, package)
        tables = _tables(database)
    del tables["alembic_version"]
    return tables


def _tables(database: Database) -> dict[str, Described]:
    with database.reading() as connection:
        rows = _rows(connection, "SELECT name, wr, strict FROM pragma_table_list WHERE type = 'table'")
        return {
            name: _described(connection, name, is_strict=bool(strict), lies_in_key_order=bool(wr))
            for name, wr, strict in rows
            if not name.startswith("sqlite_")
        }


def _described(connection: Connection, table: str, *, is_strict: bool, lies_in_key_order: bool) -> Described:
    columns = 'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
    foreign_keys = (
        'SELECT id, seq, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?)'
    )
    return Described(
        columns=frozenset(_rows(connection, columns, table)),
        foreign_keys=frozenset(_rows(connection, foreign_keys, table)),
        indexes=frozenset(_indexes(connection, table)),
        checks=frozenset(each["sqltext"] for each in inspect(connection).get_check_constraints(table)),
        is_strict=is_strict,
        lies_in_key_order=lies_in_key_order,
    )


def _indexes(connection: Connection, table: str) -> list[tuple[object, ...]]:
    """Describe an index by its columns and, where it was created by a statement, by that statement."""
    listed = """
        SELECT list.name, list."unique", list.origin, list.partial, master.sql
        FROM pragma_index_list(?) list LEFT JOIN sqlite_master master ON master.name = list.name
    """
    keys = 'SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno'
    return [
        # What a key or a constraint brought is named by its number in the table, which nobody chose.
        (name if sql else "", *kind, " ".join((sql or "").split()), tuple(_rows(connection, keys, name)))
        for name, *kind, sql in _rows(connection, listed, table)
    ]


def _rows(connection: Connection, statement: str, *arguments: str) -> Sequence[tuple[str, ...]]:
    return [tuple(row) for row in connection.exec_driver_sql(statement, arguments)]
