"""The tables that a service declares are those its migrations make."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import Connection, MetaData, inspect

from services.leads.store.schema import SCHEMA as LEADS
from services.reports.store.database import SCHEMA as REPORTS
from services.sla.store.schema import metadata as sla_metadata
from smarketing.sql import Database, migrate, open_database
from tests.builders import postgres

SCHEMAS = {
    "services.leads.store.migrations": LEADS.metadata,
    "services.reports.store.migrations": REPORTS.metadata,
    "services.sla.store.migrations": sla_metadata,
}
_OF_MIGRATIONS = {"alembic_version", "schema_promise"}


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


@pytest.mark.parametrize("package", SCHEMAS)
def test_all_migrations_together_make_the_declared_schema_on_postgresql(package: str) -> None:
    with postgres.database() as url, open_database(url) as database:
        migrate(database, package)
        migrated = _in_postgres(database)
    with postgres.database() as url, open_database(url) as database:
        # As a migration is: the wall between tenants is raised at its end.
        with database.migrating() as connection:
            SCHEMAS[package].create_all(connection)
        created = _in_postgres(database)

    assert migrated - created == set()
    assert created - migrated == set()


def _in_postgres(database: Database) -> frozenset[tuple[str, ...]]:
    """Return each column, index and constraint in the words of the database, but for alembic's own."""
    statements = (
        (
            "SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,"
            " coalesce(pg_get_expr(d.adbin, d.adrelid), '')"
            " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
            " AND NOT a.attisdropped"
        ),
        "SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        (
            "SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        ),
        "SELECT 'policy', tablename, policyname, coalesce(qual, '') FROM pg_policies",
        (
            "SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE NOT tgisinternal"
        ),
    )
    with database.reading() as connection:
        rows = [tuple(row) for each in statements for row in connection.exec_driver_sql(each)]
    return frozenset(row for row in rows if row[1] not in _OF_MIGRATIONS)


def _created(metadata: MetaData) -> dict[str, Described]:
    with Database.in_memory() as database:
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
        return _tables(database)


def _migrated(package: str) -> dict[str, Described]:
    with Database.in_memory() as database:
        migrate(database, package)
        tables = _tables(database)
    return {name: table for name, table in tables.items() if name not in _OF_MIGRATIONS}


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
