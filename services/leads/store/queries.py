"""Reads for whoever asks: one, or a page; domain values only."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact
from services.leads.domain.opportunity import Opportunity
from services.leads.store import rows, statements
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.wire.leads import contact_from_bytes

_T = SCHEMA.leads
_h = _T.handoff.c


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead with its personal data; no contact once it was erased."""

    tenant: str
    lead: str
    version: int
    create_time: datetime
    erase_time: datetime | None
    contact: Contact | None
    handoff_count: int


def find_handoff(handoff_id: HandoffId) -> Callable[[Connection], Handoff | None]:
    """Return the query for one handoff."""

    def query(connection: Connection) -> Handoff | None:
        found = statements.FIND_HANDOFFS.find(connection, [handoff_id])
        return rows.handoff_of(found[0]) if found else None

    return query


def find_handoffs(ids: Collection[HandoffId]) -> Callable[[Connection], list[Handoff]]:
    """Return the query for these handoffs, as far as they are there, in the order of their ids."""

    def query(connection: Connection) -> list[Handoff]:
        found = statements.FIND_HANDOFFS.find(connection, ids) if ids else []
        return [rows.handoff_of(row) for row in sorted(found, key=lambda row: row[:3])]

    return query


def find_opportunity(tenant: str, opportunity_id: str) -> Callable[[Connection], Opportunity | None]:
    """Return the query for one opportunity."""

    def query(connection: Connection) -> Opportunity | None:
        found = statements.FIND_OPPORTUNITIES.find(connection, [(tenant, opportunity_id)])
        return rows.opportunity_of(found[0]) if found else None

    return query


def find_lead(sealer: Sealer, tenant: str, lead: str) -> Callable[[Connection], Lead | None]:
    """Return the query for one lead with its contact opened."""
    person = _T.lead_person.c

    def query(connection: Connection) -> Lead | None:
        of_lead = (person.tenant == tenant, person.lead == lead)
        row = connection.execute(select(_T.lead_person).where(*of_lead)).one_or_none()
        if row is None:
            return None
        counted = select(func.count()).where(_h.tenant == tenant, _h.lead == lead)
        contact = None
        if row.wrapped_key is not None:
            plain = sealer.unseal(row.wrapped_key, row.sealed_contact, bound_to=f"{tenant}/{lead}")
            contact = contact_from_bytes(plain)
        count = connection.execute(counted).scalar_one()
        return Lead(tenant, lead, row.version, row.create_time, row.erase_time, contact, count)

    return query
