"""The sla log: leave and calendars take people out of routing, clocks tell when each handoff is next due."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.leads.domain.handoff_id import HandoffId
from services.leads.store.due import Absence, ClockDue, put_absences, put_due_times
from services.leads.store.routing import CalendarNews, put_calendars
from smarketing import names
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.sql import Connection

__all__ = ["CONSUMER", "HANDLED", "IGNORED", "PAYLOAD_TYPES", "apply"]

CONSUMER: Final = "sla"
"""The name under which the checkpoint is kept."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RUNNING: Final = (
    slaeventspb.ClockStarted,
    slaeventspb.ClockResumed,
    slaeventspb.ClockReopened,
    slaeventspb.ClockReassigned,
)
_ENDED: Final = (
    slaeventspb.ClockPaused,
    slaeventspb.ClockMet,
    slaeventspb.ClockStoppedLate,
    slaeventspb.BreachRetracted,
    slaeventspb.ClockVoided,
)
_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    message.DESCRIPTOR.full_name: message.FromString
    for message in (*_RUNNING, *_ENDED, slaeventspb.LeaveChanged, slaeventspb.CalendarVersionCreated)
}

HANDLED: Final = frozenset(_READERS)
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        slaeventspb.AgreementVersionChanged,
        slaeventspb.AlertChanged,
        # The clock stays due as it was, until somebody stops it.
        slaeventspb.ClockBreached,
        slaeventspb.RungFired,
    )
)
"""Passed over knowingly: they say nothing to this service."""
PAYLOAD_TYPES: Final = HANDLED | IGNORED


def apply(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
    """Keep what the events say; a clock that is breached stays due until somebody stops it."""
    del now
    absences: list[Absence] = []
    clocks: list[ClockDue] = []
    calendars: list[CalendarNews] = []
    for event in events:
        read = _READERS.get(event.payload.type_url.rpartition("/")[2])
        if read is None:
            continue
        payload = read(event.payload.value)
        if isinstance(payload, slaeventspb.LeaveChanged):
            absences.append(_absence(payload))
        elif isinstance(payload, slaeventspb.CalendarVersionCreated):
            made = payload.calendar_version
            calendars.append(CalendarNews(made.name, made.SerializeToString()))
        else:
            clocks += _clock(payload, running=isinstance(payload, _RUNNING))
    put_absences(connection, absences)
    put_calendars(connection, calendars)
    if clocks:
        put_due_times(connection, clocks)


def _absence(payload: slaeventspb.LeaveChanged) -> Absence:
    leave = payload.leave
    return Absence(
        tenant=names.tenant_of(leave.name),
        leave=leave.name,
        person=leave.name.rpartition("/leave/")[0],
        start_time=_instant(leave.start_time),
        end_time=_instant(leave.end_time),
        cancelled=leave.HasField("cancel_time"),
    )


def _clock(payload: Any, *, running: bool) -> list[ClockDue]:
    facts = payload.clock
    if not names.HANDOFF.matches(facts.handoff) or facts.historical:
        return []
    tenant, lead, number = names.HANDOFF.parse(facts.handoff)
    due_time = _instant(facts.due_time) if running and facts.HasField("due_time") else None
    return [ClockDue(HandoffId(tenant, lead, int(number)), facts.clock, due_time)]


def _instant(stamp: Any) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
