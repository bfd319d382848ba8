"""The clocks that a commitment has on one handoff: what starts each, and what the facts then do to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.sla.domain.agreement import AgreementVersion, Commitment, CommitmentKind, Party
from services.sla.domain.attempts import ONCE, sufficient
from services.sla.domain.course import Mark, Step
from services.sla.domain.plots import PLOTS, UNDONE, Plot, is_enough
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import to_us


@dataclass(frozen=True, slots=True)
class Run:
    """One clock: the fact that starts it, and which of the commitment's clocks it is.

    `origin` is the position of that fact, and 0 where a handoff has one clock of the kind.
    """

    origin: int
    start: Fact


@dataclass(frozen=True, slots=True)
class Runs:
    """The clocks of one commitment. Facts come in the order in which they happened."""

    agreement: AgreementVersion
    commitment: Commitment

    @property
    def plot(self) -> Plot:
        """Which facts play which part."""
        return PLOTS[self.commitment.kind]

    def found(self, facts: Sequence[Fact]) -> Iterator[Run]:
        """Yield the clocks that these facts start, the first one first."""
        plot = self.plot
        barred: set[FactKind] = set()
        for fact in facts:
            if fact.kind in plot.start and not barred and self._starts(fact, facts):
                yield Run(fact.position if plot.recurs else 0, fact)
                if not plot.recurs:
                    return
            if fact.kind in plot.bars:
                barred.add(fact.kind)
            barred -= UNDONE.get(fact.kind, frozenset())

    def marks(self, run: Run, facts: Sequence[Fact], zone: str) -> list[Mark]:
        """Return what the facts do to a clock, in order; `zone` is that of its calendar."""
        steps = self.plot.steps
        enough = self.enough(run, facts, zone)
        stopped: Fact | None = None
        marks: list[Mark] = []
        for fact in facts:
            at = to_us(fact.occur_time)
            if fact is run.start:
                marks.append(Mark(at, Step.START))
                continue
            step = steps.get(fact.kind)
            if step is None:
                marks += self._beside(fact, run, at)
                continue
            if fact.kind is FactKind.FOLLOW_UP and not self._counts(fact, enough):
                continue
            if step is Step.REOPEN:
                if stopped is None or stopped.kind not in UNDONE[fact.kind]:
                    continue
                stopped = None
            elif step is Step.STOP and stopped is None and self._is_after(fact, run.start):
                stopped = fact
            marks.append(Mark(at, step, reason_of(fact) if step is Step.EXIT else None))
        # A verdict counts from when it was found, which is not when the lead came.
        return sorted(marks, key=lambda mark: mark.at) if self._is_reciprocal else marks

    def enough(self, run: Run, facts: Sequence[Fact], zone: str) -> Fact | None:
        """Return the follow-up with which there were enough attempts; None for any other promise."""
        if self.commitment.kind is not CommitmentKind.ATTEMPTS:
            return None
        tries = (
            fact
            for fact in facts
            if fact.kind is FactKind.FOLLOW_UP
            and self._is_after(fact, run.start)
            and is_enough(fact, self.commitment)
        )
        return sufficient(tries, self.commitment.attempts or ONCE, zone)

    def first_stop(self, run: Run, facts: Sequence[Fact], zone: str) -> Fact | None:
        """Return the fact that stops a clock first, in time or late; None when none does."""
        enough = self.enough(run, facts, zone)
        for fact in facts:
            if self.plot.steps.get(fact.kind) is Step.STOP and self._is_after(fact, run.start):
                if fact.kind is FactKind.FOLLOW_UP and not self._counts(fact, enough):
                    continue
                return fact
        return None

    @property
    def _is_reciprocal(self) -> bool:
        return self.commitment.party is Party.SALES

    @staticmethod
    def _is_after(fact: Fact, start: Fact) -> bool:
        return (fact.occur_time, fact.position) > (start.occur_time, start.position)

    def _counts(self, fact: Fact, enough: Fact | None) -> bool:
        if self.commitment.kind is CommitmentKind.ATTEMPTS:
            return fact is enough
        return is_enough(fact, self.commitment)

    def _starts(self, fact: Fact, facts: Sequence[Fact]) -> bool:
        if fact.is_archived:
            return False
        if fact.kind is FactKind.FOLLOW_UP and not is_enough(fact, self.commitment):
            return False
        return not (self._is_reciprocal and _was_below(fact, facts))

    def _beside(self, fact: Fact, run: Run, at: int) -> Iterator[Mark]:
        """Yield what a fact does to every kind of clock."""
        match fact.kind:
            case FactKind.PAUSED if self._is_meant(fact, run):
                reason = self.agreement.pause_reason(fact.reason)
                # A reason that the agreement does not know pauses nothing.
                if reason is not None:
                    yield Mark(at, Step.PAUSE, reason.code, reason.cap.microseconds if reason.cap else None)
            case FactKind.RESUMED if self._is_meant(fact, run):
                yield Mark(at, Step.RESUME, fact.reason)
            case FactKind.RESTORED:
                yield Mark(at, Step.RESTORE, f"{FactKind.VOIDED.value}:{fact.reason}")
            case FactKind.BELOW_DEFINITION if self._is_reciprocal and _is_learned_after(fact, run.start):
                found = max(to_us(fact.record_time), to_us(run.start.occur_time))
                yield Mark(found, Step.EXIT, fact.kind.value)
            case _:
                return

    def _is_meant(self, fact: Fact, run: Run) -> bool:
        return fact.commitment in (None, self.commitment.id) and fact.about in (None, run.origin)


def _is_learned_after(fact: Fact, start: Fact) -> bool:
    return (fact.record_time, fact.position) > (start.record_time, start.position)


def reason_of(fact: Fact) -> str:
    """Return why a clock is void that a fact ends."""
    return f"{fact.kind.value}:{fact.reason}" if fact.reason else fact.kind.value


def _was_below(start: Fact, facts: Sequence[Fact]) -> bool:
    """Tell whether the lead was known to be below the MQL definition when a clock would have started."""
    known = [
        fact
        for fact in facts
        if fact.kind in (FactKind.BELOW_DEFINITION, FactKind.MEETS_DEFINITION)
        and not _is_learned_after(fact, start)
    ]
    last = max(known, key=lambda fact: (fact.record_time, fact.position), default=None)
    return last is not None and last.kind is FactKind.BELOW_DEFINITION
