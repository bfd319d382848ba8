"""Which follow-ups ask for an outcome, where the order of the facts alone would ask twice, or nobody.

A follow-up that is told only after an outcome was recorded has been answered by it: the clock of the
follow-up before, which the outcome met, stays met, and nothing starts anew. And of two merged handoffs the
one that goes on owes the outcome that the other's last follow-up asked for, unless it owes one itself.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from services.sla.domain.course import Course, Mark, Outcome, Step
from services.sla.domain.plots import OUTCOMES
from services.sla.domain.runs import Run, Runs
from services.sla.domain.timeline import Fact, FactKind
from services.sla.domain.unions import SEPARATED, unions_of
from smarketing.businesstime import from_us, to_us

CourseOf = Callable[[Run, Sequence[Fact], datetime], Course | None]
"""Gives the course of a clock among these facts at an instant; None when it is under no promise."""


class Inherited(NamedTuple):
    """A clock that a handoff has from another for which it goes on, what counts for it, and what ends it."""

    run: Run
    facts: Sequence[Fact]
    parting: Sequence[Mark]


def without_told_late(runs: Runs, facts: Sequence[Fact], course_of: CourseOf) -> list[Fact]:
    """Return the facts, in order, without the follow-ups that an outcome answered before they were told.

    History is imported in any order, so there nothing is said by what was told first.
    """
    outcomes = [fact for fact in facts if fact.kind in OUTCOMES]
    follow_ups = (fact for fact in facts if fact.kind is FactKind.FOLLOW_UP and not fact.is_history)
    late = (fact for fact in follow_ups if any(_told(outcome) < _told(fact) for outcome in outcomes))
    passed_over: set[int] = set()
    for fact in sorted(late, key=_told):
        known = [each for each in facts if _told(each) < _told(fact) and each.position not in passed_over]
        before = [run for run in runs.found(known) if _happened(run.start) < _happened(fact)]
        course = course_of(before[-1], known, fact.record_time) if before else None
        if course is not None and course.outcome is Outcome.MET and course.end >= to_us(fact.occur_time):
            passed_over.add(fact.position)
    return [fact for fact in facts if fact.position not in passed_over]


def inherited(runs: Runs, facts: Sequence[Fact], course_of: CourseOf) -> Iterator[Inherited]:
    """Yield the clocks that ran for other handoffs when this one began to go on for them.

    Each goes on from the start that it had there, and is void once the two part.
    """
    own = [fact for fact in facts if fact.source is None]
    for union in unions_of(facts):
        theirs = [fact for fact in facts if fact.source == union.source and fact.kind is FactKind.FOLLOW_UP]
        both = sorted([*own, *theirs], key=_happened)
        at_merge = [fact for fact in both if to_us(fact.occur_time) <= union.start]
        courses = [(run, course_of(run, at_merge, from_us(union.start))) for run in runs.found(at_merge)]
        waiting = [(run, course) for run, course in courses if course is not None and not course.is_ended]
        if any(run.start.source is None for run, _ in waiting):
            continue
        parting = [] if union.end is None else [Mark(union.end, Step.EXIT, SEPARATED)]
        # What the other handoff's people had missed by then is a miss of theirs, and stays one there.
        for run, course in waiting:
            if course.outcome is not Outcome.BREACHED:
                yield Inherited(run, both, parting)


def _told(fact: Fact) -> tuple[datetime, int]:
    return fact.record_time, fact.position


def _happened(fact: Fact) -> tuple[datetime, int]:
    return fact.occur_time, fact.position
