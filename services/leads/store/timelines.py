"""A lead's timeline: what the log says of its handoffs, in order."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, select

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.timeline import Told
from services.leads.store.distinctions import merged_with
from services.leads.store.schema import SCHEMA

HandoffEvent: TypeAlias = tuple[str, int, int]
"""Which event: a lead, the number of its handoff, and the version of that."""
_h = SCHEMA.leads.handoff.c
_e: Final = SCHEMA.event_log.event_log.c


def list_told(
    tenant: str, lead: str, *, after: HandoffEvent | None, limit: int
) -> Callable[[Connection], list[Told]]:
    """Return the query for a page of a lead's events, and behind them those of the leads merged into it."""

    def query(connection: Connection) -> list[Told]:
        leads = [lead, *merged_with(connection, tenant, lead)]
        first, number, version = after or (lead, 1, 0)
        # A lead that was taken out again since: what stands behind it goes on.
        left = leads[leads.index(first) :] if first in leads else [each for each in leads[1:] if each > first]
        found: list[Told] = []
        for each in left:
            begin = (number, version) if each == first else (1, 0)
            found += _told_of(connection, tenant, each, begin, limit - len(found))
            if len(found) >= limit:
                break
        return found

    return query


def _told_of(
    connection: Connection, tenant: str, lead: str, after: tuple[int, int], limit: int
) -> list[Told]:
    first, version = after
    numbers = (
        select(_h.number)
        .where(_h.tenant == tenant, _h.lead == lead, _h.number >= first)
        .order_by(_h.number)
        .limit(limit)
    )
    found: list[Told] = []
    for (number,) in connection.execute(numbers):
        handoff = HandoffId(tenant, lead, number)
        behind = version if number == first else 0
        found += _events_of(connection, handoff, behind, limit - len(found))
        if len(found) >= limit:
            break
    return found


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
