"""What others build on only grows: the messages, the client's names, the reasons of errors."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2

import smarketing.client

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden" / "api.binpb"


def messages_of(
    within: str, messages: Iterator[descriptor_pb2.DescriptorProto]
) -> Iterator[tuple[str, descriptor_pb2.DescriptorProto]]:
    for message in messages:
        name = f"{within}.{message.name}"
        yield name, message
        yield from messages_of(name, iter(message.nested_type))


def fields_of(found: descriptor_pb2.FileDescriptorSet) -> set[tuple[object, ...]]:
    """Return every field of our messages, with all that a stored or sent message depends on."""
    return {
        (name, field.number, field.name, field.type, field.label, field.type_name)
        for file in found.file
        if file.package.startswith("smarketing.")
        for name, message in messages_of(file.package, iter(file.message_type))
        for field in message.field
    }


def values_of(found: descriptor_pb2.FileDescriptorSet) -> set[tuple[str, str, int]]:
    own = [file for file in found.file if file.package.startswith("smarketing.")]
    enums = [(file.package, enum) for file in own for enum in file.enum_type]
    for file in own:
        for name, message in messages_of(file.package, iter(file.message_type)):
            enums += [(name, enum) for enum in message.enum_type]
    return {(f"{name}.{enum.name}", value.name, value.number) for name, enum in enums for value in enum.value}


def rpcs_of(found: descriptor_pb2.FileDescriptorSet) -> set[tuple[object, ...]]:
    return {
        (
            f"{file.package}.{service.name}",
            rpc.name,
            rpc.input_type,
            rpc.output_type,
            rpc.client_streaming,
            rpc.server_streaming,
        )
        for file in found.file
        for service in file.service
        for rpc in service.method
    }


def present() -> descriptor_pb2.FileDescriptorSet:
    """Return what the generated Python says of itself: it is there also where nothing was built."""
    found = descriptor_pb2.FileDescriptorSet()
    for path in sorted((ROOT / "smarketing" / "api").glob("*/v1/*_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        found.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
    return found


def test_every_field_value_and_rpc_that_was_published_is_still_the_same() -> None:
    golden = descriptor_pb2.FileDescriptorSet.FromString(GOLDEN.read_bytes())

    assert len(fields_of(golden)) > 300
    assert fields_of(golden) - fields_of(present()) == set()
    assert values_of(golden) - values_of(present()) == set()
    assert rpcs_of(golden) - rpcs_of(present()) == set()


def test_the_client_exports_these_names_and_no_other() -> None:
    assert smarketing.client.__all__ == [
        "Answer",
        "BatchOptions",
        "CallError",
        "ClientSettings",
        "DeniedError",
        "FieldViolation",
        "InsecureTarget",
        "LeadsClient",
        "RefusedError",
        "ReportsClient",
        "RetryPolicy",
        "SlaClient",
        "UnavailableError",
        "error_of_status",
        "read_settings",
    ]
    assert all(hasattr(smarketing.client, name) for name in smarketing.client.__all__)


def test_the_page_of_errors_is_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "errors_doc.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
