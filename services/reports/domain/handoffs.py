"""One handoff as reports knows it: a record of when it first reached each stage, folded from its events.

Events come in the order of the leads log, which begins each handoff with `Submitted`. What happened first
is decided by when it happened, never by when it was told: an import may tell the past last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.reports.domain.labels import Labels
from services.reports.domain.periods import Micros
from services.reports.domain.touches import REPLY, Touch, added, touches_of
from services.reports.domain.words import (
    Accepted,
    Behaved,
    Closed,
    Converted,
    DisputeAnswered,
    Disputed,
    Disqualified,
    FollowedUp,
    Follows,
    HandoffEvent,
    Joined,
    Offered,
    OfferEnded,
    OfferOutcome,
    Qualified,
    Recycled,
    Rejected,
    Reopened,
    Replied,
    Returned,
    Revalued,
    Revised,
    State,
    Submitted,
    TakenOver,
    Voided,
)

__all__ = ["HandoffFact", "Happening", "OfferEnd", "begin", "earliest_touches", "fold", "follow"]

_OPEN_STATES = {
    State.SUBMITTED,
    State.OFFERED,
    State.ACCEPTED,
    State.WORKING,
    State.QUALIFIED,
    State.CONVERTED,
}
_OWNED_STATES = _OPEN_STATES - {State.SUBMITTED}
_BEFORE_WORK = {State.SUBMITTED, State.OFFERED, State.ACCEPTED}


class OfferEnd(NamedTuple):
    """An offer that ended, counted under the team that had it then."""

    offer: str
    tenant: str
    handoff: str
    team: str | None
    end_time: Micros
    outcome: str


class Happening(NamedTuple):
    """Something that is counted once, under labels of its own, and never changes."""

    happening: str
    tenant: str
    kind: str
    time: Micros
    source: str | None
    source_channel: str | None
    segment: str | None
    region: str | None
    product: str | None
    lead_type: str | None
    team: str | None

    @property
    def labels(self) -> Labels:
        """What it is counted under."""
        return Labels(*self[4:])


JOINED = "joined"
"""A submission that belonged to an open handoff, under what it said of itself."""


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
    stage_time: Micros = 0
    """When it came to its present state."""
    open_since: Micros | None = None
    """The same while it is open and not archived."""
    with_evidence: bool = False
    """Of the standing rejection or disqualification."""
    rejection_time: Micros | None = None
    """Of the first rejection, also when it was overturned."""
    rejection_code: str = ""
    dispute_state: str = ""
    """`open`, `upheld` or `overturned`; empty when nobody disputed."""
    dispute_time: Micros | None = None
    dispute_answer_time: Micros | None = None
    second_owner_time: Micros | None = None
    takeover_count: int = 0
    previous_handoff: str = ""
    continued: bool = False
    return_time: Micros | None = None
    """When the lead of a recycled handoff qualified again."""
    merged_into: str = ""
    touches: str = ""
    borrowed_touches: str = ""
    """Those of handoffs merged into this one."""
    value_currency: str = ""
    value_minor_units: int = 0
    behaviour_count: int = 0
    joined_count: int = 0
    conforming: bool | None = None
    required_fields: int = 0
    valid_fields: int = 0
    band: str | None = None
    """Of the score at submission."""
    score: int | None = None
    lead_time: Micros | None = None
    """When the lead's first handoff was submitted; None where this is the first."""
    customer_time: Micros | None = None
    """Of the handoff after a customer's first purchase: when that was."""
    unreachable: bool | None = None
    """Whether a number or address ever failed."""
    deal_currency: str | None = None
    """Of what its opportunity is worth; None where that was never known."""
    deal_minor_units: int | None = None

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
        """Note whether it is open, and whether nobody is responsible for it though it was once offered."""
        self.open_since = self.stage_time if self.state in _OPEN_STATES and not self.archived else None
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
        stage_time=event.time,
        value_currency=event.value_currency,
        value_minor_units=event.value_minor_units,
        conforming=event.conforming,
        required_fields=event.required_fields,
        valid_fields=event.valid_fields,
        band=event.band,
        score=event.score,
    )


def fold(fact: HandoffFact, event: HandoffEvent) -> OfferEnd | Happening | None:
    """Take one event into the fact; return the offer that it ended, or what else is counted by itself."""
    before = fact.state
    counted = _STEPS[type(event)](fact, event)
    if fact.state != before:
        fact.stage_time = event.time
    return counted


def follow(fact: HandoffFact, previous: HandoffFact) -> None:
    """Note what a handoff takes over from the one of the same lead that it follows."""
    fact.lead_time = previous.submit_time if previous.lead_time is None else previous.lead_time
    if fact.continued and not previous.continued:
        fact.customer_time = previous.won_time


def earliest_touches(fact: HandoffFact) -> None:
    """Take the first follow-up and contact anew from all touches that count for it."""
    attempts = [touch.time for touch in _united(fact) if touch.counts]
    fact.first_follow_up_time = min(attempts, default=None)
    contacts = [touch.time for touch in _united(fact) if touch.contact and (touch.counts or touch.is_reply)]
    fact.first_contact_time = min(contacts, default=None)
    fact.follow_up_count = sum(not touch.is_reply for touch in _united(fact))


