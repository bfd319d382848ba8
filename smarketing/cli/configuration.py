"""Configuration files (`deploy/default/README.md`) as the contract's messages, checked as a whole."""

import enum
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date  # type: ignore[import-untyped] # it ships no types

from smarketing.mapping.texts import date_of, duration_of, enum_value, instant_of
from smarketing.mapping.yamltext import Element, FileFaulty, documents_of
from smarketing.names import is_id

__all__ = ["Document", "Fields", "Kind", "read_documents"]

T = TypeVar("T")


class Kind(enum.StrEnum):
    """What a document configures, in the order of applying."""

    DIRECTORY = "Directory"
    CALENDAR = "Calendar"
    LEAVE = "Leave"
    AGREEMENT = "Agreement"
    WEBHOOK_ENDPOINT = "WebhookEndpoint"


@dataclass(frozen=True, slots=True)
class Document:
    """One document as what is sent."""

    kind: Kind
    place: str
    """`file:line`."""
    tenant: str
    own_id: str
    """The calendar, agreement or person; empty for the others."""
    message: Message
    calendar: str = ""
    """Of an agreement: the calendar, by id or as a whole version's name."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line on which each value begins, by its path."""

    def line_of(self, path: str, written_as: Mapping[str, str]) -> int:
        """Return the line of what a field of the message was written as, or of what is around it.

        `written_as` has the last names of paths that a file writes otherwise, with the name above where
        that tells them apart.
        """
        steps = [step for step in path.split(".") if step]
        while steps:
            written = ".".join([*steps[:-1], *_written(steps, written_as)])
            if written in self.lines:
                return self.lines[written]
            # An item that is not there: the list is.
            listed = steps[-1].partition("[")[0]
            steps = steps[:-1] if listed == steps[-1] else [*steps[:-1], listed]
        return self.lines[""]


def _written(steps: Sequence[str], written_as: Mapping[str, str]) -> list[str]:
    name, bracket, rest = steps[-1].partition("[")
    above = steps[-2].partition("[")[0] if len(steps) > 1 else ""
    own = written_as.get(f"{above}.{name}", written_as.get(name, name))
    return [own + bracket + rest] if own else []


class Fields:
    """The fields of one mapping, each read as the type that the contract wants."""

    def __init__(self, element: Element, tenant: str, *known: str, required: Sequence[str] = ()) -> None:
        self._fields = element.fields(*known, required=required)
        self.tenant = tenant
        """Of the document."""

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def text(self, name: str) -> str:
        """Return a text; empty when left out."""
        return self._fields[name].text() if name in self._fields else ""

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return what `parse` makes of a text."""
        return self._fields[name].parsed(parse, default) if name in self._fields else default

    def own_id(self, name: str = "id") -> str:
        """Return an id as it is."""
        return self.parsed(name, _id_of, "")

    def name(self, field: str, collection: str) -> str:
        """Return a resource's whole name, of an id or of a whole name."""
        return self.parsed(field, lambda text: name_of(self.tenant, collection, text), "")

    def names(self, field: str, collection: str) -> list[str]:
        """Return whole names."""
        return [
            item.parsed(lambda text: name_of(self.tenant, collection, text), "") for item in self.items(field)
        ]

    def texts(self, name: str) -> list[str]:
        """Return texts."""
        return [item.text() for item in self.items(name)]

    def word(self, name: str, descriptor: Any, default: int = 0) -> Any:
        """Return a value of an enum."""
        return self.parsed(name, lambda text: enum_value(descriptor, text), default)

    def words(self, name: str, descriptor: Any) -> list[Any]:
        """Return values of an enum."""
        return [item.parsed(lambda text: enum_value(descriptor, text), 0) for item in self.items(name)]

    def whole(self, name: str) -> int:
        """Return a whole number; 0 when left out."""
        return self.parsed(name, whole_of, 0)

    def duration(self, name: str) -> Duration | None:
        """Return a duration; nothing when left out."""
        return self.parsed(name, lambda text: duration_message(duration_of(text)), None)

    def instant(self, name: str) -> Timestamp | None:
        """Return an instant; nothing when left out."""
        return self.parsed(name, _timestamp_of, None)

    def date(self, name: str) -> Date | None:
        """Return a date; nothing when left out."""
        return self.parsed(name, date_message_of, None)

    def items(self, name: str) -> list[Element]:
        """Return the elements of a list."""
        return self._fields[name].items() if name in self._fields else []

    def element(self, name: str) -> Element | None:
        """Return a field as it is."""
        return self._fields.get(name)


Read = Callable[[Element, str], tuple[str, Message, str]]
"""Returns a document's own id, its message, and the calendar it names."""

_ORDER: Final = tuple(Kind)


def read_documents(paths: Sequence[Path], tenant: str, readers: Mapping[Kind, Read]) -> list[Document]:
    """Return the documents of files in the order of applying.

    Raises:
        FileFaulty: with every fault of every file; nothing of them is to be applied.
    """
    faults: list[str] = []
    elements = [(path, element) for path in paths for element in documents_of(path, faults)]
    read = [_document(element, path, tenant, readers) for path, element in elements]
    documents = [document for document in read if document is not None]
    directories = [each for each in documents if each.kind is Kind.DIRECTORY]
    tenants = Counter(each.tenant for each in directories)
    faults += [
        f"{each.place}: document is one of several directories of {each.tenant}"
        for each in directories
        if tenants[each.tenant] > 1
    ]
    if faults:
        raise FileFaulty(faults)
    return sorted(documents, key=lambda document: _ORDER.index(document.kind))


def _document(element: Element, path: Path, tenant: str, readers: Mapping[Kind, Read]) -> Document | None:
    entries = element.entries()
    if "kind" not in entries:
        element.fault(f"lacks 'kind', one of {', '.join(Kind)}")
        return None
    kind = entries["kind"].parsed(_kind_of, None)
    if kind is None:
        return None
    own_tenant = entries["tenant"].parsed(_id_of, tenant) if "tenant" in entries else tenant
    own_id, message, calendar = readers[kind](element, own_tenant)
    place, lines = f"{path}:{element.line}", element.lines()
    return Document(kind, place, own_tenant, own_id, message, calendar, lines)


def name_of(tenant: str, collection: str, text: str) -> str:
    """Return the whole name of an id, or a whole name as it is."""
    if text.startswith("tenants/"):
        return text
    return f"tenants/{tenant}/{collection}/{_id_of(text)}"


def duration_message(duration: timedelta) -> Duration:
    """Return a duration as the contract has it."""
    message = Duration()
    message.FromTimedelta(duration)
    return message


def date_message_of(text: str) -> Date:
    """Return `2026-12-25` as the contract has it."""
    day = date_of(text)
    return Date(year=day.year, month=day.month, day=day.day)


def whole_of(text: str) -> int:
    """Return a whole number."""
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("is not a whole number")
    return int(text)


def percent_of(text: str) -> Decimal:
    """Return `99.5%` as 99.5."""
    number = text.removesuffix("%").rstrip()
    if not text.endswith("%") or not number.replace(".", "", 1).isdigit() or not number.isascii():
        raise ValueError("is not a percentage such as 90% or 99.5%")
    return Decimal(number)


def _timestamp_of(text: str) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(instant_of(text))
    return message


def _id_of(text: str) -> str:
    if not is_id(text):
        raise ValueError("is not an id: a-z, 0-9 and inner . _ -, at most 63")
    return text


def _kind_of(text: str) -> Kind | None:
    try:
        return Kind(text)
    except ValueError:
        raise ValueError(f"is none of {', '.join(Kind)}") from None
