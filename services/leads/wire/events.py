"""What happened to handoffs: domain events → the payloads of the log."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from services.leads.domain import events
from services.leads.wire.leads import put_decision, put_opportunity_values, put_qualification
from services.leads.wire.scoring import conformance_message, put_rating
from services.leads.wire.values import party_number, put_instant, put_money
from services.leads.wire.work_events import WORK_MESSAGES
from smarketing.api.leads.v1 import events_pb2 as leadeventspb


def event_message(event: events.HandoffEvent) -> Message:
    """Return the payload that says what happened."""
    return _MESSAGES[type(event)](event)


def _submitted(event: events.HandoffSubmitted) -> Message:
    message = leadeventspb.HandoffSubmitted(
        handoff=event.handoff.name,
        lead=event.handoff.lead_name,
        source_system=event.source_system,
        historical=event.historical,
        archived=event.archived,
    )
    _put_told(message, event)
    if event.conformance is not None:
        message.conformance.CopyFrom(conformance_message(event.handoff.tenant, event.conformance))
    return message


def _put_told(message: Any, event: Any) -> None:
    """Fill in what is said of the handoff, ours and the sender's."""
    put_qualification(message.qualification, event.qualification)
    if event.qualification.rating is not None:
        put_rating(message.qualification.rating, event.handoff.tenant, event.qualification.rating)


def _revised(event: events.HandoffRevised) -> Message:
    message = leadeventspb.HandoffRevised(handoff=event.handoff.name)
    _put_told(message, event)
    return message


def _joined(event: events.SubmissionJoined) -> Message:
    message = leadeventspb.SubmissionJoined(
        handoff=event.handoff.name,
        source_system=event.source_system,
        revision=event.revision,
        correction=event.correction,
        historical=event.historical,
    )
    put_qualification(message.qualification, event.qualification)
    return message


def _offered(event: events.HandoffOffered) -> Message:
    message = leadeventspb.HandoffOffered(
        handoff=event.handoff.name,
        offer=event.handoff.offer_name(event.offer),
        assignee=event.assignee,
        team=event.team,
        fencing_token=event.offer,
    )
    if event.expire_time is not None:
        put_instant(message.expire_time, event.expire_time)
    put_decision(message.decision, event.decision)
    return message


def _offer_ended(event: events.OfferClosed) -> Message:
    return leadeventspb.OfferEnded(
        handoff=event.handoff.name,
        offer=event.handoff.offer_name(event.offer),
        assignee=event.assignee,
        state=int(event.state),  # type: ignore[arg-type]  # enums are numbers on the wire
        reason_code=event.reason_code,
    )


def _accepted(event: events.HandoffAccepted) -> Message:
    return leadeventspb.HandoffAccepted(
        handoff=event.handoff.name,
        offer=event.handoff.offer_name(event.offer) if event.offer else "",
        owner=event.owner,
        team=event.team,
        manner=int(event.manner),  # type: ignore[arg-type]  # enums are numbers on the wire
        previous_owner=event.previous_owner,
    )


def _rejected(event: events.HandoffRejected) -> Message:
    return leadeventspb.HandoffRejected(
        handoff=event.handoff.name,
        offer=event.handoff.offer_name(event.offer),
        person=event.person,
        team=event.team,
        reason_code=event.reason_code,
        accountable_party=party_number(event.accountable_party),
        with_evidence=event.with_evidence,
    )


def _followed_up(event: events.FollowUpLogged) -> Message:
    return leadeventspb.FollowUpLogged(
        handoff=event.handoff.name,
        follow_up=f"{event.handoff.name}/followUps/{event.follow_up}",
        person=event.person,
        team=event.team,
        channel=int(event.channel),  # type: ignore[arg-type]  # enums are numbers on the wire
        grade=int(event.grade),  # type: ignore[arg-type]  # as above
        contact=event.contact,
        historical=event.historical,
        outcome=int(event.outcome),  # type: ignore[arg-type]  # as above
    )


def _qualified(event: events.HandoffQualified) -> Message:
    return leadeventspb.HandoffQualified(handoff=event.handoff.name, person=event.person)


def _disqualified(event: events.HandoffDisqualified) -> Message:
    return leadeventspb.HandoffDisqualified(
        handoff=event.handoff.name,
        person=event.person,
        reason_code=event.reason_code,
        accountable_party=party_number(event.accountable_party),
        with_evidence=event.with_evidence,
    )


def _recycled(event: events.HandoffRecycled) -> Message:
    message = leadeventspb.HandoffRecycled(
        handoff=event.handoff.name,
        person=event.person,
        reason_code=event.reason_code,
        accountable_party=party_number(event.accountable_party),
    )
    put_instant(message.recycle_until_time, event.recycle_until_time)
    return message


def _converted(event: events.HandoffConverted) -> Message:
    message = leadeventspb.HandoffConverted(
        handoff=event.handoff.name,
        opportunity=event.opportunity.name,
        owner=event.opportunity.owner,
        historical=event.historical,
    )
    put_opportunity_values(message, event.opportunity)
    return message


def _closed(event: events.OpportunityClosed) -> Message:
    opportunity = event.opportunity
    message = leadeventspb.OpportunityClosed(
        handoff=event.handoff.name,
        opportunity=opportunity.name,
        owner=opportunity.owner,
        state=int(opportunity.state),  # type: ignore[arg-type]  # enums are numbers on the wire
        reason_code=opportunity.reason_code,
        historical=event.historical,
        segment=event.segment,
        lead_type=event.lead_type,
    )
    if opportunity.amount is not None:
        put_money(message.amount, opportunity.amount)
    return message


def _voided(event: events.HandoffVoided) -> Message:
    return leadeventspb.HandoffVoided(handoff=event.handoff.name, reason_code=event.reason_code)


def _behaved(event: events.BehaviourRecorded) -> Message:
    return leadeventspb.BehaviourRecorded(
        handoff=event.handoff.name,
        kind=event.kind,  # type: ignore[arg-type]  # enums are numbers on the wire
        source_system=event.source_system,
        content=event.content,
        campaign=event.campaign,
        score=event.score,
    )


_MESSAGES: dict[type[events.HandoffEvent], Callable[[Any], Message]] = {
    events.HandoffSubmitted: _submitted,
    events.HandoffRevised: _revised,
    events.SubmissionJoined: _joined,
    events.HandoffOffered: _offered,
    events.OfferClosed: _offer_ended,
    events.HandoffAccepted: _accepted,
    events.HandoffRejected: _rejected,
    events.FollowUpLogged: _followed_up,
    events.HandoffQualified: _qualified,
    events.HandoffDisqualified: _disqualified,
    events.HandoffRecycled: _recycled,
    events.HandoffConverted: _converted,
    events.OpportunityClosed: _closed,
    events.HandoffVoided: _voided,
    events.BehaviourRecorded: _behaved,
    **WORK_MESSAGES,
}
