"""Who is meant by an address, a number or a sender's own id: found by digests, never by plain text."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from sqlalchemy import Connection

from services.leads.store import queries, statements
from services.leads.store.queries import Lead
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from smarketing.sql import FindRows

LeadQuery = Callable[[Connection], Sequence[str]]
"""Finds leads by what identifies them."""

_T: Final = SCHEMA.leads
_FIND_HOLDERS: Final = FindRows(
    _T.handoff, key=["tenant", "lead"], columns=["lead", "owner", "offer_assignee"]
)


def leads_of_digest(tenant: str, digest: bytes) -> Callable[[Connection], Sequence[str]]:
    """Return the query for the leads known by an address or number, in the order of their ids."""

    def query(connection: Connection) -> Sequence[str]:
        # A digest that is kept of somebody forgotten belongs to no lead.
        found = statements.FIND_MATCHES.find(connection, [(tenant, digest)])
        return sorted({row[-1] for row in found if row[-1]})

    return query


def leads_of_submission(
    tenant: str, source_system: str, external_digest: bytes
) -> Callable[[Connection], Sequence[str]]:
    """Return the query for the leads of a submission, in the order of their ids."""

    def query(connection: Connection) -> Sequence[str]:
        found = statements.FIND_SUBMISSIONS.find(connection, [(tenant, source_system, external_digest)])
        return sorted({row[-2] for row in found})

    return query


def leads_held_by(
    tenant: str, leads: Collection[str], holders: Collection[str]
) -> Callable[[Connection], frozenset[str]]:
    """Return the query for those of the leads of which somebody holds, or was offered, a handoff."""

    def query(connection: Connection) -> frozenset[str]:
        found = _FIND_HOLDERS.find(connection, [(tenant, lead) for lead in leads])
        return frozenset(lead for lead, *names in found if not set(names).isdisjoint(holders))

    return query


def find_leads(sealer: Sealer, tenant: str, leads: Sequence[str]) -> Callable[[Connection], list[Lead]]:
    """Return the query for these leads with their contacts opened, as far as they are there."""

    def query(connection: Connection) -> list[Lead]:
        found = (queries.find_lead(sealer, tenant, lead)(connection) for lead in leads)
        return [each for each in found if each is not None]

    return query
