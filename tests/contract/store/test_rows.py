"""Statements over many rows do on every database what one statement a row would do."""

from sqlalchemy import Column, Connection, MetaData, Table, Text, func, select

from smarketing.sql import BigInt, Database, FindRows, InsertRows, UpdateRows, UpsertRows

_word = Table(
    "word",
    MetaData(),
    Column("number", BigInt, primary_key=True),
    Column("text", Text, nullable=False),
    Column("count", BigInt),
)
MANY = 700
"""More than one statement holds."""


def _rows(connection: Connection) -> list[tuple[int, str, int | None]]:
    found = connection.execute(select(_word).order_by(_word.c.number))
    return [(number, text, count) for number, text, count in found]


def test_as_many_rows_as_are_given_are_inserted_found_and_changed(database: Database) -> None:
    rows = [(number, f"100 % of {number} $1 ?", None if number % 3 else number) for number in range(MANY)]
    with database.writer_engine.begin() as connection:
        _word.metadata.create_all(connection)
        InsertRows(_word).insert(connection, rows)

        assert _rows(connection) == rows
        found = FindRows(_word, key=["text"], columns=["number"]).find(connection, [row[1:2] for row in rows])
        assert sorted(found) == [(number,) for number in range(MANY)]
        changes = [(number, "changed") for number in range(0, MANY, 2)]
        assert UpdateRows(_word, key=["number"], columns=["text"]).update(connection, changes) == MANY // 2
        changed = select(func.count()).select_from(_word).where(_word.c.text == "changed")
        assert connection.execute(changed).scalar_one() == MANY // 2


def test_what_exists_is_merged_and_the_rest_inserted_in_one_go(database: Database) -> None:
    with database.writer_engine.begin() as connection:
        _word.metadata.create_all(connection)
        merge = UpsertRows(_word, key=["number"], replace=["text"], add=["count"])
        merge.upsert(connection, [(number, "first", 1) for number in range(0, MANY, 2)])

        merge.upsert(connection, [(number, "second", 10) for number in range(MANY)])

        assert _rows(connection) == [(number, "second", 10 if number % 2 else 11) for number in range(MANY)]
