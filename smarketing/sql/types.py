"""Column types that store an instant and an amount of money exactly, on every database we use."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, SmallInteger
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

from smarketing.sql.errors import NaiveInstant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LIMIT: Final = 2**63

BigInt: Final[TypeEngine[int]] = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer. SQLite's INTEGER is one already, and the only spelling that a STRICT table accepts."""


def to_micros(instant: datetime) -> int:
    """Return the microseconds since 1970-01-01T00:00Z, exactly.

    Raises:
        NaiveInstant: when `instant` has no zone.
    """
    if instant.tzinfo is None:
        raise NaiveInstant(instant)
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant, aware and in UTC, that `to_micros` made this number of."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcMicros(TypeDecorator[datetime]):
    """An instant: microseconds since 1970 in SQLite, `timestamptz` in PostgreSQL.

    Takes aware datetimes of any zone and gives them back in UTC.
    A naive one is refused with `NaiveInstant`, which SQLAlchemy wraps in a `StatementError`.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the dialect's own way to hold an instant."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Turn an aware datetime into what the dialect holds."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveInstant(value)
        return value if dialect.name == "postgresql" else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Turn what the dialect held into an aware UTC datetime."""
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else from_micros(value)


class MinorUnits(TypeDecorator[int]):
    """An amount of money: a whole number of minor units (cents, won), its currency in another column.

    Takes `int` alone: a float or a Decimal would be rounded by somebody, somewhere.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the dialect's 64-bit integer."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Refuse what is not a whole number of 64 bits."""
        if value is None:
            return None
        if type(value) is not int:
            raise TypeError(f"{value!r} is no whole number of minor units")
        if not -_LIMIT <= value < _LIMIT:
            raise OverflowError(f"{value} minor units do not fit 64 bits")
        return value


def bind_converter(column_type: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """Return the function that prepares a value of this type for the driver; None when it goes as it is."""
    if isinstance(column_type, LargeBinary):
        return None  # every driver of ours takes bytes, and gives them back
    if isinstance(column_type, UtcMicros) and dialect.name == "sqlite":
        return _to_micros_if_any  # what its processor does, without two calls around it
    if isinstance(column_type, SmallInteger if dialect.name == "sqlite" else Integer):
        return _number  # a truth is no number to PostgreSQL, and SQLite's driver looks for its adapter
    return column_type.dialect_impl(dialect).bind_processor(dialect)


def result_converter(column_type: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """Return the function that turns the driver's value into ours; None when it comes as it is."""
    if isinstance(column_type, LargeBinary) and dialect.name == "sqlite":
        return None
    if isinstance(column_type, UtcMicros) and dialect.name == "sqlite":
        return _from_micros_if_any
    return column_type.dialect_impl(dialect).result_processor(dialect, None)


def _number(value: int | None) -> int | None:
    return int(value) if value is True or value is False else value


def _to_micros_if_any(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def _from_micros_if_any(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
