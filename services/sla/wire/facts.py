"""The leads log in this service's own words: events in, facts out."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

from services.sla.domain.condition import Attributes
from services.sla.domain.history import Told
from services.sla.domain.timeline import Fact, FactKind
from services.sla.wire.agreements import grade_of
from services.sla.wire.instants import instant, instant_in
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.names import PERSON

__all__ = ["TOLD_TYPES", "attributes_of", "log_position", "told_of"]

_FACTS_PER_EVENT: Final = 1024
"""Positions are spread: one event may tell of several facts, and this service's own facts of a handoff
(a pause granted, evidence approved) will have room behind the last that the log told."""

_CHANNELS: Final[dict[int, str]] = {
    number: name.removeprefix("SOURCE_CHANNEL_") for name, number in termspb.SourceChannel.items()
}
"""Of a channel newer than this build the number is kept: no condition can name it, and nothing stops."""
_WAYS: Final[dict[int, str]] = {
    number: name.removeprefix("FOLLOW_UP_CHANNEL_") for name, number in termspb.FollowUpChannel.items()
}
_MERGED: Final = "MERGED"
"""The reason with which `leads` voids the handoffs of a merged lead."""


class _Teller:
    """Makes the facts of one event."""

    def __init__(self, event: eventlogpb.Event, handoff: str) -> None:
        self._position = event.position * _FACTS_PER_EVENT
        self._occur = instant(event.occur_time)
        self._record = instant(event.record_time)
        self._handoff = handoff

    def tell(
        self,
        kind: FactKind,
        *,
        at: datetime | None = None,
        before: bool = False,
        nth: int = 0,
        assignee: str = "",
        handoff: str = "",
        **rest: Any,
    ) -> Told:
        """Return one fact; `before` puts it ahead of the event's main fact, `nth` so far behind.

        It is of the event's own handoff unless another is named.
        """
        fact = Fact(
            position=self._position - before + nth,
            kind=kind,
            occur_time=at or self._occur,
            record_time=self._record,
            **rest,
        )
        return Told(handoff=handoff or self._handoff, fact=fact, assignee=assignee)


def log_position(fact: Fact) -> int:
    """Return where in the log of `leads` it stands that tells a fact."""
    return (fact.position + 1) // _FACTS_PER_EVENT


def told_of(event: eventlogpb.Event) -> Sequence[Told]:
    """Return what an event tells of a handoff; nothing when it is about something else."""
    known = _READERS.get(event.payload.TypeName())
    if known is None:
        return ()
    message_type, read = known
    payload: Any = message_type()
    event.payload.Unpack(payload)
    return read(payload, _Teller(event, payload.handoff))


def attributes_of(of: leadspb.Qualification) -> Attributes:
    """Return what conditions may ask about of a handoff."""
    return Attributes(
        source_channel=_CHANNELS.get(of.source_channel) or f"UNKNOWN_{of.source_channel}",
        segment=of.segment or None,
        region=of.region or None,
        score=_deciding_score(of),
        band=of.rating.band or None,
        source=of.source or None,
        product=of.product or None,
        lead_type=of.lead_type or None,
        language=of.language or None,
        definition=of.definition or None,
        value=of.value.minor_units if of.HasField("value") else None,
        currency=of.value.currency_code or None,
    )


def _deciding_score(of: leadspb.Qualification) -> int | None:
    """Return the score that decides in `leads` too: the model's where there is one, else the sender's."""
    if of.HasField("rating"):
        return of.rating.score
    return of.score if of.HasField("score") else None


def _submitted(payload: leadeventspb.HandoffSubmitted, teller: _Teller) -> Sequence[Told]:
    flags: dict[str, Any] = {"is_history": payload.historical, "is_archived": payload.archived}
    attributes = attributes_of(payload.qualification)
    told = [teller.tell(FactKind.SUBMITTED, attributes=attributes, **flags)]
    if payload.HasField("conformance"):
        told.append(_verdict(payload.conformance, teller, nth=1))
    if payload.qualification.HasField("inquire_time"):
        inquired = instant(payload.qualification.inquire_time)
        told.insert(0, teller.tell(FactKind.INQUIRED, at=inquired, before=True, **flags))
    return told


def _verdict(of: Any, teller: _Teller, *, nth: int = 0) -> Told:
    """Say whether sales owes anything at all; `leads` has found that out itself."""
    kind = FactKind.MEETS_DEFINITION if of.conforming else FactKind.BELOW_DEFINITION
    return teller.tell(kind, nth=nth)


def _revised(payload: leadeventspb.HandoffRevised, teller: _Teller) -> Sequence[Told]:
    return [teller.tell(FactKind.REVISED, attributes=attributes_of(payload.qualification))]


def _offered(payload: leadeventspb.HandoffOffered, teller: _Teller) -> Sequence[Told]:
    # An offer to a queue names nobody: whoever of its team follows up has accepted it.
    person = payload.assignee if PERSON.matches(payload.assignee) else None
    return [
        teller.tell(FactKind.OFFERED, person=person, team=payload.team or None, assignee=payload.assignee)
    ]


def _accepted(payload: leadeventspb.HandoffAccepted, teller: _Teller) -> Sequence[Told]:
    manners = leadeventspb.HandoffAccepted
    kind = FactKind.ASSIGNED if payload.manner == manners.MANNER_ASSIGNED else FactKind.ACCEPTED
    return [
        teller.tell(
            kind,
            person=payload.owner,
            team=payload.team or None,
            assignee=payload.owner,
            is_history=payload.manner == manners.MANNER_IMPORTED,
        )
    ]


def _followed_up(payload: leadeventspb.FollowUpLogged, teller: _Teller) -> Sequence[Told]:
    return [
        teller.tell(
            FactKind.FOLLOW_UP,
            person=payload.person or None,
            team=payload.team or None,
            grade=grade_of(payload.grade),
            channel=_WAYS.get(payload.channel) or f"UNKNOWN_{payload.channel}",
            is_contact=payload.contact,
            is_history=payload.historical,
        )
    ]


def _rejected(payload: leadeventspb.HandoffRejected, teller: _Teller) -> Sequence[Told]:
    reason = payload.reason_code or None
    rejected = teller.tell(FactKind.REJECTED, person=payload.person or None, reason=reason)
    if not (payload.with_evidence and reason):
        return [rejected]
    return [rejected, teller.tell(FactKind.EVIDENCED, nth=1, person=payload.person or None, reason=reason)]


def _recycled(payload: leadeventspb.HandoffRecycled, teller: _Teller) -> Sequence[Told]:
    until = instant_in(payload, "recycle_until_time")
    return [teller.tell(FactKind.RECYCLED, reason=payload.reason_code or None, until=until)]


def _disputed(payload: leadeventspb.RejectionDisputed, teller: _Teller) -> Sequence[Told]:
    return [
        teller.tell(FactKind.DISPUTED, person=payload.person or None, team=payload.rejecting_team or None)
    ]


def _resolved(payload: leadeventspb.DisputeResolved, teller: _Teller) -> Sequence[Told]:
    overturned = payload.state == disputespb.Dispute.STATE_OVERTURNED
    kind = FactKind.DISPUTE_OVERTURNED if overturned else FactKind.DISPUTE_UPHELD
    return [teller.tell(kind, person=payload.person or None)]


def _replied(payload: leadeventspb.ReplyRecorded, teller: _Teller) -> Sequence[Told]:
    # A reply that nobody had asked for is no contact: sales had not tried.
    return [teller.tell(FactKind.CONTACTED)] if payload.contact else []


def _requalified(payload: leadeventspb.HandoffRequalified, teller: _Teller) -> Sequence[Told]:
    return [teller.tell(FactKind.REQUALIFIED, handoff=payload.previous_handoff)]


def _merged(payload: leadeventspb.LeadsMerged, teller: _Teller) -> Sequence[Told]:
    return [
        teller.tell(FactKind.UNITED, nth=at, source=merged)
        for at, merged in enumerate(payload.merged_handoffs)
        if payload.handoff
    ]


def _unmerged(payload: leadeventspb.LeadsUnmerged, teller: _Teller) -> Sequence[Told]:
    restored = [each.handoff for each in payload.restored_handoffs]
    parted = [
        teller.tell(FactKind.SEPARATED, nth=at, source=handoff)
        for at, handoff in enumerate(restored)
        if payload.handoff
    ]
    stand = [teller.tell(FactKind.RESTORED, handoff=handoff, reason=_MERGED) for handoff in restored]
    return [*parted, *stand]


def _simply(kind: FactKind) -> Callable[[Any, _Teller], Sequence[Told]]:
    def read(payload: Any, teller: _Teller) -> Sequence[Told]:
        reason = getattr(payload, "reason_code", "") or None
        return [teller.tell(kind, reason=reason, is_history=getattr(payload, "historical", False))]

    return read


_Reader = Callable[[Any, _Teller], Sequence[Told]]
_READERS: Final[dict[str, tuple[type[Message], _Reader]]] = {
    message_type.DESCRIPTOR.full_name: (message_type, read)
    for message_type, read in (
        (leadeventspb.HandoffSubmitted, _submitted),
        (leadeventspb.HandoffRevised, _revised),
        (leadeventspb.HandoffOffered, _offered),
        (leadeventspb.OfferEnded, _simply(FactKind.OFFER_ENDED)),
        (leadeventspb.HandoffAccepted, _accepted),
        (leadeventspb.HandoffRejected, _rejected),
        (leadeventspb.FollowUpLogged, _followed_up),
        (leadeventspb.HandoffQualified, _simply(FactKind.QUALIFIED)),
        (leadeventspb.HandoffDisqualified, _simply(FactKind.CLOSED)),
        (leadeventspb.HandoffRecycled, _recycled),
        (leadeventspb.HandoffConverted, _simply(FactKind.CONVERTED)),
        (leadeventspb.OpportunityClosed, _simply(FactKind.CLOSED)),
        (leadeventspb.HandoffVoided, _simply(FactKind.VOIDED)),
        (leadeventspb.HandoffTakenOver, _simply(FactKind.TAKEN_OVER)),
        (leadeventspb.RejectionDisputed, _disputed),
        (leadeventspb.DisputeResolved, _resolved),
        (leadeventspb.ReplyRecorded, _replied),
        (leadeventspb.OpportunityChanged, _simply(FactKind.REVIEWED)),
        (leadeventspb.OpportunityReopened, _simply(FactKind.REOPENED)),
        (leadeventspb.HandoffRequalified, _requalified),
        (leadeventspb.LeadsMerged, _merged),
        (leadeventspb.LeadsUnmerged, _unmerged),
    )
}

TOLD_TYPES: Final = frozenset(_READERS)
"""The payloads that tell something of a handoff."""
