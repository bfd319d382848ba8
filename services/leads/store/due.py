"""What the service `sla` says: who is away, and when each running clock is due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, delete

from services.leads.domain.claims import END_OF_TIME
from services.leads.domain.handoff_id import HandoffId
from services.leads.store.schema import SCHEMA
from smarketing.sql import FindRows, UpdateRows, UpsertRows

_T = SCHEMA.leads
_put_leave: Final = UpsertRows(
    _T.leave, key=["tenant", "leave"], replace=["person", "start_time", "end_time"]
)
_put_due: Final = UpsertRows(_T.clock_due, key=["tenant", "lead", "number", "clock"], replace=["due_time"])
_find_due: Final = FindRows(
    _T.clock_due, key=["tenant", "lead", "number"], columns=["tenant", "lead", "number", "due_time"]
)
_find_advance: Final = FindRows(
    _T.handoff, key=["tenant", "lead", "number"], columns=["tenant", "lead", "number", "claim_advance"]
)
_set_next: Final = UpdateRows(
    _T.handoff, key=["tenant", "lead", "number"], columns=["next_due_time", "claim_time"]
)
_due: Final = _T.clock_due.c
_end_clock: Final = delete(_T.clock_due).where(
    _due.tenant == bindparam("of_tenant"),
    _due.lead == bindparam("of_lead"),
    _due.number == bindparam("of_number"),
    _due.clock == bindparam("of_clock"),
)
_leave: Final = _T.leave.c
_end_leave: Final = delete(_T.leave).where(
    _leave.tenant == bindparam("of_tenant"), _leave.leave == bindparam("of_leave")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Leave of a person; `cancelled` once it was taken back."""

    tenant: str
    leave: str
    person: str
    start_time: datetime
    end_time: datetime
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class ClockDue:
    """When a clock is due; None once it does not run any more."""

    handoff: HandoffId
    clock: str
    due_time: datetime | None


def put_absences(connection: Connection, absences: Iterable[Absence]) -> None:
    """Keep who is away; of several words about one leave the last one counts."""
    latest = {(each.tenant, each.leave): each for each in absences}
    standing = [
        (each.tenant, each.leave, each.person, each.start_time, each.end_time)
        for each in latest.values()
        if not each.cancelled
    ]
    _put_leave.upsert(connection, standing)
    ended = [each for each in latest.values() if each.cancelled]
    if ended:
        connection.execute(_end_leave, [{"of_tenant": each.tenant, "of_leave": each.leave} for each in ended])


def put_due_times(connection: Connection, clocks: Sequence[ClockDue]) -> None:
    """Keep when clocks are due, and with each handoff of theirs the earliest of its clocks."""
    latest = {(each.handoff, each.clock): each for each in clocks}
    running = [
        (*each.handoff, each.clock, each.due_time) for each in latest.values() if each.due_time is not None
    ]
    _put_due.upsert(connection, running)
    ended = [
        {
            "of_tenant": each.handoff.tenant,
            "of_lead": each.handoff.lead,
            "of_number": each.handoff.number,
            "of_clock": each.clock,
        }
        for each in latest.values()
        if each.due_time is None
    ]
    if ended:
        connection.execute(_end_clock, ended)
    handoffs = list(dict.fromkeys(each.handoff for each in clocks))
    _set_next.update(connection, _earliest(connection, handoffs))


def _earliest(connection: Connection, handoffs: Sequence[HandoffId]) -> list[tuple[object, ...]]:
    """Return when each handoff is next due, and by which instant that orders it in its queue."""
    next_due: dict[HandoffId, datetime | None] = dict.fromkeys(handoffs)
    for tenant, lead, number, due_time in _find_due.find(connection, handoffs):
        handoff = HandoffId(tenant, lead, number)
        known = next_due[handoff]
        next_due[handoff] = due_time if known is None else min(known, due_time)
    advances = {
        HandoffId(tenant, lead, number): timedelta(microseconds=micros)
        for tenant, lead, number, micros in _find_advance.find(connection, handoffs)
    }
    return [
        (*handoff, next_due[handoff], (next_due[handoff] or END_OF_TIME) - advance)
        for handoff, advance in advances.items()
    ]
