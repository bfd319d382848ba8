"""A mapping file: which columns become which fields, checked as a whole before a row is read."""

import enum
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.imports.table import CsvForm
from smarketing.mapping.rules import (
    Convert,
    MoneyForm,
    Rule,
    Target,
    TimeForm,
    parts_of,
    plain_convert,
)
from smarketing.mapping.yamltext import Element, FileFaulty, documents_of

__all__ = ["ImportMapping", "MappingKind", "read_mapping"]

_UTC: Final[tzinfo] = UTC
_NO_PARTS: Final[tuple[tuple[str, str], ...]] = ()
_SOURCES = ("column", "template", "constant")
_ANY = (*_SOURCES, "values", "otherwise", "absent_when", "required")
_OF_TIME = ("format", "time_zone")
_OF_MONEY = ("currency", "currency_column", "decimal", "grouping", "zero_is_absent")


class MappingKind(enum.StrEnum):
    """What the rows of a file become."""

    LEADS = "Leads"
    OUTCOMES = "Outcomes"


_MESSAGES: Final[Mapping[MappingKind, type[Message]]] = {
    MappingKind.LEADS: leadspb.Submission,
    MappingKind.OUTCOMES: leadspb.Outcome,
}
# Without these no service can tell one row from another, or when its outcome was.
_REQUIRED: Final[Mapping[MappingKind, Collection[str]]] = {
    MappingKind.LEADS: ("source_system", "external_id"),
    MappingKind.OUTCOMES: ("source_system", "external_id", "state", "occur_time"),
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A row is taken only when a column holds one of these values, any, or none."""

    column: str
    one_of: frozenset[str] = frozenset()
    present: bool | None = None

    def holds(self, row: Mapping[str, str]) -> bool:
        """Whether a row fulfils it."""
        value = row[self.column]
        return value in self.one_of if self.present is None else bool(value) == self.present


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """How the rows of a file become submissions or outcomes."""

    kind: MappingKind
    form: CsvForm
    conditions: tuple[Condition, ...]
    rules: tuple[Rule, ...]
    columns: Mapping[str, str]
    """Every column it names, with the `file:line` that does."""
    sha256: str
    """Of the mapping file."""

    def check(self, columns: Collection[str]) -> None:
        """See that a table has what the mapping names.

        Raises:
            FileFaulty: naming each column that it has not.
        """
        missing = [
            f"{place}: the file has no column {column!r}; it has {', '.join(columns)}"
            for column, place in self.columns.items()
            if column not in columns
        ]
        if missing:
            raise FileFaulty(missing)

    def takes(self, row: Mapping[str, str]) -> bool:
        """Whether a row is meant at all."""
        return all(condition.holds(row) for condition in self.conditions)

    def message_of(self, row: Mapping[str, str]) -> Message:
        """Return what a row becomes.

        Raises:
            FieldFaulty: a value of it cannot be used.
        """
        message = _MESSAGES[self.kind]()
        for rule in self.rules:
            rule.apply(message, row)
        return message


def read_mapping(path: Path, kind: MappingKind) -> ImportMapping:
    """Return the mapping in a file.

    Raises:
        FileFaulty: with every fault, each with its line.
    """
    faults: list[str] = []
    documents = list(documents_of(path, faults))
    if not faults and len(documents) != 1:
        faults.append(f"{path}:1: must hold one document")
    mapping = None if faults else _Reader(kind, path).read(documents[0])
    if faults or mapping is None:
        raise FileFaulty(faults)
    return mapping


class _Reader:
    """Reads one mapping file, and remembers which columns it names where."""

    def __init__(self, kind: MappingKind, path: Path) -> None:
        self._kind = kind
        self._path = path
        self._zone: tzinfo = UTC
        self._columns: dict[str, str] = {}

    def read(self, document: Element) -> ImportMapping | None:
        """Return the mapping, or nothing when the document's faults are not empty."""
        fields = document.fields("kind", "csv", "time_zone", "when", "fields", required=("kind", "fields"))
        if "kind" in fields and fields["kind"].text() != self._kind:
            fields["kind"].fault(f"must be {self._kind} for this import")
        if "time_zone" in fields:
            self._zone = fields["time_zone"].parsed(_zone_of, _UTC)
        form = _form_of(fields["csv"]) if "csv" in fields else CsvForm()
        conditions = self._conditions(fields["when"]) if "when" in fields else ()
        rules = self._rules(fields["fields"]) if "fields" in fields else ()
        if document.faults:
            return None
        digest = hashlib.sha256(self._path.read_bytes()).hexdigest()
        return ImportMapping(self._kind, form, conditions, rules, self._columns, digest)

    def _column(self, name: str, element: Element) -> str:
        self._columns.setdefault(name, f"{self._path}:{element.line}")
        return name

    def _conditions(self, when: Element) -> tuple[Condition, ...]:
        return tuple(self._condition(column, element) for column, element in when.entries().items())

    def _condition(self, column: str, element: Element) -> Condition:
        self._column(column, element)
        if element.is_scalar():
            word = element.text()
            if word not in {"present", "absent"}:
                element.fault("must be present, absent or a list of values")
            return Condition(column, present=word == "present")
        return Condition(column, frozenset(item.text() for item in element.items()))

    def _rules(self, fields: Element) -> tuple[Rule, ...]:
        entries = fields.entries()
        for name in _REQUIRED[self._kind]:
            if name not in entries:
                fields.fault(f"lacks {name!r}")
        rules = [self._rule(path, element) for path, element in entries.items()]
        return tuple(rule for rule in rules if rule is not None)

    def _rule(self, path: str, element: Element) -> Rule | None:
        found = _descriptor_of(_MESSAGES[self._kind], path)
        if isinstance(found, str):
            element.fault(found)
            return None
        target, descriptor = found
        settings = element.fields(*_ANY, *_settings_of(descriptor))
        parts = self._parts(element, settings)
        values, otherwise = settings.get("values"), settings.get("otherwise")
        rule = Rule(
            target=target,
            convert=self._convert(descriptor, element, settings),
            constant=settings["constant"].text() if "constant" in settings else None,
            parts=parts,
            values=None if values is None else {key: each.text() for key, each in values.entries().items()},
            otherwise=None if otherwise is None else otherwise.text(),
            absent_when=frozenset(item.text() for item in _items_of(settings, "absent_when")),
            required=_flag(settings, "required") or path in _REQUIRED[self._kind],
        )
        _check_words(rule, settings)
        return rule

    def _parts(self, element: Element, settings: Mapping[str, Element]) -> tuple[tuple[str, str], ...]:
        given = [name for name in _SOURCES if name in settings]
        if len(given) != 1:
            element.fault("must have one of column, template, constant")
            return ()
        source = settings[given[0]]
        if given[0] == "constant":
            return ()
        if given[0] == "column":
            return (("", self._column(source.text(), source)),)
        parts = source.parsed(parts_of, _NO_PARTS)
        for _literal, column in parts:
            if column:
                self._column(column, source)
        return parts

    def _convert(
        self, descriptor: FieldDescriptor, element: Element, settings: Mapping[str, Element]
    ) -> Convert:
        plain = plain_convert(descriptor) if descriptor.message_type is None else None
        if plain is not None:
            return plain
        if descriptor.message_type is None or descriptor.message_type.GetOptions().map_entry:
            return lambda text, _row: text
        if descriptor.message_type.full_name.endswith(".Timestamp"):
            zone = settings["time_zone"].parsed(_zone_of, _UTC) if "time_zone" in settings else self._zone
            form = settings["format"].parsed(_time_form_of, "iso") if "format" in settings else "iso"
            return TimeForm(form, zone)
        return self._money_form(element, settings)

    def _money_form(self, element: Element, settings: Mapping[str, Element]) -> MoneyForm:
        def text(name: str, default: str = "") -> str:
            return settings[name].text() if name in settings else default

        if ("currency" in settings) == ("currency_column" in settings):
            element.fault("must have one of currency, currency_column")
        if "currency_column" in settings:
            self._column(text("currency_column"), settings["currency_column"])
        return MoneyForm(
            currency=text("currency"),
            currency_column=text("currency_column"),
            decimal=text("decimal", "."),
            grouping=text("grouping"),
            zero_is_absent=_flag(settings, "zero_is_absent"),
        )


def _descriptor_of(root: type[Message], path: str) -> tuple[Target, FieldDescriptor] | str:
    """Return the field at a dotted path, or the sentence that says why there is none."""
    names = path.split(".")
    message: Any = root.DESCRIPTOR  # descriptors have two types for the checker, and one in life
    for depth, name in enumerate(names):
        known = message.fields_by_name
        descriptor = known.get(name)
        if descriptor is None:
            return f"is no field; known are {', '.join(known)}"
        kind = descriptor.message_type
        if kind is not None and kind.GetOptions().map_entry:
            key = ".".join(names[depth + 1 :])
            return (Target(tuple(names[: depth + 1]), key), descriptor) if key else "lacks the key behind it"
        if kind is None or kind.full_name.endswith((".Timestamp", ".Money")):
            return (Target(tuple(names)), descriptor) if depth + 1 == len(names) else f"{name} has no fields"
        message = kind
    return "is a group of fields; name one of them"


def _settings_of(descriptor: FieldDescriptor) -> tuple[str, ...]:
    kind = descriptor.message_type
    if kind is None or kind.GetOptions().map_entry:
        return ()
    return _OF_TIME if kind.full_name.endswith(".Timestamp") else _OF_MONEY


def _check_words(rule: Rule, settings: Mapping[str, Element]) -> None:
    """Try what the file itself says on the field's type, before the first row is read."""
    if isinstance(rule.convert, MoneyForm):
        return
    words = dict(settings["values"].entries()) if "values" in settings else {}
    words |= {name: settings[name] for name in ("otherwise", "constant") if name in settings}
    for element in words.values():
        element.parsed(lambda text: rule.convert(text, {}), None)


def _form_of(csv: Element) -> CsvForm:
    fields = csv.fields("delimiter", "encoding")
    delimiter = fields["delimiter"].parsed(_delimiter_of, ",") if "delimiter" in fields else ","
    encoding = fields["encoding"].parsed(_encoding_of, "utf-8") if "encoding" in fields else "utf-8"
    return CsvForm(delimiter, encoding)


def _delimiter_of(text: str) -> str:
    if len(text) != 1:
        raise ValueError("must be a single character")
    return text


def _encoding_of(text: str) -> str:
    try:
        "".encode(text)
    except LookupError:
        raise ValueError("is no encoding") from None
    return text.lower()


def _time_form_of(text: str) -> str:
    if text not in {"iso", "epoch_seconds", "epoch_milliseconds"} and "%" not in text:
        raise ValueError("must be iso, epoch_seconds, epoch_milliseconds or a form such as %d.%m.%Y %H:%M")
    return text


def _zone_of(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone such as Europe/Berlin") from None


def _items_of(settings: Mapping[str, Element], name: str) -> list[Element]:
    return settings[name].items() if name in settings else []


def _flag(settings: Mapping[str, Element], name: str) -> bool:
    return name in settings and settings[name].parsed(_truth_of, False)


def _truth_of(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"
