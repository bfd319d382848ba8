"""A lead's timeline: what the log says of its handoffs, in order."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, select

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.timeline import Told
from services.leads.store.schema import SCHEMA

_h = SCHEMA.leads.handoff.c
_e: Final = SCHEMA.event_log.event_log.c


def list_told(
    tenant: str, lead: str, *, after: tuple[int, int], limit: int
) -> Callable[[Connection], list[Told]]:
    """Return the query for a page of a lead's events, behind the (handoff number, version) `after`."""
    first, version = after
    numbers = (
        select(_h.number)
        .where(_h.tenant == tenant, _h.lead == lead, _h.number >= first)
        .order_by(_h.number)
        .limit(limit)
    )

    def query(connection: Connection) -> list[Told]:
        found: list[Told] = []
        for (number,) in connection.execute(numbers):
            handoff = HandoffId(tenant, lead, number)
            behind = version if number == first else 0
            found += _events_of(connection, handoff, behind, limit - len(found))
            if len(found) >= limit:
                break
        return found

    return query


def _events_of(connection: Connection, handoff: HandoffId, behind: int, most: int) -> list[Told]:
    query: Any = (
        select(_e.subject_version, _e.payload_type, _e.payload, _e.occur_time, _e.record_time, _e.actor)
        .where(
            _e.tenant == f"tenants/{handoff.tenant}",
            _e.subject == handoff.name,
            _e.subject_version > behind,
        )
        .order_by(_e.subject_version)
        .limit(most)
    )
    return [Told(handoff, *row) for row in connection.execute(query)]
