"""Where a handoff stands, what comes next, and the lease on which it is offered."""

from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from services.leads.domain.events import OfferState
from services.leads.domain.routing import A_PERSONS_CHOICE, Decision
from smarketing.values import value


class HandoffState(IntEnum):
    """Where a handoff stands, numbered as in the contract."""

    SUBMITTED = 1
    OFFERED = 2
    ACCEPTED = 3
    WORKING = 4
    QUALIFIED = 5
    CONVERTED = 6
    WON = 7
    LOST = 8
    REJECTED = 9
    DISQUALIFIED = 10
    RECYCLED = 11
    VOID = 12


class NextAction(IntEnum):
    """What its owner or queue should do next, numbered as in the contract."""

    NOTHING = 0
    ROUTE = 1
    ACCEPT = 2
    FOLLOW_UP = 3
    DECIDE = 4
    CONVERT = 5
    CLOSE = 6


_S = HandoffState
OPEN_STATES: Final = frozenset(
    {_S.SUBMITTED, _S.OFFERED, _S.ACCEPTED, _S.WORKING, _S.QUALIFIED, _S.CONVERTED}
)
OWNED_STATES: Final = frozenset({_S.ACCEPTED, _S.WORKING, _S.QUALIFIED, _S.CONVERTED})
UNDECIDED_STATES: Final = frozenset({_S.ACCEPTED, _S.WORKING, _S.QUALIFIED})
RELEASABLE_STATES: Final = frozenset({_S.SUBMITTED, _S.OFFERED, _S.ACCEPTED, _S.WORKING})
NEXT_ACTIONS: Final = {
    _S.SUBMITTED: NextAction.ROUTE,
    _S.OFFERED: NextAction.ACCEPT,
    _S.ACCEPTED: NextAction.FOLLOW_UP,
    _S.WORKING: NextAction.DECIDE,
    _S.QUALIFIED: NextAction.CONVERT,
    _S.CONVERTED: NextAction.CLOSE,
}


@value(frozen=True, slots=True, kw_only=True)
class Offer:
    """A lease: the handoff is exclusively this person's or queue's to accept until it expires."""

    number: int
    """1, 2, 3 … within the handoff; it is the fencing token too."""
    assignee: str
    state: OfferState
    offer_time: datetime
    expire_time: datetime | None = None
    """The first instant at which it is no longer theirs; None for a queue, which never lets go."""
    end_time: datetime | None = None
    decision: Decision = A_PERSONS_CHOICE

    def has_lapsed(self, now: datetime) -> bool:
        """Whether the lease ran out, noticed or not."""
        return self.expire_time is not None and now >= self.expire_time

    def ended(self, state: OfferState, at: datetime) -> "Offer":
        """Return the offer with what became of it."""
        return replace(self, state=state, end_time=at)
