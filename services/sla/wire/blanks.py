"""Values left blank in lists of an enum: refused where somebody writes them, never passed over."""

from collections.abc import Iterator

from google.protobuf.message import Message

from services.sla.domain.fault import Fault


def blanks_in(message: Message, path: str = "") -> Iterator[Fault]:
    """Yield every unspecified value in a list; a value that this build does not know is refused before."""
    for field, value in message.ListFields():
        where = f"{path}.{field.name}" if path else field.name
        items = list(value) if field.is_repeated else [value]
        for at, item in enumerate(items):
            own = f"{where}[{at}]" if field.is_repeated else where
            if field.message_type is not None:
                yield from blanks_in(item, own)
            elif field.enum_type is not None and field.is_repeated and item == 0:
                known = ", ".join(each.name for each in field.enum_type.values if each.number)
                yield Fault(path=own, description=f"one of {known}")
