"""What happened around handoffs: domain events → the payloads of the log."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from services.leads.domain import work_events as events
from services.leads.domain.events import HandoffEvent
from services.leads.wire.field_work import change_message
from services.leads.wire.scoring import put_rating, score_message
from services.leads.wire.values import party_number, put_instant, put_money
from smarketing.api.leads.v1 import events_pb2 as leadeventspb


def _taken_over(event: events.HandoffTakenOver) -> Message:
    return leadeventspb.HandoffTakenOver(
        handoff=event.handoff.name,
        previous_owner=event.previous_owner,
        clock=event.clock,
        rung_id=event.rung_id,
        takeover=event.takeover,
        exhausted=event.exhausted,
    )


def _disputed(event: events.RejectionDisputed) -> Message:
    message = leadeventspb.RejectionDisputed(
        handoff=event.handoff.name,
        dispute=f"{event.handoff.name}/dispute",
        person=event.person,
        reason_code=event.reason_code,
        rejecting_team=event.rejecting_team,
    )
    if event.accountable_party is not None:
        message.accountable_party = party_number(event.accountable_party)
    put_instant(message.answer_due_time, event.answer_due_time)
    return message


def _resolved(event: events.DisputeResolved) -> Message:
    message = leadeventspb.DisputeResolved(
        handoff=event.handoff.name,
        dispute=f"{event.handoff.name}/dispute",
        person=event.person,
        state=int(event.state),  # type: ignore[arg-type]  # enums are numbers on the wire
        by_leadership=event.by_leadership,
    )
    put_instant(message.dispute_time, event.dispute_time)
    return message


def _requalified(event: events.HandoffRequalified) -> Message:
    message = leadeventspb.HandoffRequalified(
        handoff=event.handoff.name, previous_handoff=event.previous.name
    )
    if event.recycle_until_time is not None:
        put_instant(message.recycle_until_time, event.recycle_until_time)
    return message


def _continued(event: events.HandoffContinued) -> Message:
    return leadeventspb.HandoffContinued(
        handoff=event.handoff.name, previous_handoff=event.previous.name, opportunity=event.opportunity
    )


def _reopened(event: events.OpportunityReopened) -> Message:
    message = leadeventspb.OpportunityReopened(
        handoff=event.handoff.name,
        opportunity=event.opportunity.name,
        owner=event.opportunity.owner,
        previous_state=int(event.previous_state),  # type: ignore[arg-type]  # enums are numbers on the wire
    )
    if event.previous_close_time is not None:
        put_instant(message.previous_close_time, event.previous_close_time)
    return message


def _replied(event: events.ReplyRecorded) -> Message:
    reply = event.reply
    return leadeventspb.ReplyRecorded(
        handoff=event.handoff.name,
        reply=reply.name,
        channel=int(reply.channel),  # type: ignore[arg-type]  # enums are numbers on the wire
        contact=reply.contact,
    )


def _action_set(event: events.NextActionSet) -> Message:
    said = event.said
    message = leadeventspb.NextActionSet(
        handoff=event.handoff.name,
        person=said.person,
        action=int(said.action),  # type: ignore[arg-type]  # enums are numbers on the wire
        channel=int(said.channel or 0),  # type: ignore[arg-type]  # as above
    )
    put_instant(message.due_time, said.due_time)
    return message


def _opportunity_changed(event: events.OpportunityChanged) -> Message:
    return leadeventspb.OpportunityChanged(
        handoff=event.handoff.name,
        opportunity=event.opportunity.name,
        owner=event.opportunity.owner,
        # The document's own id is nobody's business but the two sides'.
        change=change_message(replace(event.change, external_id="")),
        previous_stage=event.previous_stage,
    )


def _heard(event: events.FeedbackRecorded) -> Message:
    feedback = event.feedback
    message = leadeventspb.FeedbackRecorded(
        handoff=event.handoff.name,
        feedback=feedback.name,
        person=feedback.person,
        type=int(feedback.type),  # type: ignore[arg-type]  # enums are numbers on the wire
        theme=feedback.theme,
        competitor=feedback.competitor,
    )
    if feedback.price is not None:
        put_money(message.price, feedback.price)
    return message


def _status_set(event: events.FeedbackStatusChanged) -> Message:
    feedback = event.feedback
    message = leadeventspb.FeedbackStatusChanged(
        handoff=event.handoff.name,
        feedback=feedback.name,
        person=feedback.status_person,
        status=int(feedback.status),  # type: ignore[arg-type]  # enums are numbers on the wire
    )
    put_instant(message.create_time, feedback.create_time)
    return message


def _rated(event: events.HandoffRated) -> Message:
    tenant = event.handoff.tenant
    message = leadeventspb.HandoffRated(handoff=event.handoff.name, score=score_message(tenant, event.score))
    if event.previous is not None:
        put_rating(message.previous_rating, tenant, event.previous)
    return message


WORK_MESSAGES: dict[type[HandoffEvent], Callable[[Any], Message]] = {
    events.HandoffTakenOver: _taken_over,
    events.RejectionDisputed: _disputed,
    events.DisputeResolved: _resolved,
    events.HandoffRequalified: _requalified,
    events.HandoffContinued: _continued,
    events.OpportunityReopened: _reopened,
    events.ReplyRecorded: _replied,
    events.NextActionSet: _action_set,
    events.OpportunityChanged: _opportunity_changed,
    events.FeedbackRecorded: _heard,
    events.FeedbackStatusChanged: _status_set,
    events.HandoffRated: _rated,
}
