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
from services.sla.domain.holders import Holder, Holders
from services.sla.domain.recording import RecordedClock, changes
from services.sla.domain.terms import BREACH
from smarketing.businesstime import BusinessTime


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

    `held` says of each happening who answers for it. `tell` names whom to tell, `resolve` why the clock's
    open alerts are dealt with.
    """

    clock: Clock
    happenings: tuple[Happening, ...] = ()
    held: tuple[Holder, ...] = ()
    tell: Tell | None = None
    resolve: ResolveReason | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What an evaluation does not know: who had the handoff when, whether anybody is told, and the time."""

    holders: Holders
    enforced: bool
    as_of: datetime
    now: datetime


def begin(blank: Clock, state: ClockState, setting: Setting) -> Advance:
    """Return the record of a clock seen for the first time, with all that happened to it since its start.

    `blank` gives what the evaluation does not know: names, parties, whether it is silent.
    """
    first = setting.holders.at(state.start_time)
    clock = replace(blank, owner=first.owner, team=first.team)
    return _advanced(clock, state, changes([], [state]), setting)


def advance(clock: Clock, state: ClockState, setting: Setting) -> Advance | None:
    """Return what the evaluation adds to the record; None when it adds nothing."""
    known = clock.course_on_record()
    events = changes([known], [state])
    if not events and clock.is_decided:
        return _settled(clock, setting.holders)
    result = _advanced(clock, state, events, setting)
    if not result.happenings and replace(result.clock, generation=clock.generation) == clock:
        return None
    return result


def _settled(clock: Clock, holders: Holders) -> Advance | None:
    """Return what else is to be kept of a clock that has its verdict: who had it may become known late."""
    answering = holders.until(clock.end_time or clock.start_time, clock.kind)
    if clock.next_time is None and answering.names == (clock.owner, clock.team):
        return None
    owner, team = answering.names
    return Advance(
        clock=replace(clock, next_time=None, owner=owner, team=team, generation=clock.generation + 1)
    )


def _advanced(clock: Clock, state: ClockState, events: Sequence[ClockEvent], setting: Setting) -> Advance:
    moved = _taken_over(clock, state, events, setting)
    tell = None
    # Of what was excused beforehand nobody is alerted.
    if setting.enforced and not moved.silent and moved.is_open and moved.outcome is not Outcome.EXCUSED:
        tell = _tell(events, state, runs_again=moved.retractions > 0)
    said: list[Happening] = [
        replace(event, is_delivered=tell is not None and tell.rung == event.rung)
        if isinstance(event, RungFired)
        else event
        for event in _without_double_verdict(events)
    ]
    held = [_answering(moved, each, setting.holders) for each in said]
    reassigned = _reassigned(clock, moved, held, setting)
    if reassigned is not None:
        # In its place: what follows concerns the new owner.
        place = sum(each.occur_time <= reassigned.occur_time for each in said)
        said.insert(place, reassigned)
        held.insert(place, _answering(moved, reassigned, setting.holders))
    return Advance(
        clock=moved,
        happenings=tuple(said),
        held=tuple(held),
        tell=tell,
        resolve=_resolves(clock, moved, events),
    )


def _answering(moved: Clock, happening: Happening, holders: Holders) -> Holder:
    """Return whose it is that something happened: a miss is of whoever had the handoff when it was due."""
    at = happening.occur_time
    if isinstance(happening, (ClockMet, ClockVoided, BreachRetracted)):
        return holders.until(at, moved.kind)
    if isinstance(happening, ClockReassigned) and moved.breach_time is None:
        return Holder(owner=moved.owner, team=moved.team)
    return holders.at(at if moved.breach_time is None else min(at, moved.breach_time))


def _reassigned(
    clock: Clock, moved: Clock, held: Sequence[Holder], setting: Setting
) -> "ClockReassigned | None":
    """Return what is to be said of the new owner or start of an open clock.

    Whoever gets what was missed before does not answer for the miss, and nothing is said of that.
    """
    if not moved.is_open:
        return None
    names = (moved.owner, moved.team)
    known = clock if clock.breach_time is None else setting.holders.at(clock.breach_time)
    before = [(known.owner, known.team), *(each.names for each in held)]
    is_other = moved.breach_time is None and any(each != names for each in before)
    if not is_other and clock.start_time == moved.start_time:
        return None
    since = setting.holders.at(setting.as_of).since or setting.now
    return ClockReassigned(occur_time=max(since, clock.start_time))


def _taken_over(clock: Clock, state: ClockState, events: Sequence[ClockEvent], setting: Setting) -> Clock:
    breached = state.outcome in (Outcome.BREACHED, Outcome.EXCUSED)
    is_retracted = any(isinstance(event, BreachRetracted) for event in events)
    stands = breached and clock.breach_time is not None and not is_retracted
    retractions = clock.retractions + (is_retracted and _runs_on(events))
    ended = state.end_time is not None
    # A recorded breach keeps its instant, whatever is learned later; only a retraction takes it away.
    breach_time = clock.breach_time if stands else state.breach_time
    holder = _holder(state, breach_time, setting)
    return replace(
        clock,
        generation=clock.generation + 1,
        cycle=state.cycle + retractions,
        outcome=state.outcome,
        start_time=state.start_time,
        original_due_time=state.original_due_time,
        due_time=clock.due_time if stands else state.due_time,
        breach_time=breach_time,
        detect_time=(clock.detect_time if stands else setting.now) if breached else None,
        stop_time=state.stop_time,
        end_time=state.end_time,
        elapsed=state.elapsed if ended else BusinessTime(),
        paused=state.paused,
        owner=holder.owner,
        team=holder.team,
        fired=(*clock.fired, *(event.rung for event in events if isinstance(event, RungFired))),
        paused_at=tuple(pause.start_time for pause in state.pauses),
        open_pauses=tuple(pause.start_time for pause in state.pauses if pause.end_time is None),
        void_reason=state.void_reason or "",
        retractions=retractions,
        next_time=None if ended else state.next_instant,
    )


def _holder(state: ClockState, breach_time: datetime | None, setting: Setting) -> Holder:
    """Return who has to do it, while somebody has to; then who answers for what came of it."""
    if state.end_time is None:
        return setting.holders.at(setting.as_of)
    if breach_time is not None:
        return setting.holders.at(breach_time)
    return setting.holders.until(state.end_time, state.kind)


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
