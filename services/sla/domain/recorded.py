"""A clock as this service keeps it, and what an evaluation adds to that: events to log, somebody to tell.

`changes` decides what is new about a clock's course. Here its holder, its silence and the one step of the
ladder to deliver join in. Asked again with the same evaluation it adds nothing: that is how every warning,
breach and retraction happens exactly once, whatever woke us and however often.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from services.sla.domain.agreement import CommitmentKind, Party, Role, TimeBasis
from services.sla.domain.alert import ResolveReason
from services.sla.domain.clock import ClockKey, ClockState
from services.sla.domain.course import Outcome
from services.sla.domain.events import (
    BreachRetracted,
    ClockBreached,
    ClockEvent,
    ClockMet,
    ClockReopened,
    ClockVoided,
    LateStopRecorded,
    RungFired,
)
from services.sla.domain.recording import RecordedClock, changes
from services.sla.domain.terms import BREACH
from smarketing.businesstime import BusinessTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has the handoff, or is offered it, since when."""

    owner: str = ""
    team: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The record of one clock.

    `generation` counts its changes; `next_time` is when it must be looked at again.
    `silent` clocks tell nobody: imported history, and those that a version put in force for the past started.
    `end_time` is the stop, or an exit without one. `paused_at` holds the begin of every pause told of,
    `open_pauses` of those going on. `retractions` counts the misses taken back while it ran on.
    """

    tenant: str
    id: str
    handoff: str
    agreement: str
    agreement_version: str
    calendar_version: str
    commitment_id: str
    origin: int = 0
    kind: CommitmentKind
    basis: TimeBasis
    parties: tuple[Party, ...]
    generation: int = 0
    cycle: int = 1
    outcome: Outcome = Outcome.RUNNING
    target: BusinessTime
    start_time: datetime
    original_due_time: datetime
    due_time: datetime
    stop_time: datetime | None = None
    end_time: datetime | None = None
    breach_time: datetime | None = None
    detect_time: datetime | None = None
    elapsed: BusinessTime
    paused: BusinessTime
    owner: str = ""
    team: str = ""
    fired: tuple[str, ...] = ()
    paused_at: tuple[datetime, ...] = ()
    open_pauses: tuple[datetime, ...] = ()
    historical: bool = False
    silent: bool = False
    void_reason: str = ""
    retractions: int = 0
    next_time: datetime | None = None

    @property
    def name(self) -> str:
        """`tenants/{tenant}/clocks/{clock}`."""
        return f"tenants/{self.tenant}/clocks/{self.id}"

    @property
    def is_open(self) -> bool:
        """Whether somebody still owes something: running, paused, or missed and not done yet."""
        return self.end_time is None

    @property
    def is_decided(self) -> bool:
        """Whether further evidence changes nothing but by reopening it."""
        return self.outcome in (Outcome.MET, Outcome.VOID)

    def course_on_record(self) -> RecordedClock:
        """Return what the log says of the clock's course."""
        return RecordedClock(
            key=ClockKey(
                handoff=self.handoff,
                agreement=self.agreement_version,
                commitment=self.commitment_id,
                origin=self.origin,
            ),
            agreement_version=version_number(self.agreement_version),
            calendar=self.calendar_version,
            calendar_version=version_number(self.calendar_version),
            outcome=self.outcome,
            cycle=self.cycle,
            fired=frozenset(self.fired),
            paused=frozenset(self.paused_at),
            pauses_open=frozenset(self.open_pauses),
            breach_time=self.breach_time,
            late_stop_time=self.stop_time if self.breach_time is not None else None,
            retractions=self.retractions,
        )


def version_number(name: str) -> int:
    """Return the number at the end of a version's name; 0 for wall time, which has none."""
    return int(name.rsplit("/", 1)[-1]) if name else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReassigned:
    """The owner or team of an open clock changed, or it turned out to have started otherwise."""

    occur_time: datetime


Happening = ClockEvent | ClockReassigned


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Somebody is to be told now: by which rung, who they are, and whether the due instant has passed."""

    rung: str
    roles: tuple[Role, ...]
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What an evaluation changes in the record.

    `tell` names whom to tell, `resolve` why the clock's open alerts are dealt with.
    """

    clock: Clock
    happenings: tuple[Happening, ...] = ()
    tell: Tell | None = None
    resolve: ResolveReason | None = None


def begin(blank: Clock, state: ClockState, *, holder: Holder, enforced: bool, now: datetime) -> Advance:
    """Return the record of a clock seen for the first time, with all that happened to it since its start.

    `blank` gives what the evaluation does not know: names, parties, whether it is silent.
    """
    clock = replace(blank, owner=holder.owner, team=holder.team)
    return _advanced(clock, state, changes([], [state]), holder, enforced=enforced, now=now)


def advance(
    clock: Clock, state: ClockState, *, holder: Holder, enforced: bool, now: datetime
) -> Advance | None:
    """Return what the evaluation adds to the record; None when it adds nothing."""
    known = clock.course_on_record()
    events = changes([known], [state])
    if not events and clock.is_decided:
        return None if clock.next_time is None else _settled(clock)
    result = _advanced(clock, state, events, holder, enforced=enforced, now=now)
    if not result.happenings and replace(result.clock, generation=clock.generation) == clock:
        return None
    return result


