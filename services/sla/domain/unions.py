"""What becomes of the clocks of a handoff that goes on for another one, and when it does so no more.

Of the two clocks of a commitment the one that started first survives. It was the other handoff's: if that
had its verdict before the merge, the clock here is void from then on; if not, the clock here goes on from
that start, and the follow-ups of both stop it. What this handoff's own clock had come to before the merge
stays. Once the merge is taken back, what was void runs on, and what only the other's follow-up had met runs
on too, each as its next cycle; the time between counts as a pause.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from services.sla.domain.course import Course, Mark, Outcome, Step
from services.sla.domain.runs import Run, Runs
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import to_us

MERGED = "MERGED"
SEPARATED = "SEPARATED"

SHARED = frozenset(
    {
        FactKind.INQUIRED,
        FactKind.SUBMITTED,
        FactKind.OFFERED,
        FactKind.OFFER_ENDED,
        FactKind.ACCEPTED,
        FactKind.ASSIGNED,
        FactKind.FOLLOW_UP,
        FactKind.CONTACTED,
    }
)
"""What counts for the handoff that goes on: what can start a clock, and what was tried."""

CourseOf = Callable[[Run, Sequence[Mark], int], Course | None]
"""Gives the course of a clock with these marks at an instant; None when it has not started."""


@dataclass(frozen=True, slots=True)
class Union:
    """That a handoff goes on for another, from an instant on, and until when."""

    source: str
    start: int
    end: int | None


def unions_of(facts: Sequence[Fact]) -> list[Union]:
    """Return for which handoffs this one goes on or went on, in order."""
    found: list[Union] = []
    for fact in facts:
        if fact.kind is FactKind.UNITED and fact.source:
            found.append(Union(fact.source, to_us(fact.occur_time), None))
        elif fact.kind is FactKind.SEPARATED:
            found = [
                replace(each, end=to_us(fact.occur_time))
                if each.end is None and each.source == fact.source
                else each
                for each in found
            ]
    return found


@dataclass(frozen=True, slots=True)
class United:
    """One commitment of a handoff that goes on for others."""

    runs: Runs
    facts: Sequence[Fact]
    zone: str
    course_of: CourseOf

    def run_and_marks(self) -> tuple[Run, list[Mark]] | None:
        """Return the one clock of the commitment and what is done to it; None when nothing starts one."""
        own = [fact for fact in self.facts if fact.source is None or fact.kind in _OF_UNIONS]
        run = next(self.runs.found(own), None)
        marks = [] if run is None else self.runs.marks(run, own, self.zone)
        for union in unions_of(self.facts):
            theirs = [fact for fact in self.facts if fact.source == union.source and fact.kind in SHARED]
            run, marks, own = self._joined(run, marks, own, theirs, union)
        return None if run is None else (run, sorted(marks, key=lambda mark: mark.at))

    def _joined(
        self, run: Run | None, marks: list[Mark], own: list[Fact], theirs: list[Fact], union: Union
    ) -> tuple[Run | None, list[Mark], list[Fact]]:
        other = next(self.runs.found(theirs), None)
        if run is not None and self._has_verdict(run, marks, union.start):
            return run, marks, own
        is_theirs = other is not None and (run is None or _begins(other) < _begins(run))
        if other is not None and is_theirs and self._has_verdict_with(other, theirs, union.start):
            return run, [*marks, *self._void(run, union)], own
        both = sorted([*own, *theirs], key=lambda fact: (fact.occur_time, fact.position))
        first = other if is_theirs else run
        if first is None:
            return run, marks, own
        if union.end is None:
            return first, self.runs.marks(first, both, self.zone), both
        return run or first, self._parted(run, first, own, both, union.end), own

    @staticmethod
    def _void(run: Run | None, union: Union) -> Iterator[Mark]:
        if run is not None:
            yield Mark(union.start, Step.EXIT, MERGED)
            if union.end is not None:
                yield Mark(union.end, Step.RESTORE, MERGED)

    def _parted(self, run: Run | None, first: Run, own: list[Fact], both: list[Fact], end: int) -> list[Mark]:
        """Return the marks of a clock whose handoff was one with another until an instant."""
        if run is None:
            # It ran for the other alone, who has it again.
            return [*self.runs.marks(first, both, self.zone), Mark(end, Step.EXIT, SEPARATED)]
        alone = self.runs.marks(run, own, self.zone)
        stop = self.runs.first_stop(first, both, self.zone)
        if stop is None or stop is self.runs.first_stop(run, own, self.zone) or to_us(stop.occur_time) > end:
            return alone
        stopped = max(to_us(stop.occur_time), _begins(run))
        # What this handoff's own people did meanwhile counts once it stands for itself again.
        later = [mark._replace(at=max(mark.at, end)) for mark in alone if mark.step is Step.STOP]
        others = [mark for mark in alone if mark.step is not Step.STOP]
        return [*others, Mark(stopped, Step.STOP), Mark(end, Step.REOPEN), *later]

    def _has_verdict_with(self, run: Run, facts: Sequence[Fact], at: int) -> bool:
        return self._has_verdict(run, self.runs.marks(run, facts, self.zone), at)

    def _has_verdict(self, run: Run, marks: Sequence[Mark], at: int) -> bool:
        course = self.course_of(run, sorted(marks, key=lambda mark: mark.at), at)
        return course is not None and course.outcome not in (Outcome.RUNNING, Outcome.PAUSED)


_OF_UNIONS = frozenset({FactKind.UNITED, FactKind.SEPARATED})


def _begins(run: Run) -> int:
    return to_us(run.start.occur_time)
