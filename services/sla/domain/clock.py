"""The one function that decides every clock: the live engine, the explanation and a back-test all call it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.sla.domain.agreement import (
    AgreementVersion,
    Commitment,
    CommitmentKind,
    Party,
    Role,
    TimeBasis,
)
from services.sla.domain.calendar import WALL, Calendars, CalendarVersion
from services.sla.domain.course import (
    Course,
    IntervalKind,
    Mark,
    Outcome,
    Step,
    instant_of,
    run,
    typed_intervals,
)
from services.sla.domain.plots import PLOTS, mark_of
from services.sla.domain.timeline import Fact, FactKind, Timeline, with_implied_acceptance
from smarketing.businesstime import BusinessTime, Openings, from_us, to_us


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockKey:
    """Which clock: one commitment of one agreement on one handoff."""

    handoff: str
    agreement: str
    commitment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockInterval:
    """A half-open stretch of the clock's time and what became of it."""

    kind: IntervalKind
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPause:
    """A stretch left out; `end_time` is None while it goes on."""

    start_time: datetime
    end_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockCycle:
    """An earlier cycle: met at `stop_time`, undone at `reopen_time`."""

    number: int
    stop_time: datetime
    due_time: datetime
    reopen_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RungState:
    """A rung of the ladder: when it is reached, and whether the clock was still owed something then."""

    id: str
    time: datetime
    is_passed: bool
    recipients: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """A clock as of an instant, with the versions it is pinned to and the proof of how it got there.

    Amounts are in the clock's own time: open time of its calendar, or wall time for a commitment on that
    basis. `next_instant` is the earliest later instant at which the state could differ without another fact.
    The clock still runs at its due instant, so a breach is decided one microsecond after it. `stop_time` is
    the success, in time or late; `end_time` also an exit without one. `is_history`: nobody is to be told.
    """

    key: ClockKey
    kind: CommitmentKind
    party: Party
    agreement_version: int
    calendar: str
    calendar_version: int
    target: BusinessTime
    outcome: Outcome
    start_time: datetime
    original_due_time: datetime
    due_time: datetime
    breach_time: datetime | None
    stop_time: datetime | None
    end_time: datetime | None
    void_reason: str | None
    late_by: BusinessTime | None
    elapsed: BusinessTime
    remaining: BusinessTime
    paused: BusinessTime
    pauses: tuple[ClockPause, ...]
    earlier: tuple[ClockCycle, ...]
    rungs: tuple[RungState, ...]
    intervals: tuple[ClockInterval, ...]
    next_instant: datetime | None
    is_history: bool

    @property
    def cycle(self) -> int:
        """The number of the cycle it is in, from 1; each reopening begins another."""
        return len(self.earlier) + 1


def evaluate(
    agreement: AgreementVersion,
    calendars: Calendars,
    timeline: Timeline,
    as_of: datetime,
    *,
    with_intervals: bool = True,
) -> tuple[ClockState, ...]:
    """Return every clock that has started under this version by `as_of`, in the agreement's order.

    Pure: the same arguments give the same clocks, bit for bit. Facts that occur after `as_of` are not looked
    at but for `next_instant`. A back-dated fact that nobody approved counts for nothing. `with_intervals`:
    no decision needs the intervals, only who explains one.

    Raises:
        CalendarNeverOpens: when a due instant cannot be reached.
        InstantOutOfRange: when one lies beyond the years.
    """
    facts = tuple(with_implied_acceptance(iter(standing_facts(agreement, calendars, timeline))))
    case = _Case(agreement, calendars, timeline, facts, as_of, with_intervals)
    states = (case.state(commitment) for commitment in agreement.commitments)
    return tuple(state for state in states if state is not None)


def standing_facts(agreement: AgreementVersion, calendars: Calendars, timeline: Timeline) -> list[Fact]:
    """Return the facts that count: not dated back beyond the limit, or approved, or imported as history."""
    approved = timeline.approved()

    def stands(fact: Fact) -> bool:
        if fact.is_history or fact.occur_time >= fact.record_time or fact.position in approved:
            return True
        if fact.kind in (FactKind.INQUIRED, FactKind.EXCUSED):
            # An inquiry is always older than its record; how much older is just what is measured. An excuse
            # is the other party's own word, and holds from when it is about.
            return True
        calendar = calendars.in_force(fact.team, fact.record_time) or WALL
        limit = agreement.back_date_limit or calendar.calendar.business_days(agreement.back_date_days)
        return calendar.openings.between(fact.occur_time, fact.record_time) <= limit

    return [fact for fact in timeline.facts if stands(fact)]


@dataclass(frozen=True, slots=True)
class _Case:
    """One handoff under one version of its agreement."""

    agreement: AgreementVersion
    calendars: Calendars
    timeline: Timeline
    facts: Sequence[Fact]
    as_of: datetime
    with_intervals: bool

    def state(self, commitment: Commitment) -> ClockState | None:
        start = self._start(commitment)
        if start is None:
            return None
        target = commitment.target_for(self.timeline.attributes_at(start.record_time))
        calendar = self._calendar(commitment, start)
        if target is None or calendar is None:
            return None
        now = to_us(self.as_of)
        # Looked up once: finding it again means to hash the whole calendar.
        openings = calendar.openings
        course = run(openings, target.microseconds, self._marks(commitment, start), now)
        if course is None:
            return None
        reading = _Reading(
            self.agreement, commitment, calendar, openings, target, course, start, self.facts, now
        )
        state = reading.state(self.timeline.handoff, self.timeline.next_time(self.as_of))
        return replace(state, intervals=reading.intervals()) if self.with_intervals else state

    def _start(self, commitment: Commitment) -> Fact | None:
        kinds = PLOTS[commitment.kind].start
        start = next((fact for fact in self.facts if fact.kind in kinds and not fact.is_archived), None)
        if start is None or start.occur_time > self.as_of or not self.agreement.is_in_force(start.occur_time):
            return None
        return start

    def _calendar(self, commitment: Commitment, start: Fact) -> CalendarVersion | None:
        if commitment.basis is TimeBasis.WALL:
            return WALL
        return self.calendars.in_force(start.team, start.occur_time)

    def _marks(self, commitment: Commitment, start: Fact) -> Iterator[Mark]:
        for fact in self.facts:
            if fact is start:
                yield Mark(to_us(start.occur_time), Step.START)
                continue
            mark = mark_of(fact, commitment, self.agreement)
            if mark is not None:
                yield mark


