"""Rules of the exact column types."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from smarketing.sql import BigInt, Database, MinorUnits, NaiveInstant, UtcMicros, from_micros, to_micros

_table = Table(
    "fact",
    MetaData(),
    Column("number", BigInt, primary_key=True),
    Column("instant", UtcMicros),
    Column("amount", MinorUnits),
    sqlite_strict=True,
)


def _stored(**values: object) -> tuple[datetime | None, int | None]:
    with Database.in_memory() as database:
        with database.writer_engine.begin() as connection:
            _table.metadata.create_all(connection)
            connection.execute(insert(_table).values(**values))
        with database.reading() as connection:
            instant, amount = connection.execute(select(_table.c.instant, _table.c.amount)).one()
            return instant, amount


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_as_a_number_to_the_microsecond(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant


def test_the_epoch_is_zero_and_a_microsecond_is_one() -> None:
    assert to_micros(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_the_second_half_past_two_of_an_autumn_night_is_not_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    second = first.replace(fold=1)

    stored, _ = _stored(instant=second)

    assert stored == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert to_micros(second) - to_micros(first) == 3_600_000_000


def test_an_instant_of_any_zone_comes_back_in_utc() -> None:
    seoul = datetime(2026, 3, 1, 9, 0, tzinfo=timezone(timedelta(hours=9)))

    stored, _ = _stored(instant=seoul)

    assert stored is not None
    assert (stored, stored.tzinfo) == (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(StatementError) as refusal:
        _stored(instant=datetime(2026, 3, 1))  # noqa: DTZ001 -- the fault under test
    assert isinstance(refusal.value.orig, NaiveInstant)
    with pytest.raises(NaiveInstant):
        to_micros(datetime(2026, 3, 1))  # noqa: DTZ001 -- the fault under test


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63), 2**53 + 1, 0])
def test_money_is_exact_to_the_last_unit_at_both_ends(amount: int) -> None:
    assert _stored(amount=amount) == (None, amount)


@pytest.mark.parametrize("amount", [1.0, Decimal("1.00"), "1", True])
def test_money_that_is_no_whole_number_is_refused(amount: object) -> None:
    with pytest.raises(StatementError, match="no whole number"):
        _stored(amount=amount)


@pytest.mark.parametrize("amount", [2**63, -(2**63) - 1])
def test_money_beyond_64_bits_is_refused(amount: int) -> None:
    with pytest.raises((StatementError, OverflowError), match="64 bits"):
        _stored(amount=amount)
