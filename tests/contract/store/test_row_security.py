"""The second wall between tenants (F62): the database refuses a transaction every other tenant's rows."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Boolean, Column, Connection, LargeBinary, MetaData, Table, Text, insert, select, text
from sqlalchemy.exc import ProgrammingError

from smarketing.sql import Database, UtcMicros, Writer, open_database
from smarketing.sql.migrate import migrate
from smarketing.sql.tenancy import confine_to, confined
from tests.builders import postgres
from tests.contract.store.test_schemas import SCHEMAS

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
A, B = "acme", "blue"
TABLES = {
    f"{package.split('.')[1]}.{table.name}": (package, table)
    for package, metadata in SCHEMAS.items()
    for table in metadata.sorted_tables
    if "tenant" in table.c
}


@pytest.fixture(scope="module")
def databases() -> Iterator[dict[str, Database]]:
    """Give each service's database, migrated, with a row of each tenant in every table that has tenants."""
    opened: dict[str, Database] = {}
    with _several() as urls:
        for package, url in urls.items():
            opened[package] = open_database(url)
            migrate(opened[package], package)
            _fill(url, SCHEMAS[package])
        yield opened
        for database in opened.values():
            database.close()


@contextmanager
def _several() -> Iterator[dict[str, str]]:
    with postgres.database() as one, postgres.database() as two, postgres.database() as three:
        yield dict(zip(SCHEMAS, (one, two, three), strict=True))


def _fill(url: str, metadata: MetaData) -> None:
    """Put the rows in as who stands above everything, keys of other tables aside: they are not the matter."""
    name = url.partition("?")[0].rpartition("/")[2]
    owners = open_database(postgres.url_of(name, user=postgres.OWNER))
    with owners as database, database.writer_engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role TO replica"))
        for table in metadata.sorted_tables:
            if "tenant" in table.c:
                connection.execute(insert(table), [_row(table, A, 1), _row(table, B, 2)])


def _row(table: Table, tenant: str, number: int) -> dict[str, Any]:
    return {
        column.name: tenant if column.name == "tenant" else _value(column, number) for column in table.columns
    }


def _value(column: Column[Any], number: int) -> Any:
    if isinstance(column.type, Text):
        return str(number)
    if isinstance(column.type, LargeBinary):
        return bytes([number])
    if isinstance(column.type, UtcMicros):
        return NOON
    return True if isinstance(column.type, Boolean) else number


@pytest.mark.parametrize("name", TABLES)
def test_a_transaction_confined_to_a_tenant_sees_changes_and_adds_its_rows_alone(
    databases: dict[str, Database], name: str
) -> None:
    package, table = TABLES[name]
    database = databases[package]

    with confined(frozenset({A})), database.reading() as connection:
        assert _tenants(connection, table) == [A]
    with confined(frozenset({A, B})), database.reading() as connection:
        assert _tenants(connection, table) == [A, B]
    with confined(frozenset({A})), database.writer_engine.connect() as connection, connection.begin() as end:
        changed = connection.execute(table.update().values(tenant=A).where(table.c.tenant == B))
        assert changed.rowcount == 0
        with pytest.raises(ProgrammingError, match="row-level security"):
            connection.execute(insert(table).values(_row(table, B, 3)))
        end.rollback()


def _tenants(connection: Connection, table: Table) -> list[str]:
    return sorted(connection.execute(select(table.c.tenant)).scalars())


@pytest.mark.parametrize("name", TABLES)
def test_a_session_that_says_nothing_sees_nothing(databases: dict[str, Database], name: str) -> None:
    package, table = TABLES[name]
    url = databases[package].writer_engine.url
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)

    with psycopg.connect(plain) as connection:
        assert connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone() == (0,)


async def test_what_answers_a_call_touches_the_callers_tenant_and_what_sweeps_serves_every_one(
    databases: dict[str, Database],
) -> None:
    package, table = TABLES["leads.handoff"]

    def look(connection: Connection, requests: Sequence[str], _now: datetime) -> list[list[str]]:
        return [_tenants(connection, table)] * len(requests)

    def look_too(connection: Connection, requests: Sequence[str], now: datetime) -> list[list[str]]:
        return look(connection, requests, now)

    async with Writer(databases[package], now=lambda: NOON) as writer:

        async def answers(tenant: str, unit: Any) -> tuple[list[str], list[str]]:
            confine_to(tenant)
            read = await writer.read(lambda connection: _tenants(connection, table))
            [written] = await writer.run(unit, [tenant])
            return read, written

        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(answers(*each)) for each in ((A, look), (B, look_too), ("-", look))]
            swept = group.create_task(writer.read(lambda connection: _tenants(connection, table)))

    mine, theirs, above = (each.result() for each in calls)
    assert (mine[0], theirs) == ([A], ([B], [B]))
    # In one sequence with the call of somebody above tenants, a unit sees what any of them may see.
    assert mine[1] in ([A], [A, B])
    assert (above, swept.result()) == (([A, B], [A, B]), [A, B])
