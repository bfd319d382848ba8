"""A mapping of webhooks: which vendor's bodies become which messages, as data alone."""

import enum
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from google.protobuf.message import Message

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.mapping.documents import BodyForm, Document, KeyedList, columns_of, items_of
from smarketing.mapping.fields import Condition, FieldReader, zone_of
from smarketing.mapping.rules import Rule, parts_of
from smarketing.mapping.signatures import Scheme, read_schemes
from smarketing.mapping.yamltext import Element, FileFaulty, documents_of

__all__ = [
    "Challenge",
    "Event",
    "Fetch",
    "Item",
    "ItemKind",
    "WebhookMapping",
    "read_webhook_mapping",
    "read_webhook_mappings",
]

FETCHED: Final = "fetched"
"""Where the answer of a fetch step stands beside an item's own columns."""
_ENVELOPE: Final = "envelope"
_QUERY: Final = "query"
_KEY: Final = "key"
_NEVER_KEPT: Final = (f"{_QUERY}.*", f"{_ENVELOPE}.*", _KEY)
"""Beside the item: the query has the sender's token in it."""
_MOST_ATTRIBUTES: Final = 100
_LONGEST_KEY: Final = 64
_LONGEST_VALUE: Final = 1024
_LONGEST_TYPE: Final = 100


class ItemKind(enum.StrEnum):
    """What an item of a body becomes."""

    LEADS = "Leads"
    OUTCOMES = "Outcomes"
    CONVERSIONS = "Conversions"
    FOLLOW_UPS = "FollowUps"
    BEHAVIOURS = "Behaviours"


