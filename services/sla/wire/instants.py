"""Instants and amounts of time."""

from datetime import UTC, date, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date  # type: ignore[import-untyped] # ships no stubs

from smarketing.businesstime import BusinessTime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US = 1_000_000


def instant(stamp: Timestamp) -> datetime:
    """Return the instant, aware, in UTC."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def instant_in(message: Message, field: str) -> datetime | None:
    """Return the instant in a field; None when it is absent."""
    return instant(getattr(message, field)) if message.HasField(field) else None


def stamp(at: datetime) -> Timestamp:
    """Return the instant as protobuf keeps it."""
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    seconds, rest = divmod(micros, _SECOND_US)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def stamp_or_none(at: datetime | None) -> Timestamp | None:
    """Return the instant as protobuf keeps it; None stays absent."""
    return None if at is None else stamp(at)


def amount(duration: Duration) -> BusinessTime:
    """Return an amount of a clock's own time."""
    return BusinessTime(duration.seconds * _SECOND_US + int(duration.nanos / 1000))


def duration(of: BusinessTime) -> Duration:
    """Return an amount of time as protobuf keeps it; both parts have one sign."""
    sign = -1 if of.microseconds < 0 else 1
    seconds, rest = divmod(abs(of.microseconds), _SECOND_US)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def day(of: Date) -> date:
    """Return the date.

    Raises:
        ValueError: when there is no such date.
    """
    return date(of.year, of.month, of.day)


def date_message(of: date) -> Date:
    """Return the date as protobuf keeps it."""
    return Date(year=of.year, month=of.month, day=of.day)
