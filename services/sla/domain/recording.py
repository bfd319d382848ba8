"""From what was decided before to what is decided now: the events between, and the record they leave.

The record is a fold of the events and of nothing else, so a reader of the log arrives at the same one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from services.sla.domain.clock import ClockCycle, ClockKey, ClockState
from services.sla.domain.course import Outcome
from services.sla.domain.events import (
    BreachExcused,
    BreachRetracted,
    ClockBreached,
    ClockEvent,
    ClockMet,
    ClockPaused,
    ClockReopened,
    ClockResumed,
    ClockStarted,
    ClockVoided,
    LateStopRecorded,
    RungFired,
)

_BREACHES = (Outcome.BREACHED, Outcome.EXCUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedClock:
    """What the log says of a clock.

    `paused` holds the begin of every pause told of, `pauses_open` of those going on. `breach_time` is that of
    the breach that stands. `retractions` counts the breaches taken back while the clock still ran: with each
    it ran on as its next cycle, or one cycle could have breached twice.
    """

    key: ClockKey
    agreement_version: int
    calendar: str
    calendar_version: int
    outcome: Outcome = Outcome.RUNNING
    cycle: int = 1
    fired: frozenset[str] = frozenset()
    paused: frozenset[datetime] = frozenset()
    pauses_open: frozenset[datetime] = frozenset()
    breach_time: datetime | None = None
    late_stop_time: datetime | None = None
    retractions: int = 0

    def after(self, event: ClockEvent) -> "RecordedClock":  # noqa: C901 - one arm for each event
        """Return the record once the event is in the log."""
        match event:
            case ClockStarted():
                return self
            case ClockPaused(occur_time=begin):
                return replace(
                    self,
                    outcome=Outcome.PAUSED,
                    paused=self.paused | {begin},
                    pauses_open=self.pauses_open | {begin},
                )
            case ClockResumed(begin_time=begin):
                return replace(self, outcome=Outcome.RUNNING, pauses_open=self.pauses_open - {begin})
            case ClockMet():
                return replace(self, outcome=Outcome.MET)
            case ClockBreached(occur_time=time):
                return replace(self, outcome=Outcome.BREACHED, breach_time=time)
            case LateStopRecorded(occur_time=time):
                return replace(self, late_stop_time=time)
            case BreachRetracted():
                return replace(self, outcome=Outcome.RUNNING, breach_time=None, late_stop_time=None)
            case BreachExcused():
                return replace(self, outcome=Outcome.EXCUSED)
            case ClockVoided():
                return replace(self, outcome=Outcome.VOID)
            case ClockReopened(cycle=cycle):
                runs_on = self.outcome not in (Outcome.MET, Outcome.VOID)
                return replace(
                    self, outcome=Outcome.RUNNING, cycle=cycle, retractions=self.retractions + runs_on
                )
            case RungFired(rung=rung):
                return replace(self, fired=self.fired | {rung})
            case _:
                assert_never(event)


def changes(previous: Sequence[RecordedClock], now: Sequence[ClockState]) -> list[ClockEvent]:
    """Return what happened to the clocks since they were recorded, in order for each clock.

    Asking again with the record that these events leave gives none. A met clock changes only by a reopening,
    a void one only when what made it void is taken back; a breach gives way only to evidence that it was
    none, or to an excuse.
    """
    known = {record.key: record for record in previous}
    return [event for state in now for event in _changes(known.get(state.key), state)]


def record(previous: Sequence[RecordedClock], events: Iterable[ClockEvent]) -> list[RecordedClock]:
    """Return the records once the events are in the log, in the order in which the clocks started."""
    records = {each.key: each for each in previous}
    for event in events:
        if isinstance(event, ClockStarted):
            records.setdefault(
                event.clock,
                RecordedClock(
                    key=event.clock,
                    agreement_version=event.agreement_version,
                    calendar=event.calendar,
                    calendar_version=event.calendar_version,
                ),
            )
        records[event.clock] = records[event.clock].after(event)
    return list(records.values())


def _changes(known: RecordedClock | None, state: ClockState) -> list[ClockEvent]:
    if known is not None and _is_final(known, state):
        return []
    events: list[ClockEvent] = []
    if known is None:
        started = _started(state)
        events.append(started)
        (known,) = record([], [started])
    for event in _retraction(known, state):
        events.append(event)
        known = known.after(event)
    found = [*_pauses(known, state), *_cycles(known, state), *_verdict(known, state), *_rungs(known, state)]
    return events + sorted(found, key=lambda event: (event.occur_time, event.cycle, _RANK[type(event)]))


def _is_final(known: RecordedClock, state: ClockState) -> bool:
    cycle = state.cycle + known.retractions
    if cycle < known.cycle:
        return True
    return known.outcome in (Outcome.MET, Outcome.VOID) and cycle == known.cycle


def _retraction(known: RecordedClock, state: ClockState) -> Iterator[ClockEvent]:
    """Take back a breach that was none: met or left in time, or due only later by a pause nobody knew of."""
    if known.breach_time is None:
        return
    is_next_cycle = state.cycle + known.retractions > known.cycle
    is_later = state.breach_time is not None and state.breach_time > known.breach_time
    if state.outcome in _BREACHES and not (is_next_cycle or is_later):
        return
    yield BreachRetracted(clock=state.key, cycle=known.cycle, occur_time=known.breach_time)
    if not is_next_cycle and state.outcome not in (Outcome.MET, Outcome.VOID):
        yield ClockReopened(clock=state.key, cycle=known.cycle + 1, occur_time=known.breach_time)


_RANK = {
    ClockReopened: -1,
    ClockResumed: 0,
    ClockMet: 1,
    ClockBreached: 1,
    ClockVoided: 1,
    BreachExcused: 2,
    LateStopRecorded: 2,
    ClockPaused: 4,
    RungFired: 5,
}
"""Which of two events of a cycle at one instant comes first: what began it, the end of a pause, the stop."""


def _started(state: ClockState) -> ClockStarted:
    return ClockStarted(
        clock=state.key,
        cycle=1,
        occur_time=state.start_time,
        due_time=state.original_due_time,
        agreement_version=state.agreement_version,
        calendar=state.calendar,
        calendar_version=state.calendar_version,
    )


def _cycle_at(known: RecordedClock, state: ClockState, at: datetime) -> int:
    return 1 + known.retractions + sum(cycle.reopen_time <= at for cycle in state.earlier)


def _pauses(known: RecordedClock, state: ClockState) -> Iterator[ClockEvent]:
    ends = {pause.start_time: pause.end_time for pause in state.pauses}
    for begin, end in ends.items():
        cycle = _cycle_at(known, state, begin)
        if begin not in known.paused:
            yield ClockPaused(clock=state.key, cycle=cycle, occur_time=begin)
        if end is not None and (begin in known.pauses_open or begin not in known.paused):
            yield ClockResumed(clock=state.key, cycle=cycle, occur_time=end, begin_time=begin)
    for begin in known.pauses_open - ends.keys():
        # It turned out to be none: it ended as it began.
        cycle = _cycle_at(known, state, begin)
        yield ClockResumed(clock=state.key, cycle=cycle, occur_time=begin, begin_time=begin)


def _cycles(known: RecordedClock, state: ClockState) -> Iterator[ClockEvent]:
    for cycle in state.earlier[known.cycle - known.retractions - 1 :]:
        number = cycle.number + known.retractions
        if number > known.cycle or known.outcome not in (Outcome.MET, Outcome.VOID):
            yield _end_of(cycle, state, number)
        yield ClockReopened(clock=state.key, cycle=number + 1, occur_time=cycle.reopen_time)


def _end_of(cycle: ClockCycle, state: ClockState, number: int) -> ClockEvent:
    at = cycle.stop_time
    if cycle.void_reason is not None:
        return ClockVoided(clock=state.key, cycle=number, occur_time=at, reason=cycle.void_reason)
    return ClockMet(clock=state.key, cycle=number, occur_time=at, due_time=cycle.due_time)


def _verdict(known: RecordedClock, state: ClockState) -> Iterator[ClockEvent]:
    key, cycle = state.key, state.cycle + known.retractions
    if state.outcome is Outcome.MET and state.stop_time is not None:
        yield ClockMet(clock=key, cycle=cycle, occur_time=state.stop_time, due_time=state.due_time)
    elif state.outcome is Outcome.VOID and state.end_time is not None:
        yield ClockVoided(clock=key, cycle=cycle, occur_time=state.end_time, reason=state.void_reason or "")
    elif state.breach_time is not None:
        yield from _breach(known, state, state.breach_time)


def _breach(known: RecordedClock, state: ClockState, time: datetime) -> Iterator[ClockEvent]:
    key, cycle = state.key, state.cycle + known.retractions
    if known.breach_time is None:
        yield ClockBreached(clock=key, cycle=cycle, occur_time=time)
    if state.outcome is Outcome.EXCUSED and known.outcome is not Outcome.EXCUSED:
        yield BreachExcused(clock=key, cycle=cycle, occur_time=time)
    if state.stop_time is not None and state.late_by is not None and known.late_stop_time is None:
        yield LateStopRecorded(clock=key, cycle=cycle, occur_time=state.stop_time, late_by=state.late_by)


def _rungs(known: RecordedClock, state: ClockState) -> list[ClockEvent]:
    """Return the rungs found past, in order; only the highest is delivered.

    Nobody is told of history, nor of a clock that by now is met, void or excused: nothing is left to do.
    """
    passed = sorted(
        (rung for rung in state.rungs if rung.is_passed and rung.id not in known.fired),
        key=lambda rung: rung.time,
    )
    matters = not state.is_history and state.outcome in (Outcome.RUNNING, Outcome.PAUSED, Outcome.BREACHED)
    return [
        RungFired(
            clock=state.key,
            cycle=_cycle_at(known, state, rung.time),
            occur_time=rung.time,
            rung=rung.id,
            recipients=rung.recipients,
            is_delivered=matters and rung is passed[-1],
        )
        for rung in passed
    ]