@dataclass(frozen=True, slots=True)
class _Reading:
    """A course read back into instants and working time."""

    agreement: AgreementVersion
    commitment: Commitment
    calendar: CalendarVersion
    openings: Openings
    target: BusinessTime
    course: Course
    start: Fact
    facts: Sequence[Fact]
    now: int

    def state(self, handoff: str, next_fact: datetime | None) -> ClockState:
        course, openings = self.course, self.openings
        outcome = self._outcome()
        rungs = self._rungs()
        is_breach = course.outcome is Outcome.BREACHED
        late = openings.between_us(course.due, course.stop) if is_breach and course.stop is not None else None
        return ClockState(
            key=ClockKey(handoff=handoff, agreement=self.agreement.name, commitment=self.commitment.id),
            kind=self.commitment.kind,
            party=self.commitment.party,
            agreement_version=self.agreement.version,
            calendar=self.calendar.name,
            calendar_version=self.calendar.version,
            target=self.target,
            outcome=outcome,
            start_time=from_us(course.start),
            original_due_time=from_us(course.original_due),
            due_time=from_us(course.due),
            breach_time=from_us(course.due) if is_breach else None,
            stop_time=None if course.stop is None else from_us(course.stop),
            end_time=from_us(course.end) if course.is_ended else None,
            void_reason=self._void_reason(),
            late_by=None if late is None else BusinessTime(late),
            elapsed=BusinessTime(course.elapsed),
            remaining=BusinessTime(course.remaining),
            paused=BusinessTime(course.paused),
            pauses=self._pauses(),
            earlier=tuple(
                ClockCycle(
                    number=cycle.number,
                    stop_time=from_us(cycle.stop),
                    due_time=from_us(cycle.due),
                    reopen_time=from_us(cycle.reopen),
                )
                for cycle in course.earlier
            ),
            rungs=rungs,
            intervals=(),
            next_instant=self._next_instant(rungs, next_fact),
            is_history=self.start.is_history,
        )

    def intervals(self) -> tuple[ClockInterval, ...]:
        """Return what became of every stretch of the clock's time."""
        return tuple(
            ClockInterval(kind=kind, start_time=from_us(a), end_time=from_us(b))
            for kind, a, b in typed_intervals(self.course, self.openings)
        )

    def _outcome(self) -> Outcome:
        if self.course.outcome is Outcome.BREACHED and any(self._excuses(fact) for fact in self.facts):
            return Outcome.EXCUSED
        return self.course.outcome

    def _excuses(self, fact: Fact) -> bool:
        return (
            fact.kind is FactKind.EXCUSED
            and fact.commitment == self.commitment.id
            and to_us(fact.occur_time) <= self.now
            and (fact.excuse is None or fact.excuse.covers(self.agreement.name, from_us(self.course.due)))
        )

    def _void_reason(self) -> str | None:
        if self.course.outcome is not Outcome.VOID:
            return None
        exits = PLOTS[self.commitment.kind].steps
        left = next(
            fact
            for fact in self.facts
            if exits.get(fact.kind) is Step.EXIT and to_us(fact.occur_time) == self.course.end
        )
        return f"{left.kind.value}:{left.reason}" if left.reason else left.kind.value

    def _pauses(self) -> tuple[ClockPause, ...]:
        """Return the pauses that hold the clock back: not the gap of a reopening, not those from due on."""
        course = self.course
        ended = [
            ClockPause(start_time=from_us(pause.start), end_time=from_us(pause.end))
            for pause in course.pauses
            if not pause.is_gap and pause.start < course.due and pause.start != course.pause_start
        ]
        if course.outcome is Outcome.PAUSED and course.pause_start is not None:
            ended.append(ClockPause(start_time=from_us(course.pause_start), end_time=None))
        return tuple(ended)

    def _rungs(self) -> tuple[RungState, ...]:
        states = []
        for rung in self.commitment.rungs:
            counted = rung.counted(self.target).microseconds
            at = instant_of(self.course, self.openings, self.target.microseconds, counted)
            states.append(
                RungState(
                    id=rung.id, time=from_us(at), is_passed=self._passed(at), recipients=rung.recipients
                )
            )
        return tuple(states)

    def _passed(self, at: int) -> bool:
        course = self.course
        if course.is_ended:
            # A stop at the rung's own instant leaves nothing to warn of.
            return at < course.end
        if course.outcome is Outcome.PAUSED and course.pause_start is not None:
            return at <= course.pause_start
        return at <= self.now

    def _next_instant(self, rungs: Sequence[RungState], next_fact: datetime | None) -> datetime | None:
        course = self.course
        candidates = [] if next_fact is None else [next_fact]
        if course.outcome is Outcome.PAUSED:
            if course.pause_expiry is not None:
                candidates.append(from_us(course.pause_expiry))
        elif not course.is_ended:
            candidates += [rung.time for rung in rungs if not rung.is_passed]
            if course.outcome is Outcome.RUNNING:
                candidates.append(from_us(course.due + 1))
        return min(candidates, default=None)