_MESSAGES: Final[Mapping[ItemKind, type[Message]]] = {
    ItemKind.LEADS: leadspb.Submission,
    ItemKind.OUTCOMES: leadspb.Outcome,
    ItemKind.CONVERSIONS: intakepb.SourceConversion,
    ItemKind.FOLLOW_UPS: intakepb.SourceFollowUp,
    ItemKind.BEHAVIOURS: intakepb.Behaviour,
}
_REQUIRED: Final[Mapping[ItemKind, Collection[str]]] = {
    ItemKind.LEADS: ("external_id",),
    ItemKind.OUTCOMES: ("external_id", "state", "occur_time"),
    ItemKind.CONVERSIONS: ("external_id", "occur_time"),
    ItemKind.FOLLOW_UPS: ("external_id", "channel", "occur_time", "follow_up_external_id"),
    ItemKind.BEHAVIOURS: ("external_id", "kind", "occur_time", "behaviour_external_id"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a body tells of."""

    value: Any
    """As it stood in the body, with the key, envelope and query it stood under."""
    columns: Document

    def with_answer(self, answer: Any) -> Any:
        """Return the item's value with the answer of a fetch step beside it."""
        return {**self.value, FETCHED: answer}


@dataclass(frozen=True, slots=True)
class Fetch:
    """How the rest of an item is asked for, where a notification has ids only."""

    base: str
    parts: tuple[tuple[str, str], ...]

    def url_of(self, columns: Mapping[str, str], base: str = "") -> str:
        """Return the address to ask; what an item says stands in it escaped, and never in the host."""
        path = "".join(
            literal + (quote(columns[column], safe="") if column else "") for literal, column in self.parts
        )
        return (base or self.base).rstrip("/") + path

    def is_complete(self, columns: Mapping[str, str]) -> bool:
        """Whether the item has everything that the address needs."""
        return all(columns[column] for _literal, column in self.parts if column)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Which columns without a rule a lead keeps, and under which names."""

    below: tuple[str, ...] = ("",)
    without: tuple[str, ...] = ()

    def of(self, columns: Mapping[str, str], named: Collection[str]) -> dict[str, str]:
        """Return at most 100 of them, cut to what a lead may have."""
        kept: dict[str, str] = {}
        for column, value in columns.items():
            name = self._name(column)
            if name and column not in named and len(kept) < _MOST_ATTRIBUTES:
                kept.setdefault(_cut(name, _LONGEST_KEY), _cut(value, _LONGEST_VALUE))
        return kept

    def _name(self, column: str) -> str:
        if any(fnmatchcase(column, pattern) for pattern in (*_NEVER_KEPT, *self.without)):
            return ""
        for below in self.below:
            if not below:
                return column
            if column.startswith(f"{below}."):
                return column[len(below) + 1 :]
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Items of one kind, and how they are read."""

    name: str
    kind: ItemKind
    conditions: tuple[Condition, ...]
    rules: tuple[Rule, ...]
    fetch: Fetch | None = None
    attributes: Attributes | None = None
    named: frozenset[str] = frozenset()
    """Columns that its rules look at."""

    def takes(self, columns: Mapping[str, str]) -> bool:
        """Whether an item is meant."""
        return all(condition.holds(columns) for condition in self.conditions)

    def message_of(self, columns: Document) -> Message:
        """Return what an item becomes.

        Raises:
            FieldFaulty: a value of it cannot be used.
        """
        message = _MESSAGES[self.kind]()
        for rule in self.rules:
            rule.apply(message, columns)
        if self.attributes is not None and isinstance(message, leadspb.Submission):
            unmapped = self.attributes.of(columns, self.named)
            message.contact.attributes.update({**unmapped, **message.contact.attributes})
        return message


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a vendor checks an address before it sends to it: it wants a value of its question back."""

    answer: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookMapping:
    """Everything there is to know of one vendor's webhooks."""

    name: str
    body: BodyForm
    methods: frozenset[str]
    schemes: tuple[Scheme, ...]
    items: str
    type_columns: tuple[str, ...]
    lists: Mapping[str, KeyedList]
    nested: tuple[str, ...]
    events: tuple[Event, ...]
    identity: tuple[str, ...] = ()
    """Columns that together name an item; none where all of it does."""
    challenge: Challenge | None = None
    answer: str = "{}"
    answer_type: str = "application/json"

    @property
    def has_proof_in_body(self) -> bool:
        """Whether the body must be read before it is known whose it is."""
        return any(scheme.column for scheme in self.schemes)

    def items_of(self, body: Any, query: Mapping[str, str], *, context: Document) -> Iterator[Item]:
        """Yield the items of a body; `context` lends them its key and rules.

        Raises:
            BodyFaulty: it is beyond every honest one.
        """
        envelope = _envelope_of(body, self.items)
        for key, found in items_of(body, self.items):
            value = found if isinstance(found, dict) else {"value": found}
            around = {_ENVELOPE: envelope, _QUERY: dict(query), _KEY: key}
            yield self.item({**value, **{name: part for name, part in around.items() if part}}, context)

    def item(self, value: Any, context: Document) -> Item:
        """Return an item by its value, such as one that was set aside."""
        columns = columns_of(value, self.lists, self.nested)
        return Item(value, Document(columns, key=context.key, utm_rules=context.utm_rules))

    def event_of(self, item: Item) -> Event | None:
        """Return how the item is read; None for a type that nobody mapped."""
        return next((event for event in self.events if event.takes(item.columns)), None)

    def key_of(self, item: Item) -> str:
        """Return by what the item is known when it is sent again, however often the vendor tried."""
        named = [item.columns[column] for column in self.identity]
        text = json.dumps(named if any(named) else item.value, sort_keys=True)
        return hashlib.sha256(f"{self.name}\x00{text}".encode()).hexdigest()[:40]

    def type_of(self, item: Item) -> str:
        """Return what the sender calls it."""
        columns = item.columns
        found = next((columns[column] for column in self.type_columns if columns[column]), "")
        return _cut(found, _LONGEST_TYPE)


def read_webhook_mapping(path: Path) -> WebhookMapping:
    """Return the mapping in a file, named like it.

    Raises:
        FileFaulty: with every fault, each with its line.
    """
    faults: list[str] = []
    documents = list(documents_of(path, faults))
    if not faults and len(documents) != 1:
        faults.append(f"{path}:1: must hold one document")
    mapping = None if faults else _Reader(path).read(documents[0])
    if faults or mapping is None:
        raise FileFaulty(faults)
    return mapping


def read_webhook_mappings(folder: Path) -> dict[str, WebhookMapping]:
    """Return the mappings of a folder, each named like its file.

    Raises:
        FileFaulty: one of them cannot be used.
    """
    return {path.stem: read_webhook_mapping(path) for path in sorted(folder.glob("*.yaml"))}


@dataclass(slots=True)
class _Reader:
    path: Path
    _fields: FieldReader = field(init=False)

    def __post_init__(self) -> None:
        self._fields = FieldReader(str(self.path))

    def read(self, document: Element) -> WebhookMapping | None:
        told = document.fields(
            *("kind", "body", "methods", "time_zone", "signatures", "challenge", "items", "type", "identity"),
            *("lists", "json_columns", "answer", "events"),
            required=("kind", "body", "signatures", "events"),
        )
        if "kind" in told and told["kind"].text() != "Webhooks":
            told["kind"].fault("must be Webhooks")
        if "time_zone" in told:
            self._fields.zone = told["time_zone"].parsed(zone_of, self._fields.zone)
        methods = _texts(told, "methods") or ("POST",)
        answer = told["answer"].fields("body", "type") if "answer" in told else {}
        mapping = WebhookMapping(
            name=self.path.stem,
            body=told["body"].parsed(BodyForm, BodyForm.JSON) if "body" in told else BodyForm.JSON,
            methods=frozenset(methods),
            schemes=read_schemes(told["signatures"]) if "signatures" in told else (),
            items=told["items"].text() if "items" in told else "",
            type_columns=_texts(told, "type"),
            lists=_lists(told["lists"]) if "lists" in told else {},
            nested=_texts(told, "json_columns"),
            events=tuple(self._event(each) for each in told["events"].items()) if "events" in told else (),
            identity=_texts(told, "identity"),
            challenge=_challenge(told["challenge"]) if "challenge" in told else None,
            answer=answer["body"].text() if "body" in answer else "{}",
            answer_type=answer["type"].text() if "type" in answer else "application/json",
        )
        if "signatures" in told and not mapping.schemes:
            told["signatures"].fault("must have at least one")
        return None if document.faults else mapping

    def _event(self, element: Element) -> Event:
        told = element.fields(
            "name", "kind", "when", "fetch", "fields", "attributes", required=("kind", "fields")
        )
        kind = told["kind"].parsed(_kind_of, ItemKind.LEADS) if "kind" in told else ItemKind.LEADS
        rules: tuple[Rule, ...] = ()
        if "fields" in told:
            rules = self._fields.rules(told["fields"], _MESSAGES[kind], required=_REQUIRED[kind])
        conditions = self._fields.conditions(told["when"]) if "when" in told else ()
        return Event(
            name=told["name"].text() if "name" in told else "",
            kind=kind,
            conditions=conditions,
            rules=rules,
            fetch=_fetch(told["fetch"]) if "fetch" in told else None,
            attributes=_attributes(told["attributes"]) if "attributes" in told else None,
            named=frozenset(column for rule in rules for column in rule.named)
            | {condition.column for condition in conditions},
        )


def _kind_of(text: str) -> ItemKind:
    try:
        return ItemKind(text)
    except ValueError:
        raise ValueError(f"is none of {', '.join(ItemKind)}") from None


def _fetch(element: Element) -> Fetch:
    told = element.fields("base", "path", required=("base", "path"))
    base = told["base"].text() if "base" in told else ""
    if base and not base.startswith("https://"):
        told["base"].fault("must begin with https://")
    nothing: tuple[tuple[str, str], ...] = ()
    parts = told["path"].parsed(parts_of, nothing) if "path" in told else nothing
    if parts and not parts[0][0].startswith("/"):
        told["path"].fault("must begin with /")
    return Fetch(base, parts)


def _attributes(element: Element) -> Attributes:
    told = element.fields("below", "without")
    return Attributes(below=_texts(told, "below") or ("",), without=_texts(told, "without"))


def _challenge(element: Element) -> Challenge:
    told = element.fields("answer", "token", required=("answer", "token"))
    if len(told) < 2:
        return Challenge("", "")
    return Challenge(answer=told["answer"].text(), token=told["token"].text())


def _lists(element: Element) -> dict[str, KeyedList]:
    found = {}
    for path, each in element.entries().items():
        told = each.fields("key", "value", required=("key", "value"))
        found[path] = KeyedList(keys=_texts(told, "key"), values=_texts(told, "value"))
    return found


def _texts(told: Mapping[str, Element], name: str) -> tuple[str, ...]:
    if name not in told:
        return ()
    if told[name].is_scalar():
        return (told[name].text(),)
    return tuple(each.text() for each in told[name].items())


def _envelope_of(body: Any, items: str) -> dict[str, Any]:
    """Return what stands beside the items in the body's outermost object."""
    if not items or not isinstance(body, dict):
        return {}
    first = items.split(".", maxsplit=1)[0].removesuffix("[]")
    return {
        name: value
        for name, value in body.items()
        if name != first and not (first == "*" and isinstance(value, (dict, list)))
    }


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= most_bytes else encoded[:most_bytes].decode(errors="ignore")
