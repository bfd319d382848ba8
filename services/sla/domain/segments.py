"""What each owner made of a handoff: a clock of their own, in their own calendar, from their assignment on.

Segments are for the person and their manager. They are read from the facts whenever somebody asks, and kept
nowhere, so that no figure of compliance can ever count them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.agreement import AgreementVersion, Commitment, CommitmentKind
from services.sla.domain.calendar import Calendars
from services.sla.domain.clock import standing_facts
from services.sla.domain.course import Course, Mark, Outcome, Step, run
from services.sla.domain.runs import Run, Runs
from services.sla.domain.timeline import Fact, FactKind, Timeline, with_implied_acceptance
from smarketing.businesstime import BusinessTime, Interval, Openings, from_us, to_us

OWNED = frozenset({CommitmentKind.FIRST_FOLLOW_UP, CommitmentKind.ATTEMPTS})
"""The promises that whoever owns a handoff keeps."""

_OWNS = frozenset({FactKind.ACCEPTED, FactKind.ASSIGNED})
_LEAVE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTime:
    """One person's time: when they work, and when they are away."""

    openings: Openings
    away: Sequence[Interval] = ()


OwnTimeOf = Callable[[str, str, datetime], OwnTime]
"""Gives the time of a person of a team as it was at an instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One owner's clock. `end_time` is when it ended or was theirs no more, `stop_time` when they did it."""

    owner: str
    team: str
    outcome: Outcome
    target: BusinessTime
    start_time: datetime
    due_time: datetime
    stop_time: datetime | None
    end_time: datetime | None
    elapsed: BusinessTime


@dataclass(frozen=True, slots=True)
class Owners:
    """Who kept a commitment of one handoff, until an instant."""

    agreement: AgreementVersion
    commitment: Commitment
    calendars: Calendars
    timeline: Timeline
    own_time: OwnTimeOf

    def segments(self, as_of: datetime) -> tuple[Segment, ...]:
        """Return the owners' clocks, the first owner's first; none for what no owner promises.

        Each is given the whole target from assignment on, or what the agreement gives an owner. What the
        first one missed stays theirs. Assigning a handoff to who has it starts nothing.
        """
        if self.commitment.kind not in OWNED:
            return ()
        standing = standing_facts(self.agreement, self.calendars, self.timeline)
        facts = [
            fact
            for fact in with_implied_acceptance(iter(standing))
            if fact.source is None and fact.occur_time <= as_of
        ]
        found = (self._segment(facts, start, end, as_of) for start, end in _ownerships(facts))
        return tuple(segment for segment in found if segment is not None)

    def _segment(
        self, facts: Sequence[Fact], start: Fact, end: Fact | None, as_of: datetime
    ) -> Segment | None:
        whole = self.commitment.target_for(self.timeline.attributes_at(start.record_time))
        if whole is None or not self.agreement.is_in_force(start.occur_time):
            return None
        target = min(self.commitment.owner_target or whole, whole)
        own = self.own_time(start.person or "", start.team or "", start.occur_time)
        theirs = [fact for fact in facts if _is_theirs(fact, start, end)]
        runs = Runs(self.agreement, self.commitment)
        marks = runs.marks(Run(0, start), theirs, own.openings.calendar.zone)
        marks += _absences(own)
        if end is not None:
            marks.append(Mark(to_us(end.occur_time), Step.EXIT, end.kind.value))
        # Back from leave in the very instant of an event, they had it then.
        ordered = sorted(marks, key=lambda mark: (mark.at, mark.step is not Step.RESUME))
        course = run(own.openings, target.microseconds, ordered, to_us(as_of))
        return None if course is None else _read(course, start, target)


def _ownerships(facts: Sequence[Fact]) -> Iterator[tuple[Fact, Fact | None]]:
    """Yield what began each ownership, and what ended it."""
    held: Fact | None = None
    for fact in facts:
        if fact.kind in _OWNS and fact.person and not fact.is_archived:
            if held is not None and held.person != fact.person:
                yield held, fact
                held = None
            held = held or fact
        elif fact.kind is FactKind.TAKEN_OVER and held is not None:
            yield held, fact
            held = None
    if held is not None:
        yield held, None


def _is_theirs(fact: Fact, start: Fact, end: Fact | None) -> bool:
    at = (fact.occur_time, fact.position)
    if fact.kind in (FactKind.PAUSED, FactKind.RESUMED):
        return True
    if fact is not start and at <= (start.occur_time, start.position):
        return False
    return end is None or at < (end.occur_time, end.position)


def _absences(own: OwnTime) -> Iterator[Mark]:
    for nth, away in enumerate(own.away):
        yield Mark(to_us(away.start), Step.PAUSE, _LEAVE - nth)
        yield Mark(to_us(away.end), Step.RESUME, _LEAVE - nth)


def _read(course: Course, start: Fact, target: BusinessTime) -> Segment:
    return Segment(
        owner=start.person or "",
        team=start.team or "",
        outcome=course.outcome,
        target=target,
        start_time=from_us(course.start),
        due_time=from_us(course.due),
        stop_time=None if course.stop is None else from_us(course.stop),
        end_time=from_us(course.end) if course.is_ended else None,
        elapsed=BusinessTime(course.elapsed),
    )
