"""Instants, dates and money: protobuf ⇄ domain."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from services.leads.domain.directory import Party
from services.leads.domain.terms import Money
from smarketing.api.terms.v1 import terms_pb2 as termspb

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def put_instant(target: Timestamp, instant: datetime) -> None:
    """Fill in an instant, exactly."""
    elapsed = instant - _EPOCH
    target.seconds = elapsed.days * 86_400 + elapsed.seconds
    target.nanos = elapsed.microseconds * 1000


def instant_in(message: Any, field: str) -> datetime | None:
    """Return the instant in a field; None where it is absent."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def put_money(target: termspb.Money, money: Money) -> None:
    """Fill in an amount."""
    target.currency_code = money.currency_code
    target.minor_units = money.minor_units


def money_in(message: Any, field: str) -> Money | None:
    """Return the amount in a field; None where it is absent."""
    if not message.HasField(field):
        return None
    money = getattr(message, field)
    return Money(money.currency_code, money.minor_units)


def date_in(message: Any, field: str) -> date | None:
    """Return the day in a field; None where it is absent.

    Raises:
        ValueError: there is no such day.
    """
    if not message.HasField(field):
        return None
    day = getattr(message, field)
    return date(day.year, day.month, day.day)


def put_date(target: Any, day: date) -> None:
    """Fill in a day."""
    target.year, target.month, target.day = day.year, day.month, day.day


def party_number(party: Party) -> termspb.Party.ValueType:
    """Return the party as the contract numbers it."""
    return termspb.Party.Value(f"PARTY_{party.name}")
