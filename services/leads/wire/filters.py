"""Filters as callers write them, a part of AIP-160: `state = WORKING AND owner = tenants/acme/people/kim`.

A filter is comparisons joined by `AND`. Whatever else the language knows is refused at its position,
never taken for something that it does not mean.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final, NoReturn, TypeAlias

from google.protobuf.descriptor import EnumDescriptor

from services.leads.domain.errors import FilterInvalid
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.mapping.texts import enum_value, enum_words, instant_of

__all__ = ["FOLLOW_UP_FIELDS", "HANDOFF_FIELDS", "Operator", "Restriction", "parse_filter"]

LONGEST: Final = 1_000
"""Characters of a filter."""
MOST: Final = 20
"""Comparisons of a filter."""
_MOST_DIGITS: Final = 18

Value: TypeAlias = str | int | bool | datetime


class Operator(StrEnum):
    """How a field is compared; `SET` is the `:*` of the language."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    SET = ":*"


@dataclass(frozen=True, slots=True)
class Restriction:
    """One comparison; `value` has the type of the field, and stands for nothing with `SET`."""

    field: str
    operator: Operator
    value: Value = ""


class _Kind(Enum):
    TEXT = "a text"
    NUMBER = "a whole number"
    FLAG = "`true` or `false`"
    INSTANT = "an instant with an offset, such as 2026-12-24T09:00:00Z"


Kind: TypeAlias = _Kind | EnumDescriptor
Fields: TypeAlias = Mapping[str, Kind]
"""Which fields a list can be filtered by, and what each holds."""

HANDOFF_FIELDS: Final[Fields] = {
    "state": leadspb.Handoff.State.DESCRIPTOR,
    "owner": _Kind.TEXT,
    "queue": _Kind.TEXT,
    "source_system": _Kind.TEXT,
    "archived": _Kind.FLAG,
    "historical": _Kind.FLAG,
    "submit_time": _Kind.INSTANT,
    "update_time": _Kind.INSTANT,
    "accept_time": _Kind.INSTANT,
    "first_follow_up_time": _Kind.INSTANT,
    "close_time": _Kind.INSTANT,
    "recycle_until_time": _Kind.INSTANT,
    "next_due_time": _Kind.INSTANT,
    "follow_up_count": _Kind.NUMBER,
    "reason_code": _Kind.TEXT,
    "qualification.source": _Kind.TEXT,
    "qualification.source_channel": termspb.SourceChannel.DESCRIPTOR,
    "qualification.campaign": _Kind.TEXT,
    "qualification.segment": _Kind.TEXT,
    "qualification.region": _Kind.TEXT,
    "qualification.product": _Kind.TEXT,
    "qualification.lead_type": _Kind.TEXT,
    "qualification.definition": _Kind.TEXT,
    "qualification.score": _Kind.NUMBER,
    "offer.assignee": _Kind.TEXT,
    "offer.state": leadspb.Offer.State.DESCRIPTOR,
}
FOLLOW_UP_FIELDS: Final[Fields] = {
    "person": _Kind.TEXT,
    "channel": termspb.FollowUpChannel.DESCRIPTOR,
    "grade": termspb.EvidenceGrade.DESCRIPTOR,
    "contact": _Kind.FLAG,
    "occur_time": _Kind.INSTANT,
    "record_time": _Kind.INSTANT,
}

_blank = re.compile(r"\s*").match
_word = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*").match
_operator = re.compile(r"<=|>=|!=|[<>=:]").match
_quoted = re.compile(r'"((?:[^"\\]|\\["\\])*)"').match
_bare = re.compile(r"""[^\s"'(),\\]+""").match
_number = re.compile(r"-?[0-9]+").fullmatch
_escaped = re.compile(r"\\(.)")


