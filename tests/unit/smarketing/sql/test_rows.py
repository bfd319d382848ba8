"""Rules of the multi-row statements: they do what one statement a row would do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, Text, select
from sqlalchemy.exc import IntegrityError

from smarketing.sql import (
    BigInt,
    Database,
    FindRows,
    InsertRows,
    KeyedStatement,
    NaiveInstant,
    UpdateRows,
    UpsertRows,
    UtcMicros,
)

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

offers = Table(
    "offer",
    MetaData(),
    Column("tenant", Text, primary_key=True),
    Column("number", BigInt, primary_key=True),
    Column("state", Text, nullable=False),
    Column("expire_time", UtcMicros),
    Column("token", LargeBinary),
    sqlite_strict=True,
)
SIZES = [0, 1, 2, 3, 5, 63, 64, 100, 255, 256, 257, 1000]


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Database.in_memory() as database, database.writer_engine.begin() as connection:
        offers.metadata.create_all(connection)
        yield connection


def _rows(count: int) -> list[tuple[str, int, str, datetime, bytes]]:
    return [("acme", n, "OPEN", NOON + timedelta(microseconds=n), bytes([n % 256])) for n in range(count)]


def _all(connection: Connection) -> list[tuple[object, ...]]:
    return [
        tuple(row) for row in connection.execute(select(offers).order_by(offers.c.tenant, offers.c.number))
    ]


@pytest.mark.parametrize("count", SIZES)
def test_every_row_is_inserted_once_whatever_their_number(count: int, connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(count))

    assert _all(connection) == _rows(count)


def test_columns_that_are_not_named_keep_their_default(connection: Connection) -> None:
    InsertRows(offers, ["number", "tenant", "state"]).insert(connection, [(7, "acme", "OPEN")])

    assert _all(connection) == [("acme", 7, "OPEN", None, None)]


def test_a_violated_key_is_an_integrity_error(connection: Connection) -> None:
    with pytest.raises(IntegrityError):
        InsertRows(offers).insert(connection, _rows(1) * 2)


def test_nothing_is_kept_as_null_of_every_type_and_refused_where_something_must_be(
    connection: Connection,
) -> None:
    InsertRows(offers).insert(connection, [("acme", 7, "OPEN", None, None)])

    kept = connection.exec_driver_sql("SELECT typeof(expire_time), typeof(token) FROM offer").one()
    assert tuple(kept) == ("null", "null")
    with pytest.raises(IntegrityError):
        InsertRows(offers).insert(connection, [("acme", 8, None, None, None)])


def test_values_pass_through_their_types(connection: Connection) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 -- what is refused here

    with pytest.raises(NaiveInstant):
        InsertRows(offers).insert(connection, [("acme", 1, "OPEN", naive, b"")])


@pytest.mark.parametrize("count", SIZES)
def test_exactly_the_rows_of_the_keys_are_found(count: int, connection: Connection) -> None:
    InsertRows(offers).insert(connection, [*_rows(1500), ("other", 1, "OPEN", NOON, b"")])
    keys = [("acme", n * 2) for n in range(count)]

    found = FindRows(offers, key=["tenant", "number"]).find(connection, keys)

    assert sorted(found) == [row for row in _rows(1500) if row[:2] in set(keys)]


def test_a_key_given_twice_is_found_once_and_an_unknown_one_not_at_all(connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(3))

    found = FindRows(offers, key=["number"], columns=["number"]).find(connection, [(1,), (1,), (99,)])

    assert found == [(1,)]


@pytest.mark.parametrize("count", SIZES)
def test_every_row_gets_its_own_values_and_the_others_keep_theirs(count: int, connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(1100))
    update = UpdateRows(offers, key=["tenant", "number"], columns=["state", "expire_time"])

    later = NOON + timedelta(days=1)
    changed = update.update(connection, [("acme", n, f"S{n}", later) for n in range(count)])

    assert changed == count
    expected = [
        (tenant, n, f"S{n}" if n < count else state, later if n < count else expire, token)
        for tenant, n, state, expire, token in _rows(1100)
    ]
    assert _all(connection) == expected


def test_a_row_that_moved_on_is_not_matched(connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(3))
    compare_and_set = UpdateRows(offers, key=["tenant", "number", "state"], columns=["state"])

    rows = [("acme", 0, "OPEN", "TAKEN"), ("acme", 1, "EXPIRED", "TAKEN")]

    assert compare_and_set.update(connection, rows) == 1
    assert [row[2] for row in _all(connection)] == ["TAKEN", "OPEN", "OPEN"]


def test_an_upsert_adds_to_what_is_there_and_replaces_the_rest(connection: Connection) -> None:
    totals = Table(
        "total",
        MetaData(),
        Column("team", Text, primary_key=True),
        Column("latest", Text, nullable=False),
        Column("count", BigInt, nullable=False),
    )
    totals.create(connection)
    upsert = UpsertRows(totals, key=["team"], replace=["latest"], add=["count"])

    upsert.upsert(connection, [("north", "a", 2), ("south", "b", 5)])
    upsert.upsert(connection, [("north", "c", 3), ("west", "d", 1)])

    found = {tuple(row) for row in connection.execute(select(totals))}
    assert found == {("north", "c", 5), ("south", "b", 5), ("west", "d", 1)}


def test_an_upsert_of_keys_alone_keeps_what_is_there(connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(1))
    seen = Table("seen", MetaData(), Column("number", BigInt, primary_key=True))
    seen.create(connection)
    upsert = UpsertRows(seen, key=["number"])

    upsert.upsert(connection, [(1,), (2,)])
    upsert.upsert(connection, [(2,), (3,)])

    assert connection.execute(select(seen.c.number).order_by(seen.c.number)).scalars().all() == [1, 2, 3]


def test_a_statement_of_ones_own_sees_the_keys_as_a_table(connection: Connection) -> None:
    InsertRows(offers).insert(connection, _rows(10))
    states = KeyedStatement(
        [offers.c.number], "SELECT k.k0, offer.state FROM k JOIN offer ON offer.number = k.k0"
    )

    found, changed = states.run(connection, [(3,), (12,)])

    assert ([tuple(row) for row in found], changed) == ([(3, "OPEN")], 0)
