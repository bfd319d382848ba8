"""What protobuf takes but the product cannot keep is refused at the edge, by descriptor.

Every request type is compiled once into closures. Fields are asked for by name: a list of those that are
present costs more than to look at all of them, and most texts are judged without a call.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from smarketing.server.errors import Refusal, field_invalid

__all__ = ["Limits", "TextRule", "Validator"]

_Check = Callable[[Any, str], None]
_Field: TypeAlias = tuple[str, bool, int, _Check]
"""A field's name, whether it tells its presence, how long a plain text may be (0 for no text), its check."""

_LINE_BAD = re.compile("[\x00-\x1f\x7f-\x9f]").search
_TEXT_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]").search
_UUID = re.compile("[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}").fullmatch
_YEAR_9999_ENDS_SECONDS = 253_402_300_800
_NANOS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TextRule:
    """What a string may be: how long in UTF-8, and whether it may have lines and tabs."""

    max_bytes: int = 1024
    multiline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of requests; a service widens single fields by their full name."""

    text: TextRule = TextRule()
    prose: TextRule = TextRule(max_bytes=16 * 1024, multiline=True)
    prose_names: frozenset[str] = frozenset(
        {"body", "comment", "description", "explanation", "message", "note", "notes", "text"}
    )
    """Fields of these names are free text: `prose` holds for them."""
    text_of: Mapping[str, TextRule] = field(default_factory=dict)
    """Full field name (`smarketing.api.leads.v1.Lead.company`) → its own rule."""
    items: int = 1000
    items_of: Mapping[str, int] = field(default_factory=dict)
    """Full name of a repeated or map field → how many items it may have."""
    bytes_length: int = 64 * 1024
    duration: timedelta = timedelta(days=3660)
    """Durations lie within ± this."""

    def rule_of(self, string: FieldDescriptor) -> TextRule:
        """Return the rule of one string field."""
        usual = self.prose if string.name in self.prose_names else self.text
        return self.text_of.get(string.full_name, usual)


class Validator:
    """Checks request messages against `Limits`; compiled once per message type."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._messages: dict[str, Sequence[_Field]] = {}
        self._wants_request_id: dict[type[Message], bool] = {}

    def __call__(self, request: Message) -> None:
        """Refuse a request with a value that cannot be kept; cut times to microseconds.

        Raises:
            Refusal: FIELD_INVALID, REQUEST_ID_REQUIRED, REQUEST_ID_INVALID, each with the field's path.
        """
        message_type = type(request)
        descriptor = cast("Descriptor", request.DESCRIPTOR)
        wants_request_id = self._wants_request_id.get(message_type)
        if wants_request_id is None:
            wants_request_id = "request_id" in descriptor.fields_by_name
            self._wants_request_id[message_type] = wants_request_id
        if wants_request_id:
            _check_request_id(cast("Any", request).request_id)
        checks = self._messages.get(descriptor.full_name) or self._compiled(descriptor)
        _walk(request, checks, "")

    def _compiled(self, descriptor: Descriptor) -> Sequence[_Field]:
        checks = self._messages.get(descriptor.full_name)
        if checks is None:
            filling: list[_Field] = []
            # Kept before it is filled, because a message may contain itself.
            checks = self._messages[descriptor.full_name] = filling
            for each in sorted(descriptor.fields, key=lambda field: field.number):
                check = self._field(each)
                if check is not _accept:
                    filling.append((each.name, each.has_presence, self._plain_length(each), check))
        return checks

    def _plain_length(self, of: FieldDescriptor) -> int:
        if of.type != FieldDescriptor.TYPE_STRING or of.is_repeated:
            return 0
        return self._limits.rule_of(of).max_bytes

    def _field(self, of: FieldDescriptor) -> _Check:
        if not of.is_repeated:
            return self._value(of)
        cap = self._limits.items_of.get(of.full_name, self._limits.items)
        nested = of.message_type
        if nested is not None and nested.GetOptions().map_entry:
            key, value = (self._value(nested.fields_by_name[name]) for name in ("key", "value"))
            return _map_check(cap, key, value)
        return _list_check(cap, self._value(of))

    def _value(self, of: FieldDescriptor) -> _Check:
        nested = of.message_type
        if nested is not None:
            return self._message(nested)
        if of.type == FieldDescriptor.TYPE_STRING:
            return _text_check(self._limits.rule_of(of))
        if of.type == FieldDescriptor.TYPE_BYTES:
            return _bytes_check(self._limits.bytes_length)
        if of.type in {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}:
            return _check_float
        if of.enum_type is not None:
            return _enum_check(of.enum_type)
        return _accept

    def _message(self, nested: Descriptor) -> _Check:
        if nested.full_name == "google.protobuf.Timestamp":
            return _check_timestamp
        if nested.full_name == "google.protobuf.Duration":
            return _duration_check(self._limits.duration)
        checks = self._compiled(nested)
        return lambda message, path: _walk(message, checks, f"{path}.")


