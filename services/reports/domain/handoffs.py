"""One handoff as reports knows it: a record of when it first reached each stage, folded from its events.

Events come in the order of the leads log, which begins each handoff with `Submitted`. What happened first
is decided by when it happened, never by when it was told: an import may tell the past last.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from services.reports.domain.labels import Labels
from services.reports.domain.periods import Micros

__all__ = [
    "Accepted",
    "Closed",
    "Converted",
    "Disqualified",
    "FollowedUp",
    "HandoffEvent",
    "HandoffFact",
    "OfferEnd",
    "OfferEnded",
    "OfferOutcome",
    "Offered",
    "Origin",
    "Qualified",
    "Recycled",
    "Rejected",
    "Revised",
    "State",
    "Submitted",
    "Voided",
    "begin",
    "fold",
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


_OWNED_STATES = {State.OFFERED, State.ACCEPTED, State.WORKING, State.QUALIFIED, State.CONVERTED}
_BEFORE_WORK = {State.SUBMITTED, State.OFFERED, State.ACCEPTED}


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


class FollowedUp(NamedTuple):
    """Somebody tried to reach the lead. Evidence that does not count is told too, with `counts` false."""

    tenant: str
    handoff: str
    time: Micros
    contact: bool
    counts: bool


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
)


class OfferEnd(NamedTuple):
    """An offer that ended, counted under the team that had it then."""

    offer: str
    tenant: str
    handoff: str
    team: str | None
    end_time: Micros
    outcome: str


@dataclass(slots=True)
class HandoffFact:
    """The accumulator of the fold; its fields are the columns of the fact table, in this order.

    Times are those of the first such event; an absent one has not happened, or was undone.
    """

    handoff: str
    tenant: str
    lead: str
    state: str
    source: str | None
    source_channel: str | None
    segment: str | None
    region: str | None
    product: str | None
    lead_type: str | None
    team: str | None
    submit_time: Micros
    inquire_time: Micros | None
    historical: bool
    archived: bool
    owner: str = ""
    assignee: str = ""
    open_offer: str = ""
    offer_time: Micros | None = None
    accept_time: Micros | None = None
    first_follow_up_time: Micros | None = None
    first_contact_time: Micros | None = None
    qualify_time: Micros | None = None
    convert_time: Micros | None = None
    won_time: Micros | None = None
    lost_time: Micros | None = None
    reject_time: Micros | None = None
    disqualify_time: Micros | None = None
    recycle_time: Micros | None = None
    void_time: Micros | None = None
    reason_code: str = ""
    accountable_party: str = ""
    currency: str = ""
    minor_units: int = 0
    follow_up_count: int = 0
    reassign_count: int = 0
    unattended: bool = False

    @property
    def labels(self) -> Labels:
        """What the handoff is counted under now."""
        return Labels(
            self.source,
            self.source_channel,
            self.segment,
            self.region,
            self.product,
            self.lead_type,
            self.team,
        )

    def settle(self) -> None:
        """Note whether nobody is responsible for it: open, once offered, and neither owned nor offered."""
        self.unattended = (
            self.state in _OWNED_STATES and not self.archived and not self.owner and not self.assignee
        )


def begin(event: Submitted) -> HandoffFact:
    """Return the fact of a handoff that begins."""
    origin = event.origin
    return HandoffFact(
        handoff=event.handoff,
        tenant=event.tenant,
        lead=event.lead,
        state=State.SUBMITTED.value,
        source=origin.source,
        source_channel=origin.source_channel,
        segment=origin.segment,
        region=origin.region,
        product=origin.product,
        lead_type=origin.lead_type,
        team=None,
        submit_time=event.time,
        inquire_time=origin.inquire_time,
        historical=event.historical,
        archived=event.archived,
    )


def fold(fact: HandoffFact, event: HandoffEvent) -> OfferEnd | None:
    """Take one event into the fact; return the offer that it ended, if it ended one."""
    return _STEPS[type(event)](fact, event)


def _first(known: Micros | None, time: Micros) -> Micros:
    return time if known is None or time < known else known


def _end_offer(fact: HandoffFact, offer: str, time: Micros, outcome: OfferOutcome) -> OfferEnd | None:
    if not offer or offer != fact.open_offer:
        return None
    fact.open_offer = fact.assignee = ""
    return OfferEnd(offer, fact.tenant, fact.handoff, fact.team, time, outcome.value)


def _revise(fact: HandoffFact, event: Revised) -> None:
    origin = event.origin
    fact.source, fact.source_channel, fact.segment, fact.region, fact.product, fact.lead_type = origin[:6]
    if origin.inquire_time is not None:
        # A second inquiry does not set the buyer's time back.
        fact.inquire_time = _first(fact.inquire_time, origin.inquire_time)


def _offer(fact: HandoffFact, event: Offered) -> None:
    if fact.state == State.REJECTED.value:
        # An overturned dispute: the rejection leaves every figure of rejections.
        fact.reject_time = None
        fact.reason_code = fact.accountable_party = ""
    fact.state = State.OFFERED.value
    fact.archived = False
    fact.offer_time = _first(fact.offer_time, event.time)
    fact.open_offer, fact.assignee = event.offer, event.assignee
    fact.team = event.team or None


def _end(fact: HandoffFact, event: OfferEnded) -> OfferEnd | None:
    return _end_offer(fact, event.offer, event.time, event.outcome)


def _accept(fact: HandoffFact, event: Accepted) -> OfferEnd | None:
    ended = _end_offer(fact, event.offer, event.time, OfferOutcome.ACCEPTED)
    if event.previous_owner:
        fact.reassign_count += 1
    if fact.state in _BEFORE_WORK:
        fact.state = State.ACCEPTED.value
    fact.archived = False
    fact.accept_time = _first(fact.accept_time, event.time)
    fact.owner = event.owner
    fact.team = event.team or fact.team
    return ended


def _reject(fact: HandoffFact, event: Rejected) -> OfferEnd | None:
    ended = _end_offer(fact, event.offer, event.time, OfferOutcome.REJECTED)
    fact.state = State.REJECTED.value
    fact.reject_time = _first(fact.reject_time, event.time)
    fact.reason_code, fact.accountable_party = event.reason_code, event.accountable_party
    return ended


def _follow_up(fact: HandoffFact, event: FollowedUp) -> None:
    fact.follow_up_count += 1
    if not event.counts:
        return
    if fact.state in _BEFORE_WORK:
        fact.state = State.WORKING.value
    fact.archived = False
    fact.first_follow_up_time = _first(fact.first_follow_up_time, event.time)
    if event.contact:
        fact.first_contact_time = _first(fact.first_contact_time, event.time)


def _qualify(fact: HandoffFact, event: Qualified) -> None:
    fact.state = State.QUALIFIED.value
    fact.archived = False
    fact.qualify_time = _first(fact.qualify_time, event.time)


def _disqualify(fact: HandoffFact, event: Disqualified) -> None:
    fact.state = State.DISQUALIFIED.value
    fact.disqualify_time = _first(fact.disqualify_time, event.time)
    fact.reason_code, fact.accountable_party = event.reason_code, event.accountable_party


def _recycle(fact: HandoffFact, event: Recycled) -> None:
    fact.state = State.RECYCLED.value
    fact.recycle_time = _first(fact.recycle_time, event.time)
    fact.reason_code, fact.accountable_party = event.reason_code, event.accountable_party


def _convert(fact: HandoffFact, event: Converted) -> None:
    fact.state = State.CONVERTED.value
    fact.archived = False
    fact.convert_time = _first(fact.convert_time, event.time)
    fact.owner = event.owner or fact.owner
    # After a close this is a reopening: what was won or lost no longer is.
    fact.won_time = fact.lost_time = None
    fact.currency, fact.minor_units = "", 0
    fact.reason_code = ""


def _close(fact: HandoffFact, event: Closed) -> None:
    fact.state = State.WON.value if event.won else State.LOST.value
    fact.archived = False
    fact.won_time = event.time if event.won else None
    fact.lost_time = None if event.won else event.time
    fact.currency, fact.minor_units = event.currency, event.minor_units
    fact.reason_code = event.reason_code
    fact.segment = event.segment or fact.segment
    fact.lead_type = event.lead_type or fact.lead_type


def _void(fact: HandoffFact, event: Voided) -> None:
    fact.state = State.VOID.value
    fact.archived = False
    fact.void_time = _first(fact.void_time, event.time)
    # The reason of an earlier rejection stays with that rejection.
    fact.reason_code = fact.reason_code or event.reason_code


_STEPS: dict[type, Callable[[HandoffFact, Any], OfferEnd | None]] = {
    Revised: _revise,
    Offered: _offer,
    OfferEnded: _end,
    Accepted: _accept,
    Rejected: _reject,
    FollowedUp: _follow_up,
    Qualified: _qualify,
    Disqualified: _disqualify,
    Recycled: _recycle,
    Converted: _convert,
    Closed: _close,
    Voided: _void,
}
