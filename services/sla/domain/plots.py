"""Which facts start, stop, end and reopen the clocks of each kind of commitment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.sla.domain.agreement import Commitment, CommitmentKind
from services.sla.domain.course import Step
from services.sla.domain.timeline import Fact, FactKind

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

OUTCOMES = frozenset(
    {
        FactKind.QUALIFIED,
        FactKind.CONVERTED,
        FactKind.CLOSED,
        FactKind.RECYCLED,
        FactKind.REJECTED,
    }
)
"""What can be recorded as what came of a handoff."""

UNDONE: Final[Mapping[FactKind, frozenset[FactKind]]] = {
    FactKind.DISPUTE_OVERTURNED: frozenset({FactKind.REJECTED}),
    FactKind.REOPENED: frozenset({FactKind.CLOSED}),
}
"""Which stops a fact undoes: a clock that was stopped otherwise goes on being stopped."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The part that each kind of fact plays for one kind of commitment; all others play none.

    `recurs`: each start has a clock of its own, else the first one alone. After one of `bars` nothing starts
    until that is undone.
    """

    start: frozenset[FactKind]
    steps: Mapping[FactKind, Step]
    recurs: bool = False
    bars: frozenset[FactKind] = frozenset()


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
    # Of follow-ups only the one stops it with which there were enough; whoever answered, or is known not to
    # buy, need not be tried again.
    CommitmentKind.ATTEMPTS: Plot(
        frozenset({FactKind.ACCEPTED, FactKind.ASSIGNED}),
        {
            **dict.fromkeys((*OUTCOMES, FactKind.FOLLOW_UP, FactKind.CONTACTED), Step.STOP),
            FactKind.VOIDED: Step.EXIT,
        },
    ),
    # A further follow-up in time takes the place of the one before, whose clock is void; after due it starts
    # another clock, and the miss stays.
    CommitmentKind.DISPOSITION: Plot(
        frozenset({FactKind.FOLLOW_UP}),
        {
            **dict.fromkeys(OUTCOMES, Step.STOP),
            FactKind.FOLLOW_UP: Step.EXIT,
            FactKind.DISPUTE_OVERTURNED: Step.REOPEN,
            FactKind.VOIDED: Step.EXIT,
        },
        recurs=True,
        bars=OUTCOMES,
    ),
    # An overturned rejection leaves every figure of rejections; nobody owes its reasons any more.
    CommitmentKind.FEEDBACK: Plot(
        frozenset({FactKind.REJECTED}),
        {
            FactKind.EVIDENCED: Step.STOP,
            FactKind.DISPUTE_OVERTURNED: Step.EXIT,
            FactKind.VOIDED: Step.EXIT,
        },
        recurs=True,
    ),
    CommitmentKind.DISPUTE_ANSWER: Plot(
        frozenset({FactKind.DISPUTED}),
        {
            FactKind.DISPUTE_UPHELD: Step.STOP,
            FactKind.DISPUTE_OVERTURNED: Step.STOP,
            FactKind.VOIDED: Step.EXIT,
        },
        recurs=True,
    ),
    # Each review asks for the next one. The end of the opportunity is its last review.
    CommitmentKind.REVIEW: Plot(
        frozenset({FactKind.CONVERTED, FactKind.REVIEWED}),
        {
            FactKind.REVIEWED: Step.STOP,
            FactKind.CLOSED: Step.STOP,
            FactKind.REOPENED: Step.REOPEN,
            FactKind.VOIDED: Step.EXIT,
        },
        recurs=True,
        bars=frozenset({FactKind.CLOSED}),
    ),
    CommitmentKind.NURTURE_RETURN: Plot(
        frozenset({FactKind.RECYCLED}), {FactKind.REQUALIFIED: Step.STOP, FactKind.VOIDED: Step.EXIT}
    ),
}


def is_enough(fact: Fact, commitment: Commitment) -> bool:
    """Tell whether a follow-up counts: a named person's, with evidence of an accepted grade."""
    return fact.person is not None and fact.grade in commitment.grades
