"""A message with a field of every kind, made at run time."""

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
)

PACKAGE = "smarketing.tests.probe.v1"
_types = descriptor_pb2.FieldDescriptorProto

_FIELDS = (
    ("name", _types.TYPE_STRING, ""),
    ("request_id", _types.TYPE_STRING, ""),
    ("note", _types.TYPE_STRING, ""),
    ("count", _types.TYPE_INT64, ""),
    ("ratio", _types.TYPE_DOUBLE, ""),
    ("raw", _types.TYPE_BYTES, ""),
    ("colour", _types.TYPE_ENUM, f".{PACKAGE}.Colour"),
    ("at", _types.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    ("wait", _types.TYPE_MESSAGE, ".google.protobuf.Duration"),
    ("inner", _types.TYPE_MESSAGE, f".{PACKAGE}.Probe"),
    ("page_size", _types.TYPE_INT32, ""),
    ("page_token", _types.TYPE_STRING, ""),
)
_LISTS = (
    ("words", _types.TYPE_STRING, ""),
    ("inners", _types.TYPE_MESSAGE, f".{PACKAGE}.Probe"),
    ("labels", _types.TYPE_MESSAGE, f".{PACKAGE}.Probe.LabelsEntry"),
)


def _declare(pool: descriptor_pool.DescriptorPool, *, without: str = "") -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="smarketing/tests/probe.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[timestamp_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name],
    )
    colour = file.enum_type.add(name="Colour")
    for number, value in enumerate(("COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_BLUE")):
        colour.value.add(name=value, number=number)
    probe = file.message_type.add(name="Probe")
    for number, (name, kind, of) in enumerate((*_FIELDS, *_LISTS), start=1):
        if name == without:
            continue
        label = _types.LABEL_REPEATED if (name, kind, of) in _LISTS else _types.LABEL_OPTIONAL
        probe.field.add(name=name, number=number, type=kind, type_name=of or None, label=label)
    probe.field.add(
        name="score",
        number=40,
        type=_types.TYPE_INT32,
        label=_types.LABEL_OPTIONAL,
        proto3_optional=True,
        oneof_index=0,
    )
    probe.oneof_decl.add(name="_score")
    entry = probe.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), start=1):
        entry.field.add(name=name, number=number, type=_types.TYPE_STRING, label=_types.LABEL_OPTIONAL)
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Probe"))


Probe = _declare(descriptor_pool.DescriptorPool())
OlderProbe = _declare(descriptor_pool.DescriptorPool(), without="note")
"""The same message as it was before `note` was added: to it, a note is an unknown field."""

REQUEST_ID = "7d1f8a52-6f0e-4a56-9f5b-1b8f4a1d2c3e"


def a_probe(**fields: Any) -> Any:
    return Probe(**{"request_id": REQUEST_ID, **fields})
