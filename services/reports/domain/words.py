"""What the leads log says of one handoff, in the words of reports."""

import enum
from typing import NamedTuple, TypeAlias

from services.reports.domain.periods import Micros

__all__ = [
    "Accepted",
    "Behaved",
    "Closed",
    "Converted",
    "DisputeAnswered",
    "Disputed",
    "Disqualified",
    "FollowedUp",
    "Follows",
    "HandoffEvent",
    "Joined",
    "Merged",
    "OfferEnded",
    "OfferOutcome",
    "Offered",
    "Origin",
    "Qualified",
    "Recycled",
    "Rejected",
    "Reopened",
    "Replied",
    "Restored",
    "Returned",
    "Revalued",
    "Revised",
    "State",
    "Submitted",
    "TakenOver",
    "Unmerged",
    "Voided",
]


class State(enum.StrEnum):
    """Where a handoff stands."""

    SUBMITTED = "submitted"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    WORKING = "working"
    QUALIFIED = "qualified"
    CONVERTED = "converted"
    WON = "won"
    LOST = "lost"
    REJECTED = "rejected"
    DISQUALIFIED = "disqualified"
    RECYCLED = "recycled"
    VOID = "void"


class OfferOutcome(enum.StrEnum):
    """How an offer ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Origin(NamedTuple):
    """What marketing says of a handoff, as far as figures are grouped by it."""

    source: str | None = None
    source_channel: str | None = None
    segment: str | None = None
    region: str | None = None
    product: str | None = None
    lead_type: str | None = None
    inquire_time: Micros | None = None


class Submitted(NamedTuple):
    """A handoff began."""

    tenant: str
    handoff: str
    time: Micros
    lead: str
    origin: Origin
    historical: bool = False
    archived: bool = False
    value_currency: str = ""
    """Of what marketing says such a lead is worth; empty when it does not say."""
    value_minor_units: int = 0
    conforming: bool | None = None
    """Whether it met the MQL definition in force, as leads found; None where none was."""
    required_fields: int = 0
    valid_fields: int = 0
    """Of the required ones, those that were there and valid."""
    band: str | None = None
    """The band of its score then; None where nobody scored it."""
    score: int | None = None


class Revised(NamedTuple):
    """Marketing says something else of an open handoff now."""

    tenant: str
    handoff: str
    time: Micros
    origin: Origin


class Offered(NamedTuple):
    """It was offered to a person or a queue."""

    tenant: str
    handoff: str
    time: Micros
    offer: str
    assignee: str
    team: str


class OfferEnded(NamedTuple):
    """An offer ended without accept or rejection."""

    tenant: str
    handoff: str
    time: Micros
    offer: str
    outcome: OfferOutcome


class Accepted(NamedTuple):
    """It got an owner. `offer` is empty where no offer was accepted."""

    tenant: str
    handoff: str
    time: Micros
    offer: str
    owner: str
    team: str
    previous_owner: str = ""


class Rejected(NamedTuple):
    """Sales said that it is no lead."""

    tenant: str
    handoff: str
    time: Micros
    offer: str
    reason_code: str
    accountable_party: str
    with_evidence: bool = False


class FollowedUp(NamedTuple):
    """Somebody tried to reach the lead. Evidence that does not count is told too, with `counts` false."""

    tenant: str
    handoff: str
    time: Micros
    contact: bool
    counts: bool
    channel: str = ""
    grade: str = ""
    unreachable: bool = False
    """Whether the number or address did not work."""


class Qualified(NamedTuple):
    """Sales qualified it."""

    tenant: str
    handoff: str
    time: Micros


class Disqualified(NamedTuple):
    """Nothing will come of it."""

    tenant: str
    handoff: str
    time: Micros
    reason_code: str
    accountable_party: str
    with_evidence: bool = False


class Recycled(NamedTuple):
    """It went back to marketing."""

    tenant: str
    handoff: str
    time: Micros
    reason_code: str
    accountable_party: str


class Converted(NamedTuple):
    """It became an opportunity."""

    tenant: str
    handoff: str
    time: Micros
    owner: str
    currency: str = ""
    """Of what it may be worth; empty where that is not known."""
    minor_units: int = 0


class Revalued(NamedTuple):
    """Its opportunity is worth something else now."""

    tenant: str
    handoff: str
    time: Micros
    currency: str
    minor_units: int


class Closed(NamedTuple):
    """Its opportunity was won or lost. `currency` is empty where the amount is not known."""

    tenant: str
    handoff: str
    time: Micros
    won: bool
    currency: str = ""
    minor_units: int = 0
    reason_code: str = ""
    segment: str = ""
    lead_type: str = ""


class Voided(NamedTuple):
    """It should never have been."""

    tenant: str
    handoff: str
    time: Micros
    reason_code: str


class Joined(NamedTuple):
    """Another submission came in that belongs to an open handoff. `origin` is what that one said."""

    tenant: str
    handoff: str
    time: Micros
    origin: Origin
    correction: bool


class TakenOver(NamedTuple):
    """It was taken from its owner after a miss."""

    tenant: str
    handoff: str
    time: Micros
    previous_owner: str


class Disputed(NamedTuple):
    """Marketing said that its rejection was wrong."""

    tenant: str
    handoff: str
    time: Micros


class DisputeAnswered(NamedTuple):
    """A dispute was answered."""

    tenant: str
    handoff: str
    time: Micros
    overturned: bool


class Follows(NamedTuple):
    """It follows another handoff: a recycled one that qualified again, or one that was won."""

    tenant: str
    handoff: str
    time: Micros
    previous_handoff: str
    continued: bool


class Returned(NamedTuple):
    """A recycled handoff's lead qualified again, as another handoff."""

    tenant: str
    handoff: str
    time: Micros


class Replied(NamedTuple):
    """The lead answered. `contact`: sales had tried before."""

    tenant: str
    handoff: str
    time: Micros
    channel: str
    contact: bool


class Behaved(NamedTuple):
    """The lead did something that a source told of."""

    tenant: str
    handoff: str
    time: Micros


class Reopened(NamedTuple):
    """The end of its opportunity was undone."""

    tenant: str
    handoff: str
    time: Micros
    owner: str


class Merged(NamedTuple):
    """It goes on for others, whose follow-ups count for it too."""

    tenant: str
    handoff: str
    time: Micros
    others: tuple[str, ...]


class Restored(NamedTuple):
    """One of the others, as it stands after the merge was taken back."""

    handoff: str
    state: State
    owner: str
    queue: str


class Unmerged(NamedTuple):
    """It no longer goes on for others. `handoff` is empty where none did."""

    tenant: str
    handoff: str
    time: Micros
    restored: tuple[Restored, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(each.handoff for each in self.restored)


HandoffEvent: TypeAlias = (
    Submitted
    | Revised
    | Offered
    | OfferEnded
    | Accepted
    | Rejected
    | FollowedUp
    | Qualified
    | Disqualified
    | Recycled
    | Converted
    | Closed
    | Voided
    | Joined
    | TakenOver
    | Disputed
    | DisputeAnswered
    | Follows
    | Returned
    | Replied
    | Behaved
    | Reopened
    | Revalued
    | Merged
    | Unmerged
)
