"""Clocks and alerts, as they are shown and as the log tells of them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

from services.sla.domain.account import Part
from services.sla.domain.agreement import PauseReason
from services.sla.domain.alert import Alert
from services.sla.domain.clock import ClockInterval, ClockState
from services.sla.domain.consequence import Consequence
from services.sla.domain.course import IntervalKind
from services.sla.domain.events import (
    BreachExcused,
    BreachRetracted,
    ClockBreached,
    ClockMet,
    ClockPaused,
    ClockReopened,
    ClockResumed,
    ClockStarted,
    ClockVoided,
    LateStopRecorded,
    RungFired,
)
from services.sla.domain.recorded import Clock, ClockReassigned, Happening
from services.sla.domain.segments import Segment
from services.sla.wire.agreements import basis_value, kind_value, party_value_of, party_values
from services.sla.wire.clauses import consequence_message
from services.sla.wire.facts import log_position
from services.sla.wire.instants import duration, stamp, stamp_or_none
from smarketing.api.sla.v1 import clocks_pb2 as clockspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import BusinessTime


def facts_of(clock: Clock) -> slaeventspb.ClockFacts:
    """Return what every event of a clock says of it."""
    return slaeventspb.ClockFacts(
        clock=clock.name,
        handoff=clock.handoff,
        agreement_version=clock.agreement_version,
        commitment_id=clock.commitment_id,
        parties=party_values(clock.parties),
        kind=kind_value(clock.kind),
        basis=basis_value(clock.basis),
        cycle=clock.cycle,
        start_time=stamp(clock.start_time),
        original_due_time=stamp(clock.original_due_time),
        due_time=stamp(clock.due_time),
        owner=clock.owner,
        team=clock.team,
        historical=clock.historical,
        target_duration=duration(clock.target),
        calendar_version=clock.calendar_version,
        origin=clock.origin,
    )


def happening_message(clock: Clock, happening: Happening) -> Message:
    """Return what the log says of something that happened to a clock."""
    facts = facts_of(clock)
    if hasattr(happening, "cycle"):
        facts.cycle = happening.cycle
    return _MESSAGES[type(happening)](facts, clock, happening)


_EVENTS = slaeventspb
_MESSAGES: Final[dict[type[object], Callable[[slaeventspb.ClockFacts, Clock, Any], Message]]] = {
    ClockStarted: lambda facts, _clock, _: _EVENTS.ClockStarted(clock=facts),
    ClockPaused: lambda facts, _clock, _: _EVENTS.ClockPaused(clock=facts),
    ClockResumed: lambda facts, _clock, _: _EVENTS.ClockResumed(clock=facts),
    ClockMet: lambda facts, clock, _: _EVENTS.ClockMet(clock=facts, elapsed_duration=duration(clock.elapsed)),
    ClockBreached: lambda facts, _clock, _: _EVENTS.ClockBreached(clock=facts),
    LateStopRecorded: lambda facts, clock, late: _EVENTS.ClockStoppedLate(
        clock=facts, elapsed_duration=duration(clock.elapsed), late_duration=duration(late.late_by)
    ),
    BreachRetracted: lambda facts, clock, _: _EVENTS.BreachRetracted(
        clock=facts, elapsed_duration=duration(clock.elapsed)
    ),
    BreachExcused: lambda facts, _clock, _: _EVENTS.BreachExcused(clock=facts),
    ClockVoided: lambda facts, _, void: _EVENTS.ClockVoided(clock=facts, reason=void.reason),
    ClockReopened: lambda facts, _clock, _: _EVENTS.ClockReopened(clock=facts),
    ClockReassigned: lambda facts, _clock, _: _EVENTS.ClockReassigned(clock=facts),
    RungFired: lambda facts, _, rung: _EVENTS.RungFired(
        clock=facts, rung_id=rung.rung, delivered=rung.is_delivered
    ),
}


def pause_decided(clock: Clock, reason: PauseReason, *, actor: str, resumed: bool) -> Message:
    """Return the event by which somebody's word on a pause is known."""
    return clockspb.ClockPauseDecided(
        clock=facts_of(clock),
        reason_code=reason.code,
        accountable_party=party_value_of(reason.side),
        principal=actor,
        resumed=resumed,
    )


def measured_otherwise(clock: Clock) -> Message:
    """Return the event by which everybody knows how a clock is measured now."""
    return slaeventspb.ClockReassigned(clock=facts_of(clock))


def clock_reassessed(clock: Clock, before: Clock, *, actor: str) -> Message:
    """Return the event by which it is known what a clock was measured by before, and who changed that."""
    return clockspb.ClockReassessed(
        clock=facts_of(clock),
        previous_agreement_version=before.agreement_version,
        previous_due_time=stamp(before.due_time),
        principal=actor,
    )


def takeover_requested(clock: Clock, rung: RungFired) -> slaeventspb.TakeoverRequested:
    """Return the event by which a handoff is to be taken from its owner."""
    facts = facts_of(clock)
    facts.cycle = rung.cycle
    return slaeventspb.TakeoverRequested(clock=facts, rung_id=rung.rung)


def consequence_due(clock: Clock, rung: RungFired, due: Consequence) -> slaeventspb.ConsequenceDue:
    """Return the event by which something agreed is to be done."""
    facts = facts_of(clock)
    facts.cycle = rung.cycle
    return slaeventspb.ConsequenceDue(
        agreement_version=clock.agreement_version,
        commitment_id=clock.commitment_id,
        parties=party_values(clock.parties),
        consequence=consequence_message(due),
        clock=facts,
    )


