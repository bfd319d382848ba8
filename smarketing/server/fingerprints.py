"""What a request says, as 32 bytes that do not depend on how protobuf writes it down.

Serialized protobuf differs between versions, languages and insertion orders of maps, so it is never
hashed. The canonical form here is: a version byte, the message's full name, then for each present
field in the order of numbers its number and its length-prefixed value; maps are sorted by key.
"""

import hashlib
import math
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

__all__ = ["Fingerprinter", "fingerprint_for", "fingerprint_of"]

_VERSION = b"\x01"
_FLOATS = frozenset({FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE})
_Encode = Callable[[Any], bytes]
_Field: TypeAlias = tuple[str, bool | None, bytes, _Encode]
"""A field's name, whether it tells its presence, its number where it is a text (else empty), its encoder.

Where it is None, one zero is absent and the other is not: it is a float.
"""

_length = struct.Struct(">I").pack
_float = struct.Struct(">d").pack


class Fingerprinter:
    """Hashes requests without the named top-level fields; compiled once per message type."""

    def __init__(self, *, without: Collection[str]) -> None:
        self._without = frozenset(without)
        self._tops: dict[type[Message], _Encode] = {}
        self._nested: dict[str, Sequence[_Field]] = {}

    def __call__(self, request: Message) -> bytes:
        """Return SHA-256 over the canonical form of `request`; unknown fields do not count."""
        message_type = type(request)
        encode = self._tops.get(message_type)
        if encode is None:
            encode = self._tops[message_type] = self._top(cast("Descriptor", request.DESCRIPTOR))
        return hashlib.sha256(encode(request)).digest()

    def _top(self, descriptor: Descriptor) -> _Encode:
        encoders = self._fields(descriptor, without=self._without)
        head = _VERSION + _prefixed(descriptor.full_name.encode())
        return lambda message: head + _encoded(message, encoders)

    def _fields(self, descriptor: Descriptor, *, without: Collection[str] = ()) -> list[_Field]:
        return [
            (each.name, _tells_presence(each), _number_of_text(each), self._field(each))
            for each in sorted(descriptor.fields, key=lambda field: field.number)
            if each.name not in without
        ]

    def _message(self, descriptor: Descriptor) -> _Encode:
        # Kept by name and filled afterwards, because a message may contain itself.
        name = descriptor.full_name
        encoders = self._nested.get(name)
        if encoders is None:
            filling: list[_Field] = []
            encoders = self._nested[name] = filling
            filling += self._fields(descriptor)
        return lambda message: _encoded(message, encoders)

    def _field(self, field: FieldDescriptor) -> _Encode:
        number = _length(field.number)
        encode = self._map(field) if _is_map(field) else self._plain(field)
        return lambda value: number + _prefixed(encode(value))

    def _plain(self, field: FieldDescriptor) -> _Encode:
        encode = self._value(field)
        if not field.is_repeated:
            return encode
        return lambda values: b"".join(_prefixed(encode(value)) for value in values)

    def _map(self, field: FieldDescriptor) -> _Encode:
        entry = _nested_type(field)
        key, value = (self._value(entry.fields_by_name[name]) for name in ("key", "value"))
        return lambda items: b"".join(
            sorted(_prefixed(key(name)) + _prefixed(value(items[name])) for name in items)
        )

    def _value(self, field: FieldDescriptor) -> _Encode:
        if field.type in {FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP}:
            return self._message(_nested_type(field))
        if field.type == FieldDescriptor.TYPE_STRING:
            return str.encode
        if field.type == FieldDescriptor.TYPE_BYTES:
            return bytes
        if field.type in _FLOATS:
            return _float
        return _integer


def _encoded(message: Message, encoders: Sequence[_Field]) -> bytes:
    # Asked for by name, in the order of numbers: a list of the present fields costs more.
    parts: list[bytes] = []
    for name, tells_presence, number_of_text, encode in encoders:
        if tells_presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        if not value and (tells_presence is False or (tells_presence is None and _is_plain_zero(value))):
            continue
        if number_of_text:
            encoded = value.encode()
            parts += (number_of_text, _length(len(encoded)), encoded)
        else:
            parts.append(encode(value))
    return b"".join(parts)


def _tells_presence(field: FieldDescriptor) -> bool | None:
    if field.type in _FLOATS and not field.has_presence and not field.is_repeated:
        return None
    return field.has_presence


def _is_plain_zero(value: float) -> bool:
    return math.copysign(1.0, value) > 0


def _number_of_text(field: FieldDescriptor) -> bytes:
    """Return the number of a text field, as most are: its value is encoded without a call."""
    is_text = field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
    return _length(field.number) if is_text else b""


def _prefixed(value: bytes) -> bytes:
    return _length(len(value)) + value


def _integer(value: int) -> bytes:
    return b"%d" % value


def _is_map(field: FieldDescriptor) -> bool:
    nested = field.message_type
    return nested is not None and nested.GetOptions().map_entry


def _nested_type(field: FieldDescriptor) -> Descriptor:
    nested = field.message_type
    if nested is None:
        raise TypeError(f"{field.full_name} holds no message")
    return nested


fingerprint_of = Fingerprinter(without=["request_id"])
"""The fingerprint under which a `request_id` is remembered."""


def fingerprint_for(request: Message, on_behalf_of: str) -> bytes:
    """Return the fingerprint of what a system asks for somebody: the same for another is another request.

    Whoever acts for nobody has the request's own.
    """
    own = fingerprint_of(request)
    if not on_behalf_of:
        return own
    return hashlib.sha256(_prefixed(own) + _prefixed(on_behalf_of.encode())).digest()