def _walk(message: Message, checks: Sequence[_Field], path: str) -> None:
    for name, tells_presence, plain_length, check in checks:
        if tells_presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        if plain_length and len(value) <= plain_length and value.isascii() and value.isprintable():
            continue
        if value or tells_presence:
            check(value, path + name)


def _check_request_id(request_id: str) -> None:
    if not request_id:
        raise field_invalid(
            "request_id", "a UUID of your choice, new for each request", reason="REQUEST_ID_REQUIRED"
        )
    if _UUID(request_id) is None:
        raise field_invalid(
            "request_id", "a UUID, 8-4-4-4-12 hexadecimal digits", reason="REQUEST_ID_INVALID"
        )


def _accept(_value: object, _path: str) -> None:
    """Take any value: the type bounds it already."""


def _text_check(rule: TextRule) -> _Check:
    bad = _TEXT_BAD if rule.multiline else _LINE_BAD

    def check(value: str, path: str) -> None:
        if len(value) > rule.max_bytes:
            raise _too_long(path, rule.max_bytes)
        if value.isascii():
            if value.isprintable():
                return
        elif len(value.encode()) > rule.max_bytes:
            raise _too_long(path, rule.max_bytes)
        elif not unicodedata.is_normalized("NFC", value):
            raise field_invalid(path, "text in Unicode normalization form C")
        if bad(value) is not None:
            raise field_invalid(path, "text without control characters")

    return check


def _too_long(path: str, max_bytes: int) -> Refusal:
    return field_invalid(path, f"at most {max_bytes} bytes of UTF-8")


def _bytes_check(cap: int) -> _Check:
    def check(value: bytes, path: str) -> None:
        if len(value) > cap:
            raise field_invalid(path, f"at most {cap} bytes")

    return check


def _list_check(cap: int, check_item: _Check) -> _Check:
    def check(values: Any, path: str) -> None:
        if len(values) > cap:
            raise field_invalid(path, f"at most {cap} items")
        for index, value in enumerate(values):
            check_item(value, f"{path}[{index}]")

    return check


def _map_check(cap: int, check_key: _Check, check_value: _Check) -> _Check:
    def check(items: Any, path: str) -> None:
        if len(items) > cap:
            raise field_invalid(path, f"at most {cap} items")
        for key in items:
            check_key(key, f"{path} key")
            check_value(items[key], f"{path}[{key!r}]")

    return check


def _enum_check(enum_type: EnumDescriptor) -> _Check:
    known = frozenset(enum_type.values_by_number)

    def check(value: int, path: str) -> None:
        if value not in known:
            raise field_invalid(path, f"a value of {enum_type.name} that this server knows")

    return check


def _check_float(value: float, path: str) -> None:
    if not math.isfinite(value):
        raise field_invalid(path, "a finite number")


def _check_timestamp(value: Any, path: str) -> None:
    nanos = value.nanos
    if not (0 <= value.seconds < _YEAR_9999_ENDS_SECONDS and 0 <= nanos < _NANOS_PER_SECOND):
        raise field_invalid(path, "an instant of the years 1970 to 9999")
    if nanos % 1000:
        value.nanos = nanos - nanos % 1000


def _duration_check(bound: timedelta) -> _Check:
    bound_seconds = bound.total_seconds()

    def check(value: Any, path: str) -> None:
        seconds, nanos = value.seconds, value.nanos
        if abs(nanos) >= _NANOS_PER_SECOND or seconds * nanos < 0:
            raise field_invalid(path, "a duration whose nanos fit its seconds")
        if abs(seconds + nanos / _NANOS_PER_SECOND) > bound_seconds:
            raise field_invalid(path, f"a duration within {bound.days} days")
        if nanos % 1000:
            value.nanos = int(nanos / 1000) * 1000

    return check
