"""One rule of a mapping: where a field's value comes from, and how its text becomes the field's type."""

import enum
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from string import Formatter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.mapping.documents import Document
from smarketing.mapping.texts import amount_of, enum_value, first_instant_of, local_instant
from smarketing.mapping.utm import DEFAULT_RULES, channel_of

__all__ = [
    "Convert",
    "DateForm",
    "FieldFaulty",
    "InstantNumber",
    "MoneyForm",
    "Part",
    "Rule",
    "Target",
    "TimeForm",
    "UtmColumns",
    "parts_of",
    "plain_convert",
]

Convert = Callable[[str, Mapping[str, str]], Any]
"""Makes a field's value of a text; is also given the row, for a currency in a column of its own."""

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_is_whole = re.compile("[-+]?[0-9]{1,20}").fullmatch
_INTEGER_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
}


class FieldFaulty(Exception):
    """A row has no usable value for a field."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(f"{path} {sentence}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Target:
    """A field of the message that a row becomes."""

    path: tuple[str, ...]
    """Names from the message down."""
    key: str = ""
    """The key, when the field is a map."""

    def assign(self, message: Message, value: Any) -> None:
        """Set the field."""
        owner: Any = message
        for name in self.path[:-1]:
            owner = getattr(owner, name)
        last = self.path[-1]
        if self.key:
            getattr(owner, last)[self.key] = value
        elif isinstance(value, termspb.Money):
            getattr(owner, last).CopyFrom(value)
        elif isinstance(value, datetime):
            getattr(owner, last).FromDatetime(value)
        elif isinstance(value, date):
            day = getattr(owner, last)
            day.year, day.month, day.day = value.year, value.month, value.day
        else:
            setattr(owner, last, value)

    def __str__(self) -> str:
        return ".".join((*self.path, self.key) if self.key else self.path)


class Part(enum.StrEnum):
    """A part of a name that stands in one column."""

    FIRST_WORD = "first_word"
    OTHER_WORDS = "other_words"

    def of(self, text: str) -> str:
        """Return the part of a text."""
        first, _, others = text.strip().partition(" ")
        return first if self is Part.FIRST_WORD else others.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class UtmColumns:
    """Where a row tells through which link somebody came."""

    source: str = ""
    medium: str = ""
    paid_click: tuple[str, ...] = ()
    """Columns with an advertiser's click id: any of them says that the click was paid for."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column it looks at."""
        return tuple(column for column in (self.source, self.medium, *self.paid_click) if column)

    def channel_in(self, row: Mapping[str, str]) -> str:
        """Return the channel by the tenant's rules and then the usual ones; empty when none says."""
        rules = (*row.utm_rules, *DEFAULT_RULES) if isinstance(row, Document) else DEFAULT_RULES
        return channel_of(
            rules,
            source=row[self.source] if self.source else "",
            medium=row[self.medium] if self.medium else "",
            paid_click=any(row[column] for column in self.paid_click),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one field is filled."""

    target: Target
    convert: Convert
    constant: str | None = None
    columns: tuple[str, ...] = ()
    """Of these the first that is not empty."""
    parts: tuple[tuple[str, str], ...] = ()
    """Literal text and the column behind it (or none), in order."""
    digest: tuple[str, ...] = ()
    """Columns of whose values a digest is made, for senders that number nothing."""
    utm: UtmColumns | None = None
    cut: Mapping[str, Part] = field(default_factory=dict)
    """Of these columns only a part is meant."""
    values: Mapping[str, str] | None = None
    otherwise: str | None = None
    absent_when: frozenset[str] = frozenset()
    required: bool = False

    def apply(self, message: Message, row: Mapping[str, str]) -> None:
        """Set the field from a row, or leave it absent.

        Raises:
            FieldFaulty: the row's value cannot be used.
        """
        text = self._text(row)
        try:
            value = None if text is None else self.convert(text, row)
        except (ValueError, OverflowError) as error:
            raise FieldFaulty(str(self.target), f"{text!r} {error}") from None
        if value is not None:
            self.target.assign(message, value)
        elif self.required:
            raise FieldFaulty(str(self.target), "is absent and required")

    @property
    def named(self) -> tuple[str, ...]:
        """Every column it looks at."""
        utm = () if self.utm is None else self.utm.columns
        return (*self.columns, *(column for _literal, column in self.parts if column), *self.digest, *utm)

    def _text(self, row: Mapping[str, str]) -> str | None:
        if self.constant is not None:
            return self.constant
        text = self._source(row)
        if not text:
            # Without a value, `otherwise` speaks only where links are judged: there silence has a meaning.
            return self.otherwise if self.utm is not None else None
        if text in self.absent_when:
            return None
        return text if self.values is None else self._mapped(text)

    def _source(self, row: Mapping[str, str]) -> str:
        if self.utm is not None:
            return self.utm.channel_in(row)
        if self.digest:
            return _digest_of(row, self.digest)
        if self.columns:
            return next((text for column in self.columns if (text := self._value(row, column))), "")
        if any(column and not row[column] for _literal, column in self.parts):
            return ""
        return "".join(literal + row[column] if column else literal for literal, column in self.parts)

    def _value(self, row: Mapping[str, str], column: str) -> str:
        part = self.cut.get(column)
        return row[column] if part is None else part.of(row[column])

    def _mapped(self, text: str) -> str:
        mapped = (self.values or {}).get(text, self.otherwise)
        if mapped is None:
            raise FieldFaulty(
                str(self.target), f"{text!r} has no entry in `values`, and there is no `otherwise`"
            )
        return mapped


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How instants are written."""

    form: str = "iso"
    zone: tzinfo = field(default=UTC)

    def __call__(self, text: str, _row: Mapping[str, str]) -> datetime:
        """Return the instant; a date without a time is the first instant of its local day."""
        if self.form.startswith("epoch_"):
            unit = timedelta(seconds=1) if self.form == "epoch_seconds" else timedelta(milliseconds=1)
            return _EPOCH + _whole(text) * unit
        parsed = self._parsed(text)
        if not isinstance(parsed, datetime):
            return first_instant_of(parsed, self.zone)
        return local_instant(parsed, self.zone) if parsed.tzinfo is None else parsed.astimezone(UTC)

    def _parsed(self, text: str) -> datetime | date:
        try:
            if self.form == "iso":
                return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
            parsed = datetime.strptime(text, self.form)  # noqa: DTZ007 - the zone is applied by the caller
        except ValueError:
            raise ValueError(f"is not a time of the form {self.form}") from None
        has_time = any(sign in self.form for sign in ("%H", "%I", "%c", "%X"))
        return parsed if has_time else parsed.date()


@dataclass(frozen=True, slots=True)
class DateForm:
    """How days are written; a time behind the day is passed over."""

    form: str = "iso"

    def __call__(self, text: str, _row: Mapping[str, str]) -> date:
        """Return the day."""
        try:
            if self.form == "iso":
                return date.fromisoformat(text[:10])
            return datetime.strptime(text, self.form).date()  # noqa: DTZ007 - only its day is taken
        except ValueError:
            raise ValueError(f"is not a day of the form {self.form}") from None


@dataclass(frozen=True, slots=True)
class InstantNumber:
    """An instant where a number is wanted: its milliseconds since 1970, so that later ones are higher."""

    form: TimeForm

    def __call__(self, text: str, row: Mapping[str, str]) -> int:
        """Return the milliseconds."""
        return (self.form(text, row) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyForm:
    """How amounts are written."""

    currency: str = ""
    currency_column: str = ""
    decimal: str = "."
    grouping: str = ""
    zero_is_absent: bool = False

    def __call__(self, text: str, row: Mapping[str, str]) -> termspb.Money | None:
        """Return the amount; `None` for a zero that says nothing."""
        plain = text.replace(self.grouping, "") if self.grouping else text
        if self.decimal != ".":
            if "." in plain:
                raise ValueError(f"is not an amount with {self.decimal!r} as its decimal sign")
            plain = plain.replace(self.decimal, ".")
        money = amount_of(plain, row[self.currency_column] if self.currency_column else self.currency)
        return None if self.zero_is_absent and not money.minor_units else money


def plain_convert(descriptor: FieldDescriptor) -> Convert | None:
    """Return how text becomes a field of a plain type; `None` for a message."""
    if descriptor.enum_type is not None:
        enum = descriptor.enum_type
        return lambda text, _row: enum_value(enum, text)
    if descriptor.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return lambda text, _row: _truth(text)
    if descriptor.cpp_type in _INTEGER_BITS:
        limit = 1 << _INTEGER_BITS[descriptor.cpp_type]
        return lambda text, _row: _bounded(_whole(text), limit)
    if descriptor.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return lambda text, _row: text
    return None


def parts_of(template: str) -> tuple[tuple[str, str], ...]:
    """Return `{a}-{b}` as literal text and the columns behind it.

    Raises:
        ValueError: its braces do not match, or stand for something else than a column.
    """
    parts = []
    for literal, column, form, conversion in Formatter().parse(template):
        if column is not None and (form or conversion or not column):
            raise ValueError("may only have {column} in it")
        parts.append((literal, column or ""))
    return tuple(parts)


def _digest_of(row: Mapping[str, str], columns: tuple[str, ...]) -> str:
    """Return a digest that only who has the row's key can make: an address must not be found by trying."""
    values = [row[column] for column in columns]
    if not any(values):
        return ""
    key = row.key if isinstance(row, Document) else b""
    return hmac.digest(key or b"digest", "\x1f".join(values).encode(), "sha256").hex()[:32]


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError("is neither true nor false")
    return _TRUTH[text.lower()]


def _whole(text: str) -> int:
    if not _is_whole(text):
        raise ValueError("is not a whole number")
    return int(text)


def _bounded(number: int, limit: int) -> int:
    if not -limit <= number < limit:
        raise ValueError("is too large")
    return number
