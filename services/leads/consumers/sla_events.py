"""The sla log: who is away and when, when handoffs are next due, and from whom they are to be taken."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.takeovers import Takeover
from services.leads.store.due import Absence, ClockDue, put_absences, put_due_times
from services.leads.store.leads import LeadStore
from services.leads.store.routing import CalendarNews, put_calendars, put_team_calendars
from services.leads.usecases.takeovers import take_over_handoffs
from smarketing import names
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.sql import Connection

__all__ = ["CONSUMER", "HANDLED", "IGNORED", "PAYLOAD_TYPES", "SlaLog", "apply"]

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
    for message in (
        *_RUNNING,
        *_ENDED,
        slaeventspb.LeaveChanged,
        slaeventspb.CalendarVersionCreated,
        slaeventspb.TakeoverRequested,
    )
}

HANDLED: Final = frozenset(_READERS)
IGNORED: Final = frozenset(
    message.DESCRIPTOR.full_name
    for message in (
        slaeventspb.AgreementVersionChanged,
        slaeventspb.AlertChanged,
        # The clock stays due as it was, until somebody stops it.
        slaeventspb.ClockBreached,
        slaeventspb.BreachExcused,
        # People read what was agreed to do; a reassignment comes as a takeover.
        slaeventspb.ConsequenceDue,
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
    teams: dict[str, str] = {}
    for event in events:
        read = _READERS.get(event.payload.type_url.rpartition("/")[2])
        if read is None:
            continue
        payload = read(event.payload.value)
        if isinstance(payload, slaeventspb.TakeoverRequested):
            continue
        if isinstance(payload, slaeventspb.LeaveChanged):
            absences.append(_absence(payload))
        elif isinstance(payload, slaeventspb.CalendarVersionCreated):
            made = payload.calendar_version
            calendars.append(CalendarNews(made.name, made.SerializeToString()))
        else:
            clocks += _clock(payload, running=isinstance(payload, _RUNNING))
            if isinstance(payload, slaeventspb.ClockStarted):
                teams.update(_team_calendar(payload.clock))
    put_absences(connection, absences)
    put_calendars(connection, calendars)
    put_team_calendars(connection, teams)
    if clocks:
        put_due_times(connection, clocks)


class SlaLog:
    """Gives the consumer of the sla log its `apply`: what is said is kept, what is asked for is done."""

    def __init__(self, store: LeadStore) -> None:
        self._store = store

    def apply(self, connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        """Take in a batch, in the transaction that moves the checkpoint: nothing is done twice."""
        apply(connection, events, now)
        takeovers = [each for event in events for each in _takeover(event)]
        if takeovers:
            tx = self._store.begin(connection, now=now)
            take_over_handoffs(tx, takeovers)
            self._store.end(tx)


def _takeover(event: eventlogpb.Event) -> list[Takeover]:
    if event.payload.TypeName() != slaeventspb.TakeoverRequested.DESCRIPTOR.full_name:
        return []
    payload = slaeventspb.TakeoverRequested.FromString(event.payload.value)
    facts = payload.clock
    if not names.HANDOFF.matches(facts.handoff) or facts.historical:
        return []
    tenant, lead, number = names.HANDOFF.parse(facts.handoff)
    return [
        Takeover(
            handoff=HandoffId(tenant, lead, int(number)),
            clock=facts.clock,
            cycle=facts.cycle,
            rung_id=payload.rung_id,
            previous_owner=facts.owner,
            occur_time=_instant(event.occur_time),
        )
    ]


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


def _team_calendar(facts: slaeventspb.ClockFacts) -> dict[str, str]:
    """Return the calendar of the team whose clock it is; a clock in wall time has none."""
    version = facts.calendar_version
    if not (names.TEAM.matches(facts.team) and names.CALENDAR_VERSION.matches(version)):
        return {}
    return {facts.team: names.CALENDAR.build(*names.CALENDAR_VERSION.parse(version)[:2])}


def _instant(stamp: Any) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
