"""Types of options that several commands take."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date  # type: ignore[import-untyped] # it ships no types

from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.mapping.texts import date_of, enum_value, instant_of, money_of

__all__ = [
    "All",
    "At",
    "Handoff",
    "Limit",
    "Money",
    "Person",
    "date_message",
    "money_option",
    "number_of",
    "read",
    "timestamp_of",
]

T = TypeVar("T")

Handoff = Annotated[str, typer.Argument(metavar="HANDOFF", help="LEAD/NUMBER, or the whole name.")]
Person = Annotated[str, typer.Option(help="For whom, when a system calls: a person's id.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")]
All = Annotated[bool, typer.Option("--all", help="Without a limit.")]
At = Annotated[str, typer.Option(help="When it happened, with an offset: 2026-12-24T09:00:00+09:00.")]
Money = Annotated[str, typer.Option(help="An amount with its currency: '1234.50 EUR'.")]


def read(parse: Callable[[str], T], text: str) -> T:
    """Return what an option's text means; a text without meaning is an error of usage."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


def number_of(enum: Any, text: str) -> Any:
    """Return the value of an enum that an option names; 0 for an empty one."""
    return read(lambda word: enum_value(enum.DESCRIPTOR, word), text) if text else 0


def timestamp_of(text: str) -> Timestamp | None:
    """Return the instant that an option says; `None` for an empty one."""
    return _timestamp(read(instant_of, text)) if text else None


def money_option(text: str) -> termspb.Money | None:
    """Return the amount that an option says; `None` for an empty one."""
    return read(money_of, text) if text else None


def date_message(text: str) -> Date | None:
    """Return the date that an option says; `None` for an empty one."""
    return _date(read(date_of, text)) if text else None


def _timestamp(instant: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def _date(day: date) -> Date:
    return Date(year=day.year, month=day.month, day=day.day)