def _united(fact: HandoffFact) -> tuple[Touch, ...]:
    return touches_of(fact.touches) + touches_of(fact.borrowed_touches)


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
    fact.with_evidence = fact.with_evidence and fact.disqualify_time is not None
    fact.offer_time = _first(fact.offer_time, event.time)
    fact.open_offer, fact.assignee = event.offer, event.assignee
    fact.team = event.team or None


def _end(fact: HandoffFact, event: OfferEnded) -> OfferEnd | None:
    return _end_offer(fact, event.offer, event.time, event.outcome)


def _accept(fact: HandoffFact, event: Accepted) -> OfferEnd | None:
    ended = _end_offer(fact, event.offer, event.time, OfferOutcome.ACCEPTED)
    if event.previous_owner:
        fact.reassign_count += 1
    if event.previous_owner or fact.takeover_count:
        fact.second_owner_time = _first(fact.second_owner_time, event.time)
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
    fact.with_evidence = event.with_evidence
    if fact.rejection_time is None:
        fact.rejection_time, fact.rejection_code = event.time, event.reason_code
    return ended


def _follow_up(fact: HandoffFact, event: FollowedUp) -> None:
    fact.follow_up_count += 1
    fact.touches = added(
        fact.touches, Touch(event.time, event.channel, event.grade, event.contact, event.counts)
    )
    fact.unreachable = event.unreachable or fact.unreachable
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
    fact.with_evidence = event.with_evidence
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
    _value(fact, event.currency, event.minor_units)
    # After a close this is a reopening: what was won or lost no longer is.
    _unclose(fact)


def _revalue(fact: HandoffFact, event: Revalued) -> None:
    _value(fact, event.currency, event.minor_units)


def _value(fact: HandoffFact, currency: str, minor_units: int) -> None:
    if currency:
        fact.deal_currency, fact.deal_minor_units = currency, minor_units


def _reopen(fact: HandoffFact, event: Reopened) -> None:
    fact.state = State.CONVERTED.value
    fact.owner = event.owner or fact.owner
    _unclose(fact)


def _unclose(fact: HandoffFact) -> None:
    fact.won_time = fact.lost_time = None
    fact.currency, fact.minor_units = "", 0
    fact.reason_code = ""


def _close(fact: HandoffFact, event: Closed) -> None:
    fact.state = State.WON.value if event.won else State.LOST.value
    fact.archived = False
    fact.won_time = event.time if event.won else None
    fact.lost_time = None if event.won else event.time
    fact.currency, fact.minor_units = event.currency, event.minor_units
    _value(fact, event.currency, event.minor_units)
    fact.reason_code = event.reason_code
    fact.segment = event.segment or fact.segment
    fact.lead_type = event.lead_type or fact.lead_type


def _void(fact: HandoffFact, event: Voided) -> None:
    fact.state = State.VOID.value
    fact.archived = False
    fact.void_time = _first(fact.void_time, event.time)
    # The reason of an earlier rejection stays with that rejection.
    fact.reason_code = fact.reason_code or event.reason_code


def _join(fact: HandoffFact, event: Joined) -> Happening | None:
    if event.correction:
        return None
    fact.joined_count += 1
    name = f"{fact.handoff}/{JOINED}/{fact.joined_count}"
    return Happening(name, fact.tenant, JOINED, event.time, *event.origin[:6], fact.team)


def _take_over(fact: HandoffFact, event: TakenOver) -> None:
    del event
    fact.takeover_count += 1
    fact.owner = ""


def _dispute(fact: HandoffFact, event: Disputed) -> None:
    fact.dispute_state, fact.dispute_time, fact.dispute_answer_time = "open", event.time, None


def _answer(fact: HandoffFact, event: DisputeAnswered) -> None:
    fact.dispute_state = "overturned" if event.overturned else "upheld"
    fact.dispute_answer_time = event.time
    if not event.overturned or fact.state != State.REJECTED.value:
        return
    # It waits for routing again; the rejection leaves every figure of rejections.
    fact.state = State.SUBMITTED.value
    fact.reject_time = None
    fact.reason_code = fact.accountable_party = ""
    fact.with_evidence = False


def _follows(fact: HandoffFact, event: Follows) -> None:
    fact.previous_handoff, fact.continued = event.previous_handoff, event.continued


def _return(fact: HandoffFact, event: Returned) -> None:
    fact.return_time = _first(fact.return_time, event.time)


def _reply(fact: HandoffFact, event: Replied) -> None:
    fact.touches = added(fact.touches, Touch(event.time, event.channel, REPLY, event.contact, counts=False))
    if event.contact:
        fact.first_contact_time = _first(fact.first_contact_time, event.time)


def _behave(fact: HandoffFact, event: Behaved) -> None:
    del event
    fact.behaviour_count += 1


_STEPS: dict[type, Callable[[HandoffFact, Any], OfferEnd | Happening | None]] = {
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
    Joined: _join,
    TakenOver: _take_over,
    Disputed: _dispute,
    DisputeAnswered: _answer,
    Follows: _follows,
    Returned: _return,
    Replied: _reply,
    Behaved: _behave,
    Reopened: _reopen,
    Revalued: _revalue,
}