def clock_message(clock: Clock, state: ClockState | None = None, *, provisional: bool = False) -> slapb.Clock:
    """Return a clock as it is shown; what counts up while it runs comes from `state`."""
    elapsed = clock.elapsed if state is None else state.elapsed
    return slapb.Clock(
        name=clock.name,
        etag=str(clock.generation),
        handoff=clock.handoff,
        agreement_version=clock.agreement_version,
        commitment_id=clock.commitment_id,
        parties=party_values(clock.parties),
        kind=kind_value(clock.kind),
        basis=basis_value(clock.basis),
        state=slapb.Clock.State.Value(f"STATE_{clock.outcome.value}"),
        cycle=clock.cycle,
        start_time=stamp(clock.start_time),
        original_due_time=stamp(clock.original_due_time),
        due_time=stamp(clock.due_time),
        stop_time=stamp_or_none(clock.stop_time),
        breach_time=stamp_or_none(clock.breach_time),
        detect_time=stamp_or_none(clock.detect_time),
        elapsed_duration=duration(elapsed),
        remaining_duration=duration(clock.target - elapsed),
        paused_duration=duration(clock.paused if state is None else state.paused),
        owner=clock.owner,
        team=clock.team,
        fired_rungs=clock.fired,
        historical=clock.historical,
        void_reason=clock.void_reason,
        origin=clock.origin,
        provisional=provisional,
    )


def explanation_message(
    clock: Clock,
    state: ClockState,
    as_of: datetime,
    *,
    parts: Iterable[Part] = (),
    segments: Iterable[Segment] = (),
) -> slapb.ClockExplanation:
    """Return the account of a clock's time, and of its handoff's."""
    return slapb.ClockExplanation(
        clock=clock_message(clock, state),
        as_of_time=stamp(as_of),
        intervals=[_interval(clock, each) for each in state.intervals],
        account=[_accounted(each) for each in parts],
        owner_segments=[_owner_segment(each) for each in segments],
    )


def _accounted(part: Part) -> slapb.AccountedInterval:
    window = part.window
    return slapb.AccountedInterval(
        kind=slapb.AccountedInterval.Kind.Value(f"KIND_{part.kind.value}"),
        start_time=stamp(part.start_time),
        end_time=stamp(part.end_time),
        accountable_party=party_value_of(part.side),
        event=part.event.kind.value,
        event_position=log_position(part.event),
        calendar_version=part.calendar,
        window_start_time=stamp_or_none(window[0] if window else None),
        window_end_time=stamp_or_none(window[1] if window else None),
        pause_reason=part.pause_reason,
    )


def _owner_segment(segment: Segment) -> slapb.OwnerSegment:
    return slapb.OwnerSegment(
        owner=segment.owner,
        team=segment.team,
        state=slapb.Clock.State.Value(f"STATE_{segment.outcome.value}"),
        start_time=stamp(segment.start_time),
        due_time=stamp(segment.due_time),
        stop_time=stamp_or_none(segment.stop_time),
        end_time=stamp_or_none(segment.end_time),
        elapsed_duration=duration(segment.elapsed),
        target_duration=duration(segment.target),
    )


def _interval(clock: Clock, interval: ClockInterval) -> slapb.ClockInterval:
    return slapb.ClockInterval(
        kind=slapb.ClockInterval.Kind.Value(f"KIND_{interval.kind.value}"),
        start_time=stamp(interval.start_time),
        end_time=stamp(interval.end_time),
        accountable_party=party_value_of(_accountable(clock, interval.kind)),
    )


def _accountable(clock: Clock, kind: IntervalKind) -> str:
    """Say whose a stretch of time is: closed hours nobody's, a pause the buyer's, the rest the promiser's."""
    match kind:
        case IntervalKind.CLOSED:
            return "NONE"
        case IntervalKind.PAUSED:
            return "BUYER"
        case _:
            return clock.parties[0].value


def alert_message(alert: Alert) -> slapb.Alert:
    """Return an alert as it is shown."""
    reason = alert.resolve_reason
    return slapb.Alert(
        name=alert.name,
        etag=str(alert.revision),
        state=slapb.Alert.State.Value(f"STATE_{alert.state.value}"),
        clock=alert.clock,
        handoff=alert.handoff,
        commitment_id=alert.commitment_id,
        commitment_title=alert.commitment_title,
        rung_id=alert.rung_id,
        missed=alert.missed,
        due_time=stamp(alert.due_time),
        create_time=stamp(alert.create_time),
        owner=alert.owner,
        team=alert.team,
        recipients=alert.recipients,
        acknowledged_by=alert.acknowledged_by,
        acknowledge_time=stamp_or_none(alert.acknowledge_time),
        resolved_by=alert.resolved_by,
        resolve_time=stamp_or_none(alert.resolve_time),
        resolve_reason=reason.value if reason else "",
        snooze_until_time=stamp_or_none(alert.snooze_until_time),
        snoozed_by=alert.snoozed_by,
        topic=slapb.Alert.Topic.Value(f"TOPIC_{alert.topic.value if alert.topic else 'CLOCK'}"),
        agreement_version=alert.agreement_version,
    )


def late_text(amount: BusinessTime) -> str:
    """Return an amount of time in the words of people: `2 h 05 min`, `42 min`, `7 s`."""
    seconds = abs(amount.microseconds) // 1_000_000
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"
