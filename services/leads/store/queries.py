"""Reads for whoever asks: one, or a page; domain values only."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, and_, func, or_, select, tuple_

from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.states import HandoffState
from services.leads.store import rows, statements
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.wire.leads import contact_from_bytes

_T = SCHEMA.leads
_h = _T.handoff.c
_NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_expiry: Final = func.coalesce(_h.offer_expire_time, _NEVER, type_=_h.offer_expire_time.type)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffFilter:
    """Which handoffs to list; an empty part filters nothing."""

    tenant: str
    lead: str = ""
    states: tuple[HandoffState, ...] = ()
    owner: str = ""
    queue: str = ""
    source_system: str = ""
    external_digest: bytes = b""
    """Of a sender's own id of a submission."""


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


def list_handoffs(
    wanted: HandoffFilter, *, after: tuple[str, int] | None, limit: int
) -> Callable[[Connection], list[Handoff]]:
    """Return the query for a page of handoffs, newest lead first, behind the (lead, number) `after`."""
    query = select(_T.handoff).where(_h.tenant == wanted.tenant, *_conditions(wanted))
    if after is not None:
        query = query.where(tuple_(_h.lead, _h.number) < tuple_(*after))
    return _handoffs(query.order_by(_h.lead.desc(), _h.number.desc()).limit(limit))


def _conditions(wanted: HandoffFilter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.lead:
        conditions.append(_h.lead == wanted.lead)
    if wanted.states:
        conditions.append(_h.state.in_([state.value for state in wanted.states]))
    if wanted.owner:
        # Said twice, so that SQLite sees that the partial index holds them all.
        conditions += [_h.owner == wanted.owner, _h.owner != ""]
    if wanted.queue:
        conditions += [_h.offer_assignee == wanted.queue, _h.offer_state == 1]
    if wanted.external_digest:
        conditions.append(tuple_(_h.lead, _h.number).in_(_submitted(wanted)))
    elif wanted.source_system:
        conditions.append(_h.source_system == wanted.source_system)
    return conditions


def _submitted(wanted: HandoffFilter) -> Select[Any]:
    submission = _T.submission.c
    return select(submission.lead, submission.number).where(
        submission.tenant == wanted.tenant,
        submission.source_system == wanted.source_system,
        submission.external_digest == wanted.external_digest,
    )


def list_offers(
    tenant: str,
    assignees: Collection[str] | None,
    *,
    after: tuple[datetime | None, str, int] | None,
    limit: int,
) -> Callable[[Connection], list[Handoff]]:
    """Return the query for a page of open offers, the one that ends first at the top, queues' last."""
    query = select(_T.handoff).where(*_open_offers(tenant, assignees))
    if after is not None:
        expire_time, lead, number = after
        expires = expire_time or _NEVER
        behind = and_(_expiry == expires, tuple_(_h.lead, _h.number) > tuple_(lead, number))
        query = query.where(or_(_expiry > expires, behind))
    return _handoffs(query.order_by(_expiry, _h.lead, _h.number).limit(limit))


def offers_by_id(
    tenant: str, assignees: Collection[str] | None, *, after: tuple[str, int], limit: int
) -> Callable[[Connection], list[Handoff]]:
    """Return the query for open offers in the order of their ids, which no change moves."""
    query = select(_T.handoff).where(*_open_offers(tenant, assignees))
    query = query.where(tuple_(_h.lead, _h.number) > tuple_(*after))
    return _handoffs(query.order_by(_h.lead, _h.number).limit(limit))


def _open_offers(tenant: str, assignees: Collection[str] | None) -> list[Any]:
    conditions: list[Any] = [_h.tenant == tenant, _h.offer_state == 1]
    if assignees is not None:
        conditions.append(_h.offer_assignee.in_(sorted(assignees)))
    return conditions


def list_follow_ups(
    handoff_id: HandoffId, *, after: tuple[datetime, str] | None, limit: int
) -> Callable[[Connection], list[FollowUp]]:
    """Return the query for a page of follow-ups, oldest first."""
    column = _T.follow_up.c
    query = select(_T.follow_up).where(
        column.tenant == handoff_id.tenant,
        column.lead == handoff_id.lead,
        column.number == handoff_id.number,
    )
    if after is not None:
        occurred, follow_up_id = after
        same = and_(column.occur_time == occurred, column.follow_up > follow_up_id)
        query = query.where(or_(column.occur_time > occurred, same))
    query = query.order_by(column.occur_time, column.follow_up).limit(limit)
    return lambda connection: [rows.follow_up_of(row) for row in connection.execute(query)]


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


def _handoffs(query: Select[Any]) -> Callable[[Connection], list[Handoff]]:
    return lambda connection: [rows.handoff_of(row) for row in _rows(connection, query)]


def _rows(connection: Connection, query: Select[Any]) -> Sequence[Any]:
    return connection.execute(query).all()