def parse_filter(text: str, fields: Fields) -> tuple[Restriction, ...]:
    """Return the comparisons of a filter, all of which must hold; none for an empty one.

    Raises:
        FilterInvalid: with the first position, counted from 1, at which it is not of this form.
    """
    if len(text) > LONGEST:
        raise FilterInvalid(LONGEST + 1, f"the end: a filter has at most {LONGEST} characters")
    return tuple(_Reader(text, fields).restrictions()) if text.strip() else ()


class _Reader:
    """Reads a filter from left to right."""

    def __init__(self, text: str, fields: Fields) -> None:
        self._text = text
        self._fields = fields
        self._at = 0

    def restrictions(self) -> list[Restriction]:
        found = [self._restriction()]
        while self._skip_blank() < len(self._text):
            start = self._at
            if self._take(_word) != "AND":
                self._fail(start, "`AND` and another comparison, or the end; nothing else joins comparisons")
            if len(found) == MOST:
                self._fail(start, f"the end: a filter has at most {MOST} comparisons")
            found.append(self._restriction())
        return found

    def _restriction(self) -> Restriction:
        start = self._skip_blank()
        field = self._take(_word) or ""
        kind = self._fields.get(field)
        if kind is None:
            self._fail(start, _expected_field(field, self._text[start : start + 1], self._fields))
        start = self._skip_blank()
        operator = self._take(_operator)
        if operator is None:
            self._fail(start, "one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`")
        if operator == ":" and self._text.startswith("*", self._skip_blank()):
            self._at += 1
            return Restriction(field, Operator.SET)
        compared = Operator.EQUAL if operator == ":" else Operator(operator)
        if compared not in _operators_of(kind):
            self._fail(start, f"`=`, `!=` or `:`: {field} has no order")
        return Restriction(field, compared, self._value(kind))

    def _value(self, kind: Kind) -> Value:
        start = self._skip_blank()
        text = self._take(_quoted, group=1)
        text = self._take(_bare) if text is None else _escaped.sub(r"\1", text)
        if text is None:
            self._fail(start, "a value: a word, or a text between double quotes that are closed")
        try:
            return _meant(kind, text)
        except ValueError:
            self._fail(start, _described(kind))

    def _skip_blank(self) -> int:
        found = _blank(self._text, self._at)
        self._at = self._at if found is None else found.end()
        return self._at

    def _take(self, pattern: "Callable[[str, int], re.Match[str] | None]", *, group: int = 0) -> str | None:
        found = pattern(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[group]

    def _fail(self, at: int, expected: str) -> NoReturn:
        # What stood there instead is not repeated: it may be somebody's address.
        raise FilterInvalid(at + 1, expected)


_EQUALITIES: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})


def _operators_of(kind: Kind) -> frozenset[Operator]:
    return frozenset(Operator) if kind in {_Kind.NUMBER, _Kind.INSTANT} else _EQUALITIES


def _expected_field(word: str, first: str, fields: Fields) -> str:
    if first in {"(", "-"} or word == "NOT":
        return "a field: neither groups nor `NOT` are understood"
    if first in {'"', "'"}:
        return "a field: a text alone searches nothing here"
    return f"one of the fields {', '.join(fields)}"


def _described(kind: Kind) -> str:
    if isinstance(kind, _Kind):
        return kind.value
    return f"one of {', '.join(word.upper() for word in enum_words(kind))}"


def _meant(kind: Kind, text: str) -> Value:
    """Return the value that a text is.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(kind, _Kind):
        return enum_value(kind, text)
    if kind is _Kind.INSTANT:
        return instant_of(text)
    if kind is _Kind.FLAG:
        return _FLAGS[text] if text in _FLAGS else _none()
    if kind is _Kind.NUMBER:
        return int(text) if _number(text) and len(text) <= _MOST_DIGITS else _none()
    # PostgreSQL cannot hold it in a text, so no text has it.
    return text if "\x00" not in text else _none()


_FLAGS: Final = {"true": True, "false": False}


def _none() -> NoReturn:
    raise ValueError
