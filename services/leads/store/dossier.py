"""Everything that is kept of a lead, for the person it is about: plain, with times and sources.

Known tables are told in the contract's words. Any other table that has a lead is told column by column,
so that a table which somebody adds is in the next export without being named here.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from sqlalchemy import Connection, LargeBinary, Row, Table, select

from services.leads.store import rows
from services.leads.store.external_ids import with_external_ids
from services.leads.store.of_lead import of_lead
from services.leads.store.people import LeadKey, People
from services.leads.store.schema import SCHEMA
from services.leads.store.sealed_texts import EVIDENCE, EXTERNAL_ID, purpose_of, with_texts
from services.leads.store.sealing import Sealer
from services.leads.store.subjects import CONSENT_NOTE, consent_of, erasure_of
from services.leads.wire.leads import (
    contact_message,
    follow_up_message,
    handoff_message,
    opportunity_message,
)
from services.leads.wire.privacy import consent_message
from smarketing import names

__all__ = ["FORMAT", "dossier_of"]

FORMAT: Final = "smarketing.subject.v1"
"""Changes when a reader of the document would have to."""

_L: Final = SCHEMA.leads
_P: Final = SCHEMA.privacy
_LOG: Final = SCHEMA.event_log.event_log
_MOST_EVENTS: Final = 5_000
_TOLD: Final = frozenset(
    {"lead_person", "lead_match", "submission", "handoff", "follow_up", "opportunity"}
) | {
    "consent",
    "erasure",
}

Document = dict[str, Any]
T = TypeVar("T")


def dossier_of(
    sealer: Sealer, leads: Sequence[LeadKey], *, now: datetime
) -> Callable[[Connection], Document]:
    """Return the query for the whole document; an erased lead has no contact in it."""

    def query(connection: Connection) -> Document:
        people = People(connection, sealer, now)
        return {
            "format": FORMAT,
            "exportTime": _text(now),
            "leads": [_lead(connection, sealer, people, lead) for lead in leads],
        }

    return query


def _lead(connection: Connection, sealer: Sealer, people: People, lead: LeadKey) -> Document:
    [person] = _rows(connection, _L.lead_person, lead)
    contact = people.contact(lead)
    handoffs = with_external_ids(sealer, _values(sealer, _L.handoff, rows.handoff_of, EVIDENCE, lead))(
        connection
    )
    follow_ups = _values(sealer, _L.follow_up, rows.follow_up_of, EXTERNAL_ID, lead)(connection)
    opportunities = _values(sealer, _L.opportunity, rows.opportunity_of, EXTERNAL_ID, lead)(connection)
    erasures = [erasure_of(row) for row in _rows(connection, _P.erasure, lead)]
    return {
        "name": names.LEAD.build(*lead),
        "createTime": _text(person.create_time),
        "contact": None if contact is None else _plain(contact_message(contact)),
        "erasures": [{"eraseTime": _text(each.erase_time), "cause": each.cause.name} for each in erasures],
        "submissions": [_submission(people, lead, row) for row in _rows(connection, _L.submission, lead)],
        "knownByCount": len(_rows(connection, _L.lead_match, lead)),
        "handoffs": [_plain(handoff_message(each)) for each in handoffs],
        "followUps": [_plain(follow_up_message(each)) for each in follow_ups],
        "opportunities": [
            _plain(opportunity_message(each)) | {"externalId": each.external_id} for each in opportunities
        ],
        "consents": [_consent(people, lead, row) for row in _rows(connection, _P.consent, lead)],
        "events": _events(connection, lead, [each.name for each in handoffs]),
        "furtherTables": _further(connection, people, lead),
    }


def _values(
    sealer: Sealer, table: Table, value_of: Callable[[rows.Row], T], field: str, lead: LeadKey
) -> Callable[[Connection], list[T]]:
    return with_texts(
        sealer,
        lambda connection: [value_of(tuple(row)) for row in _rows(connection, table, lead)],
        field,
        lead_of=lambda _: lead,
    )


def _submission(people: People, lead: LeadKey, row: Row[Any]) -> Document:
    sealed = row.sealed_external_id
    return {
        "sourceSystem": row.source_system,
        "externalId": None
        if sealed is None
        else people.opened(lead, bytes(sealed), purpose=purpose_of(EXTERNAL_ID)),
        "revision": row.revision,
        "handoff": f"{names.LEAD.build(*lead)}/handoffs/{row.number}",
        "recordTime": _text(row.record_time),
    }


def _consent(people: People, lead: LeadKey, row: Row[Any]) -> Document:
    sealed = row.sealed_note
    note = None if sealed is None else people.opened(lead, bytes(sealed), purpose=CONSENT_NOTE)
    return _plain(consent_message(consent_of(row, note or "")))


def _events(connection: Connection, lead: LeadKey, handoffs: Sequence[str]) -> list[Document]:
    subjects = [names.LEAD.build(*lead), *handoffs]
    found = (
        select(_LOG)
        .where(_LOG.c.tenant == names.TENANT.build(lead[0]), _LOG.c.subject.in_(subjects))
        .order_by(_LOG.c.position)
        .limit(_MOST_EVENTS)
    )
    return [_event(row) for row in connection.execute(found)]


def _event(row: Row[Any]) -> Document:
    message_type = descriptor_pool.Default().FindMessageTypeByName(row.payload_type)
    payload = GetMessageClass(message_type).FromString(bytes(row.payload))
    return {
        "type": message_type.name,
        "occurTime": _text(row.occur_time),
        "recordTime": _text(row.record_time),
        "actor": row.actor,
        "payload": _plain(payload),
    }


def _further(connection: Connection, people: People, lead: LeadKey) -> Document:
    return {
        table.name: found
        for table in SCHEMA.metadata.sorted_tables
        if {"tenant", "lead"}.issubset(table.c.keys()) and table.name not in _TOLD
        if (found := [_columns(people, lead, table, row) for row in _rows(connection, table, lead)])
    }


def _columns(people: People, lead: LeadKey, table: Table, row: Row[Any]) -> Document:
    told: Document = {}
    for column in table.c:
        value = row._mapping[column.name]  # noqa: SLF001 -- the public name of it in SQLAlchemy
        if not isinstance(column.type, LargeBinary):
            told[column.name] = _text(value) if isinstance(value, datetime) else value
        elif value is not None and column.name.startswith("sealed_"):
            told[column.name.removeprefix("sealed_")] = people.opened(
                lead, bytes(value), purpose=purpose_of(column.name.removeprefix("sealed_"))
            )
    return told


def _rows(connection: Connection, table: Table, lead: LeadKey) -> Sequence[Row[Any]]:
    own = select(table).where(of_lead(table, lead))
    return connection.execute(own.order_by(*table.primary_key.columns)).all()


def _plain(message: Message) -> Document:
    told: Document = MessageToDict(message)
    return told


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
