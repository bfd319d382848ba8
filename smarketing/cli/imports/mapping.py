"""A mapping file: which columns become which fields, checked as a whole before a row is read."""

import enum
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.cli.imports.table import CsvForm
from smarketing.mapping.fields import Condition, FieldReader, zone_of
from smarketing.mapping.rules import Rule
from smarketing.mapping.yamltext import Element, FileFaulty, documents_of

__all__ = ["ImportMapping", "MappingKind", "read_mapping"]

_UTC: Final[tzinfo] = UTC


class MappingKind(enum.StrEnum):
    """What the rows of a file become."""

    LEADS = "Leads"
    OUTCOMES = "Outcomes"
    INPUTS = "Inputs"
    BEHAVIOURS = "Behaviours"


_MESSAGES: Final[Mapping[MappingKind, type[Message]]] = {
    MappingKind.LEADS: leadspb.Submission,
    MappingKind.OUTCOMES: leadspb.Outcome,
    MappingKind.INPUTS: inputspb.Input,
    MappingKind.BEHAVIOURS: intakepb.Behaviour,
}
# Without these no service can tell one row from another, or when its outcome was.
_REQUIRED: Final[Mapping[MappingKind, Collection[str]]] = {
    MappingKind.LEADS: ("source_system", "external_id"),
    MappingKind.OUTCOMES: ("source_system", "external_id", "state", "occur_time"),
    MappingKind.INPUTS: ("source_system", "external_id", "start_date"),
    MappingKind.BEHAVIOURS: ("external_id", "kind", "occur_time", "behaviour_external_id"),
}


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """How the rows of a file become submissions, outcomes or behaviours."""

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
    mapping = None if faults else _read(documents[0], kind, path)
    if faults or mapping is None:
        raise FileFaulty(faults)
    return mapping


def _read(document: Element, kind: MappingKind, path: Path) -> ImportMapping | None:
    """Return the mapping, or nothing when the document's faults are not empty."""
    reader = FieldReader(str(path))
    fields = document.fields("kind", "csv", "time_zone", "when", "fields", required=("kind", "fields"))
    if "kind" in fields and fields["kind"].text() != kind:
        fields["kind"].fault(f"must be {kind} for this import")
    if "time_zone" in fields:
        reader.zone = fields["time_zone"].parsed(zone_of, _UTC)
    form = _form_of(fields["csv"]) if "csv" in fields else CsvForm()
    conditions = reader.conditions(fields["when"]) if "when" in fields else ()
    rules: tuple[Rule, ...] = ()
    if "fields" in fields:
        rules = reader.rules(fields["fields"], _MESSAGES[kind], required=_REQUIRED[kind])
    if document.faults:
        return None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ImportMapping(kind, form, conditions, rules, reader.columns, digest)


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
