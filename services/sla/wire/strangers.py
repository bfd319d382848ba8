"""Values of enums that this build does not know: refused where somebody writes them, never guessed."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from services.sla.domain.fault import Fault


def strangers_in(message: Message, path: str = "") -> Iterator[Fault]:
    """Yield every value of an enum that is not known, and every unspecified one in a list."""
    for field, value in message.ListFields():
        where = f"{path}.{field.name}" if path else field.name
        is_list = isinstance(field.default_value, list)
        if field.enum_type is not None:
            yield from _strange(field.enum_type, value, where, is_list=is_list)
        elif field.message_type is not None:
            for at, each in enumerate(value) if is_list else [(None, value)]:
                yield from strangers_in(each, where if at is None else f"{where}[{at}]")


def _strange(enum: Any, value: Any, path: str, *, is_list: bool) -> Iterator[Fault]:
    values = list(value) if is_list else [value]
    for at, number in enumerate(values):
        if number == 0 or number not in enum.values_by_number:
            known = ", ".join(each.name for each in enum.values if each.number)
            yield Fault(path=f"{path}[{at}]" if is_list else path, description=f"one of {known}")
