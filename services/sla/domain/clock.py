"""The one function that decides every clock: the live engine, the explanation and a back-test all call it."""

from collections.abc import Callable, Iterator, Sequence
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
    instant_of,
    typed_intervals,
)
from services.sla.domain.course import run as run_course
from services.sla.domain.dispositions import inherited, without_told_late
from services.sla.domain.runs import Run, Runs
from services.sla.domain.timeline import Fact, FactKind, Timeline, with_implied_acceptance
from services.sla.domain.unions import United
from smarketing.businesstime import BusinessTime, Openings, from_us, to_us


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockKey:
    """Which clock: one commitment of one agreement on one handoff.

    `origin` tells apart the clocks of a kind that has several: the position of the fact that started it.
    """

    handoff: str
    agreement: str
    commitment: str
    origin: int = 0


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
    """An earlier cycle: met at `stop_time`, or void then for a reason, and undone at `reopen_time`."""

    number: int
    stop_time: datetime
    due_time: datetime
    reopen_time: datetime
    void_reason: str | None = None


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
    standing = with_implied_acceptance(iter(standing_facts(agreement, calendars, timeline)))
    facts = tuple(fact for fact in standing if fact.occur_time <= as_of)
    own = tuple(fact for fact in facts if fact.source is None)
    case = _Case(agreement, calendars, timeline, facts, own, as_of, with_intervals)
    return tuple(state for commitment in agreement.commitments for state in case.states(commitment))


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
    own: Sequence[Fact]
    """Those that happened on this handoff itself, and not on one that it goes on for."""
    as_of: datetime
    with_intervals: bool

    def states(self, commitment: Commitment) -> Iterator[ClockState]:
        """Yield the commitment's clocks that have started, the first one first."""
        runs = Runs(self.agreement, commitment)
        if len(self.own) < len(self.facts) and not runs.plot.recurs:
            yield from self._united(runs)
            return
        is_disposition = commitment.kind is CommitmentKind.DISPOSITION
        own = without_told_late(runs, self.own, self._course_of(runs)) if is_disposition else self.own
        for run in runs.found(own):
            measure = self._measure(commitment, run.start)
            if measure is not None:
                yield from self._read(commitment, run, measure, runs.marks(run, own, measure.zone))
        if is_disposition and len(self.own) < len(self.facts):
            yield from self._inherited(runs)

    def _inherited(self, runs: Runs) -> Iterator[ClockState]:
        """Yield the clocks that a handoff has from others for which it goes on, or went on."""
        for run, facts, parting in inherited(runs, self.facts, self._course_of(runs)):
            measure = self._measure(runs.commitment, run.start)
            if measure is not None:
                marks = [*runs.marks(run, facts, measure.zone), *parting]
                yield from self._read(runs.commitment, run, measure, sorted(marks, key=lambda mark: mark.at))

    def _course_of(self, runs: Runs) -> Callable[[Run, Sequence[Fact], datetime], Course | None]:
        def course_of(run: Run, facts: Sequence[Fact], at: datetime) -> Course | None:
            measure = self._measure(runs.commitment, run.start)
            if measure is None:
                return None
            marks = runs.marks(run, facts, measure.zone)
            return run_course(measure.openings, measure.target.microseconds, marks, to_us(at))

        return course_of

    def _united(self, runs: Runs) -> Iterator[ClockState]:
        """Yield the one clock of a handoff that goes on, or went on, for another."""
        commitment = runs.commitment
        zone = "Etc/UTC"

        def course_of(run: Run, marks: Sequence[Mark], at: int) -> Course | None:
            measure = self._measure(commitment, run.start)
            if measure is None:
                return None
            return run_course(measure.openings, measure.target.microseconds, marks, at)

        starts = (fact for fact in self.facts if fact.kind in runs.plot.start)
        first = next((self._measure(commitment, fact) for fact in starts), None)
        if first is not None:
            zone = first.zone
        found = United(runs, self.facts, zone, course_of).run_and_marks()
        if found is not None:
            run, marks = found
            measure = self._measure(commitment, run.start)
            if measure is not None:
                yield from self._read(commitment, run, measure, marks)

    def _measure(self, commitment: Commitment, start: Fact) -> "_Measure | None":
        """Return by what a clock with this start is measured; None when it is under no promise."""
        if not self.agreement.is_in_force(start.occur_time):
            return None
        target = commitment.target_for(self.timeline.attributes_at(start.record_time))
        own = self.calendars.in_force(start.team, start.occur_time)
        calendar = WALL if commitment.basis is TimeBasis.WALL else own
        if target is None or calendar is None:
            return None
        # Looked up once: finding it again means to hash the whole calendar.
        openings = calendar.openings
        if commitment.kind is CommitmentKind.NURTURE_RETURN and start.until is not None:
            target = max(openings.between(start.occur_time, start.until), BusinessTime())
        return _Measure(calendar, openings, target, (own or calendar).calendar.zone)

    def _read(
        self, commitment: Commitment, run: Run, measure: "_Measure", marks: Sequence[Mark]
    ) -> Iterator[ClockState]:
        now = to_us(self.as_of)
        course = run_course(measure.openings, measure.target.microseconds, marks, now)
        if course is None:
            return
        reading = _Reading(self.agreement, commitment, measure, course, run, self.facts, now)
        state = reading.state(self.timeline.handoff, self.timeline.next_time(self.as_of))
        yield replace(state, intervals=reading.intervals()) if self.with_intervals else state


