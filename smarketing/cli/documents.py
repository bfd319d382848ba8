"""Messages as JSON documents: the contract's own field names, in the contract's order, always all of them."""

import base64
from typing import Any, Final

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["document_of"]

_EXACT: Final = 2**53
_WELL_KNOWN = "google.protobuf."


def document_of(message: Message) -> Any:
    """Return a message as what JSON can hold.

    Enums are names, instants RFC 3339, durations `3.5s`, bytes base 64. A 64-bit number is a number where
    every reader sees it exactly, else a string. A field that knows absence is left out when absent;
    every other field is there, also when empty.
    """
    if isinstance(message, AnyMessage):
        return _unpacked(message)
    if str(message.DESCRIPTOR.full_name).startswith(_WELL_KNOWN):
        return json_format.MessageToDict(message)
    document: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        document[field.name] = _field(field, getattr(message, field.name))
    return document


def _field(field: Any, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return {key: _single(kind.fields_by_name["value"], value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return document_of(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _EXACT:
        return str(value)
    return value


def _unpacked(packed: AnyMessage) -> dict[str, Any]:
    document: dict[str, Any] = {"@type": packed.type_url}
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        # A type of a newer service: its bytes are shown rather than nothing.
        return document | {"value": base64.b64encode(packed.value).decode()}
    message = message_factory.GetMessageClass(descriptor)()
    packed.Unpack(message)
    return {**document, **document_of(message)}
