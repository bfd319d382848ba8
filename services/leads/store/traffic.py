"""Past traffic, and who was away when: what a preview of routing is played on. Reads alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.routing_rules import Traits, traits_of
from services.leads.store.rows import handoff_of
from services.leads.store.schema import SCHEMA
from services.leads.store.statements import FIND_HANDOFFS_OF_LEADS
from services.leads.wire.routing import submitted_of
from smarketing import names

__all__ = ["Absences", "Passed", "handoffs_of_lead", "passed_between"]

_PAGE: Final = 1_000
_SUBMITTED: Final = "smarketing.api.leads.v1.HandoffSubmitted"
_log: Final = SCHEMA.event_log.event_log.c
_head: Final = SCHEMA.event_log.log_head.c
_leave: Final = SCHEMA.leads.leave.c


@dataclass(frozen=True, slots=True)
class Passed:
    """A handoff as it came in."""

    id: HandoffId
    record_time: datetime
    traits: Traits


class Absences:
    """Who is away when, in a span of time."""

    def __init__(self, connection: Connection, tenant: str, start: datetime, end: datetime) -> None:
        found = select(_leave.person, _leave.start_time, _leave.end_time).where(
            _leave.tenant == tenant, _leave.end_time > start, _leave.start_time <= end
        )
        self._spans = [(row.person, row.start_time, row.end_time) for row in connection.execute(found)]

    def at(self, instant: datetime) -> frozenset[str]:
        """Return who is away at an instant of the span."""
        return frozenset(person for person, start, end in self._spans if start <= instant < end)


def passed_between(
    connection: Connection, tenant: str, start: datetime, end: datetime, *, limit: int
) -> Iterator[Passed]:
    """Yield the handoffs recorded in `[start, end)`, at most `limit`, without history, in their order.

    Finds the first by halving the log, so that what was recorded before costs nothing.
    """
    view = f"tenants/{tenant}"
    after = _position_before(connection, view, start)
    while limit > 0:
        rows = connection.execute(
            select(_log.tenant_position, _log.record_time, _log.payload)
            .where(
                _log.tenant == view,
                _log.tenant_position > after,
                _log.record_time < end,
                _log.payload_type == _SUBMITTED,
            )
            .order_by(_log.tenant_position)
            .limit(_PAGE)
        ).all()
        for row in rows:
            passed = _passed(row)
            if passed is not None and limit > 0:
                limit -= 1
                yield passed
        if len(rows) < _PAGE:
            return
        after = rows[-1].tenant_position


def handoffs_of_lead(connection: Connection, tenant: str, lead: str) -> list[Handoff]:
    """Return a lead's handoffs, in no order."""
    return list(map(handoff_of, FIND_HANDOFFS_OF_LEADS.find(connection, [(tenant, lead)])))


def _position_before(connection: Connection, view: str, start: datetime) -> int:
    """Return the newest position of the tenant's log recorded before `start`; 0 when there is none."""
    low = 0
    high = connection.execute(select(_head.position).where(_head.view == view)).scalar() or 0
    while low < high:
        middle = (low + high + 1) // 2
        at = select(_log.record_time).where(_log.tenant == view, _log.tenant_position == middle)
        if connection.execute(at).scalar_one() < start:
            low = middle
        else:
            high = middle - 1
    return low


def _passed(row: Any) -> Passed | None:
    submitted = submitted_of(row.payload)
    if submitted is None:
        return None
    handoff, qualification, source_system = submitted
    tenant, lead, number = names.HANDOFF.parse(handoff)
    return Passed(
        HandoffId(tenant, lead, int(number)), row.record_time, traits_of(qualification, source_system)
    )
