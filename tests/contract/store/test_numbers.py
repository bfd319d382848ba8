"""Numbers come back as Python's own, whatever a database adds them up to."""

from typing import Final

from sqlalchemy import Column, MetaData, SmallInteger, Table, func, select

from smarketing.sql import BigInt, Database, FindRows, InsertRows, UpdateRows

_metadata: Final = MetaData()
_amount: Final = Table(
    "amount",
    _metadata,
    Column("key", BigInt, primary_key=True, autoincrement=False),
    Column("minor_units", BigInt),
    Column("is_paid", SmallInteger),
)


def an_amount_table(database: Database) -> None:
    with database.writer_engine.begin() as connection:
        _metadata.create_all(connection)
        InsertRows(_amount).insert(connection, [(1, 2**62, True), (2, 2, False), (3, None, None)])


def test_a_sum_of_whole_numbers_is_a_whole_number_and_an_average_a_float(database: Database) -> None:
    an_amount_table(database)
    with database.reading() as connection:
        total, few = connection.execute(
            select(func.sum(_amount.c.minor_units), func.sum(_amount.c.is_paid))
        ).one()
        average = connection.execute(select(func.avg(_amount.c.key))).scalar_one()

    assert (total, type(total)) == (2**62 + 2, int)
    assert (few, type(few)) == (1, int)
    assert (average, type(average)) == (2.0, float)


def test_a_truth_in_a_column_of_numbers_is_one_or_zero_or_unset(database: Database) -> None:
    an_amount_table(database)
    with database.writer_engine.begin() as connection:
        UpdateRows(_amount, key=["key"], columns=["is_paid"]).update(connection, [(2, True), (3, False)])
    with database.reading() as connection:
        found = FindRows(_amount, key=["key"]).find(connection, [(1,), (2,), (3,)])

    assert sorted(found) == [(1, 2**62, 1), (2, 2, 1), (3, None, 0)]
