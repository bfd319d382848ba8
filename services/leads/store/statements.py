"""The statements of the handoff's tables, rendered once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, false, select, text

from services.leads.domain.claims import ClaimPlace
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.store.rows import handoff_row
from services.leads.store.schema import SCHEMA, UNROUTED
from smarketing.sql import FindRows, InsertRows, UpdateRows, UpsertRows

_T = SCHEMA.leads
_h = _T.handoff.c

INSERT_PEOPLE: Final = InsertRows(_T.lead_person)
INSERT_HANDOFFS: Final = InsertRows(_T.handoff)
INSERT_SUBMISSIONS: Final = InsertRows(_T.submission)
INSERT_FOLLOW_UPS: Final = InsertRows(_T.follow_up)
INSERT_OPPORTUNITIES: Final = InsertRows(_T.opportunity)
PUT_MATCHES: Final = UpsertRows(_T.lead_match, key=["tenant", "digest", "lead"], replace=["record_time"])
PUT_TOTALS: Final = UpsertRows(_T.business_total, key=["tenant", "total", "label"], add=["amount"])

_HANDOFF_KEY: Final = ["tenant", "lead", "number"]
FIND_HANDOFFS: Final = FindRows(_T.handoff, key=_HANDOFF_KEY)
FIND_HANDOFFS_OF_LEADS: Final = FindRows(_T.handoff, key=["tenant", "lead"])
FIND_SUBMISSIONS: Final = FindRows(
    _T.submission,
    key=["tenant", "source_system", "external_digest"],
    columns=["tenant", "source_system", "external_digest", "revision", "lead", "number"],
)
FIND_MATCHES: Final = FindRows(
    _T.lead_match, key=["tenant", "digest"], columns=["tenant", "digest", "record_time", "lead"]
)
FIND_PEOPLE: Final = FindRows(
    _T.lead_person, key=["tenant", "lead"], columns=["tenant", "lead", "wrapped_key", "sealed_contact"]
)
FIND_FOLLOW_UPS: Final = FindRows(_T.follow_up, key=[*_HANDOFF_KEY, "external_digest"])
FIND_OPPORTUNITIES: Final = FindRows(_T.opportunity, key=["tenant", "opportunity"])
UPDATE_OPPORTUNITIES: Final = UpdateRows(
    _T.opportunity,
    key=["tenant", "opportunity"],
    columns=[column.name for column in _T.opportunity.columns][2:],
)

# Not the last column: when it is next due is what `sla` says, and another's to write.
_update_handoffs: Final = UpdateRows(
    _T.handoff, key=_HANDOFF_KEY, columns=[column.name for column in _T.handoff.columns][3:-1]
)

_ID: Final = (_h.tenant, _h.lead, _h.number)
# In the words of the index that holds just these.
_WAITS: Final = text("queue <> '' AND offer_state = 1")
_waiting: Final = (
    select(*_ID)
    .where(_h.tenant == bindparam("tenant"), _h.queue == bindparam("queue"), _WAITS)
    .order_by(_h.claim_time, _h.claim_value.desc(), _h.claim_score.desc(), _h.submit_time, _h.lead)
    .limit(bindparam("most"))
)
_all_waiting: Final = select(*_ID).where(_h.tenant == bindparam("tenant"), _WAITS)
_owned: Final = (
    select(*_ID)
    .where(_h.tenant == bindparam("tenant"), _h.owner == bindparam("person"), _h.owner != "")
    .where(_h.state.between(3, 6), _h.archived == false())
    .order_by(_h.lead, _h.number)
    .limit(bindparam("most"))
)
_offered: Final = (
    select(*_ID)
    .where(_h.tenant == bindparam("tenant"), _h.offer_assignee == bindparam("person"), _h.offer_state == 1)
    .order_by(_h.lead, _h.number)
    .limit(bindparam("most"))
)
_lapsed: Final = (
    select(*_ID)
    .where(_h.offer_state == 1, _h.offer_expire_time.is_not(None), _h.offer_expire_time <= bindparam("now"))
    .order_by(_h.offer_expire_time)
    .limit(bindparam("most"))
)
_unrouted: Final = select(*_ID).where(UNROUTED).order_by(_h.submit_time).limit(bindparam("most"))
_next_expiry: Final = (
    select(_h.offer_expire_time)
    .where(_h.offer_state == 1, _h.offer_expire_time.is_not(None))
    .order_by(_h.offer_expire_time)
    .limit(1)
)
_person: Final = _T.lead_person.c
_change_person: Final = (
    _T.lead_person.update()
    .where(_person.tenant == bindparam("of_tenant"), _person.lead == bindparam("of_lead"))
    .values(
        version=_person.version + 1,
        wrapped_key=bindparam("new_key"),
        sealed_contact=bindparam("new_contact"),
    )
)


def update_handoffs(connection: Connection, handoffs: Sequence[tuple[Handoff, ClaimPlace]]) -> None:
    """Write handoffs that are there already, each with its place in its queue."""
    _update_handoffs.update(connection, [handoff_row(each, place)[:-1] for each, place in handoffs])


def change_person(connection: Connection, tenant: str, lead: str, wrapped_key: bytes, sealed: bytes) -> None:
    """Replace a lead's sealed contact."""
    values = {"of_tenant": tenant, "of_lead": lead, "new_key": wrapped_key, "new_contact": sealed}
    connection.execute(_change_person, values)


def waiting_in(connection: Connection, tenant: str, queue: str, most: int) -> list[HandoffId]:
    """Return what waits in the queue, best first."""
    return _ids(connection, _waiting, {"tenant": tenant, "queue": queue, "most": most})


def waiting(connection: Connection, tenant: str) -> list[HandoffId]:
    """Return all that waits in the tenant's queues."""
    return _ids(connection, _all_waiting, {"tenant": tenant})


def held_by(connection: Connection, tenant: str, person: str, most: int) -> list[HandoffId]:
    """Return the open handoffs that a person owns or is offered."""
    values = {"tenant": tenant, "person": person, "most": most}
    owned = _ids(connection, _owned, values)
    return owned + _ids(connection, _offered, {**values, "most": most - len(owned)})


def lapsed(connection: Connection, now: datetime, most: int) -> list[HandoffId]:
    """Return the handoffs whose lease ended by now, longest ago first."""
    return _ids(connection, _lapsed, {"now": now, "most": most})


def unrouted(connection: Connection, most: int) -> list[HandoffId]:
    """Return the handoffs that nobody was offered yet, oldest first."""
    return _ids(connection, _unrouted, {"most": most})


def next_expiry(connection: Connection) -> datetime | None:
    """Return when the next lease ends, or ended."""
    found: datetime | None = connection.execute(_next_expiry).scalar()
    return found


def _ids(connection: Connection, statement: Any, values: Mapping[str, Any]) -> list[HandoffId]:
    return [HandoffId(*row) for row in connection.execute(statement, values)]