def _settled(clock: Clock) -> Advance:
    return Advance(clock=replace(clock, next_time=None, generation=clock.generation + 1))


def _advanced(
    clock: Clock,
    state: ClockState,
    events: Sequence[ClockEvent],
    holder: Holder,
    *,
    enforced: bool,
    now: datetime,
) -> Advance:
    moved = _taken_over(clock, state, holder, events, now=now)
    tell = None
    # Of what was excused beforehand nobody is alerted.
    if enforced and not moved.silent and moved.is_open and moved.outcome is not Outcome.EXCUSED:
        tell = _tell(events, state, runs_again=moved.retractions > 0)
    said: list[Happening] = [
        replace(event, is_delivered=tell is not None and tell.rung == event.rung)
        if isinstance(event, RungFired)
        else event
        for event in _without_double_verdict(events)
    ]
    is_other = (clock.owner, clock.team, clock.start_time) != (moved.owner, moved.team, moved.start_time)
    if clock.generation and moved.is_open and is_other:
        # Told first: what follows concerns the new owner.
        said.insert(0, ClockReassigned(occur_time=max(holder.since or now, clock.start_time)))
    return Advance(clock=moved, happenings=tuple(said), tell=tell, resolve=_resolves(clock, moved, events))


def _taken_over(
    clock: Clock, state: ClockState, holder: Holder, events: Sequence[ClockEvent], *, now: datetime
) -> Clock:
    breached = state.outcome in (Outcome.BREACHED, Outcome.EXCUSED)
    is_retracted = any(isinstance(event, BreachRetracted) for event in events)
    stands = breached and clock.breach_time is not None and not is_retracted
    retractions = clock.retractions + (is_retracted and _runs_on(events))
    ended = state.end_time is not None
    return replace(
        clock,
        generation=clock.generation + 1,
        cycle=state.cycle + retractions,
        outcome=state.outcome,
        start_time=state.start_time,
        original_due_time=state.original_due_time,
        # A recorded breach keeps its instant, whatever is learned later; only a retraction takes it away.
        due_time=clock.due_time if stands else state.due_time,
        breach_time=clock.breach_time if stands else state.breach_time,
        detect_time=(clock.detect_time if stands else now) if breached else None,
        stop_time=state.stop_time,
        end_time=state.end_time,
        elapsed=state.elapsed if ended else BusinessTime(),
        paused=state.paused,
        # Who had it when it ended answers for it.
        owner=clock.owner if ended else holder.owner,
        team=clock.team if ended else holder.team,
        fired=(*clock.fired, *(event.rung for event in events if isinstance(event, RungFired))),
        paused_at=tuple(pause.start_time for pause in state.pauses),
        open_pauses=tuple(pause.start_time for pause in state.pauses if pause.end_time is None),
        void_reason=state.void_reason or "",
        retractions=retractions,
        next_time=None if ended else state.next_instant,
    )


def _runs_on(events: Sequence[ClockEvent]) -> bool:
    """Tell whether a clock ran on, in its next cycle, when its miss was taken back."""
    return any(
        isinstance(first, BreachRetracted) and isinstance(then, ClockReopened)
        for first, then in pairwise(events)
    )


def _without_double_verdict(events: Sequence[ClockEvent]) -> list[ClockEvent]:
    """Return the events with a retraction that meets the clock told once, at the instant of the stop."""
    retracted = next((event for event in events if isinstance(event, BreachRetracted)), None)
    met = next((event for event in events if isinstance(event, ClockMet)), None)
    if retracted is None or met is None or met.cycle != retracted.cycle:
        return list(events)
    return [
        replace(event, occur_time=met.occur_time) if event is retracted else event
        for event in events
        if event is not met
    ]


def _resolves(before: Clock, after: Clock, events: Sequence[ClockEvent]) -> ResolveReason | None:
    kinds = {type(event) for event in events}
    if ClockVoided in kinds:
        return ResolveReason.VOID
    if BreachRetracted in kinds:
        return ResolveReason.RETRACTED
    if kinds & {ClockMet, LateStopRecorded} or (before.is_open and not after.is_open):
        # Also when the handoff left after due without being served: nothing is owed any more, the miss stays.
        return ResolveReason.STOPPED
    return None


def _tell(events: Sequence[ClockEvent], state: ClockState, *, runs_again: bool) -> Tell | None:
    """Choose the one step to deliver: of those found past together the highest; a miss is a step at due.

    A miss is told even where the ladder has no rung at due, or silence would look like success; so is one
    after an earlier miss was taken back, whose rung at due had fired already.
    """
    rungs = [event for event in events if isinstance(event, RungFired)]
    highest = max(rungs, key=lambda rung: rung.occur_time, default=None)
    missed = any(isinstance(event, ClockBreached) for event in events)
    if missed and (highest is None or highest.occur_time < state.due_time):
        has_due_rung = any(rung.time == state.due_time for rung in state.rungs)
        if runs_again or not has_due_rung:
            return Tell(rung=BREACH, roles=(Role.OWNER, Role.MANAGER), missed=True)
    if highest is None:
        return None
    return Tell(rung=highest.rung, roles=highest.recipients, missed=highest.occur_time >= state.due_time)