@dataclass(frozen=True, slots=True)
class _Measure:
    """By what a clock is measured: its calendar, compiled, what it is given, and in whose zone dates are."""

    calendar: CalendarVersion
    openings: Openings
    target: BusinessTime
    zone: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """A course read back into instants and working time."""

    agreement: AgreementVersion
    commitment: Commitment
    measure: _Measure
    course: Course
    run: Run
    facts: Sequence[Fact]
    now: int

    def state(self, handoff: str, next_fact: datetime | None) -> ClockState:
        course, openings = self.course, self.measure.openings
        calendar = self.measure.calendar
        outcome = self._outcome()
        rungs = self._rungs()
        is_breach = course.outcome is Outcome.BREACHED
        late = openings.between_us(course.due, course.stop) if is_breach and course.stop is not None else None
        return ClockState(
            key=ClockKey(
                handoff=handoff,
                agreement=self.agreement.name,
                commitment=self.commitment.id,
                origin=self.run.origin,
            ),
            kind=self.commitment.kind,
            party=self.commitment.party,
            agreement_version=self.agreement.version,
            calendar=calendar.name,
            calendar_version=calendar.version,
            target=self.measure.target,
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
                    void_reason=cycle.void_reason,
                )
                for cycle in course.earlier
            ),
            rungs=rungs,
            intervals=(),
            next_instant=self._next_instant(rungs, next_fact),
            is_history=self.run.start.is_history,
        )

    def intervals(self) -> tuple[ClockInterval, ...]:
        """Return what became of every stretch of the clock's time."""
        return tuple(
            ClockInterval(kind=kind, start_time=from_us(a), end_time=from_us(b))
            for kind, a, b in typed_intervals(self.course, self.measure.openings)
        )

    def _outcome(self) -> Outcome:
        if self.course.outcome is Outcome.BREACHED and any(self._excuses(fact) for fact in self.facts):
            return Outcome.EXCUSED
        return self.course.outcome

    def _excuses(self, fact: Fact) -> bool:
        return (
            fact.kind is FactKind.EXCUSED
            and fact.commitment == self.commitment.id
            and fact.about in (None, self.run.origin)
            and to_us(fact.occur_time) <= self.now
            and (fact.excuse is None or fact.excuse.covers(self.agreement.name, from_us(self.course.due)))
        )

    def _void_reason(self) -> str | None:
        if self.course.outcome is not Outcome.VOID:
            return None
        return str(self.course.exit_key)

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
            counted = rung.counted(self.measure.target).microseconds
            at = instant_of(self.course, self.measure.openings, self.measure.target.microseconds, counted)
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
