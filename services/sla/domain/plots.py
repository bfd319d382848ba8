"""Which facts start, stop, end and reopen the clock of each kind of commitment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.sla.domain.agreement import AgreementVersion, Commitment, CommitmentKind
from services.sla.domain.course import Mark, Step
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import to_us

_TAKEN_UP = frozenset(
    {
        FactKind.ACCEPTED,
        FactKind.ASSIGNED,
        FactKind.QUALIFIED,
        FactKind.CONVERTED,
        FactKind.CLOSED,
        FactKind.RECYCLED,
    }
)
"""Facts that show sales to have had the handoff: steps may be skipped forwards."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The part that each kind of fact plays for one kind of commitment; all others play none."""

    start: frozenset[FactKind]
    steps: Mapping[FactKind, Step]


PLOTS: Final[Mapping[CommitmentKind, Plot]] = {
    # Over when it is first heard of: nobody can be warned, but the miss counts like any other.
    CommitmentKind.FRESHNESS: Plot(
        frozenset({FactKind.INQUIRED}), {FactKind.SUBMITTED: Step.STOP, FactKind.VOIDED: Step.EXIT}
    ),
    CommitmentKind.ROUTE: Plot(
        frozenset({FactKind.SUBMITTED}),
        {
            **dict.fromkeys((*_TAKEN_UP, FactKind.OFFERED, FactKind.REJECTED), Step.STOP),
            FactKind.VOIDED: Step.EXIT,
        },
    ),
    # A declined or expired offer stops nothing: the handoff is still nobody's.
    CommitmentKind.ACCEPT: Plot(
        frozenset({FactKind.OFFERED}),
        {
            **dict.fromkeys((*_TAKEN_UP, FactKind.REJECTED), Step.STOP),
            FactKind.DISPUTE_OVERTURNED: Step.REOPEN,
            FactKind.VOIDED: Step.EXIT,
        },
    ),
    # A handoff that leaves until its due instant without a follow-up owes none any more: the clock is void
    # with the reason, and counts in the void share that both parties see. Leaving later keeps the breach, or
    # the way out of a miss would be to close the handoff. A reassignment starts nothing anew.
    CommitmentKind.FIRST_FOLLOW_UP: Plot(
        frozenset({FactKind.ACCEPTED, FactKind.ASSIGNED}),
        {
            FactKind.FOLLOW_UP: Step.STOP,
            FactKind.REJECTED: Step.EXIT,
            FactKind.CLOSED: Step.EXIT,
            FactKind.RECYCLED: Step.EXIT,
            FactKind.VOIDED: Step.EXIT,
        },
    ),
}


def mark_of(fact: Fact, commitment: Commitment, agreement: AgreementVersion) -> Mark | None:
    """Return what a fact does to the clock of a commitment; None when it plays no part in it."""
    at = to_us(fact.occur_time)
    if fact.commitment not in (None, commitment.id):
        return None
    if fact.kind is FactKind.RESUMED:
        return Mark(at, Step.RESUME, fact.reason)
    if fact.kind is FactKind.PAUSED:
        reason = agreement.pause_reason(fact.reason)
        # A reason that the agreement does not know pauses nothing.
        if reason is None:
            return None
        return Mark(at, Step.PAUSE, reason.code, reason.cap.microseconds if reason.cap else None)
    step = PLOTS[commitment.kind].steps.get(fact.kind)
    if step is None or (fact.kind is FactKind.FOLLOW_UP and not is_enough(fact, commitment)):
        return None
    return Mark(at, step)


def is_enough(fact: Fact, commitment: Commitment) -> bool:
    """Tell whether a follow-up counts: a named person's, with evidence of an accepted grade."""
    return fact.person is not None and fact.grade in commitment.grades
