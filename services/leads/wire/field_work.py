"""Replies, next steps, changes of opportunities, feedback and timelines: domain → protobuf."""

from typing import Any, Final

from services.leads.domain.feedback import Feedback
from services.leads.domain.next_steps import NextStep
from services.leads.domain.opportunity_changes import OpportunityChange
from services.leads.domain.replies import Reply
from services.leads.domain.timeline import Told
from services.leads.wire.values import put_date, put_instant, put_money
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import work_pb2 as workpb

_PERSONS: Final = ("owner", "assignee", "person", "previous_owner")
"""Fields of events that say whose it is, the first that is filled in."""


def reply_message(reply: Reply) -> workpb.Reply:
    """Return a reply as its resource."""
    message = workpb.Reply(
        name=reply.name,
        channel=int(reply.channel),  # type: ignore[arg-type]  # enums are numbers on the wire
        contact=reply.contact,
        external_id=reply.external_id,
    )
    put_instant(message.occur_time, reply.occur_time)
    put_instant(message.record_time, reply.record_time)
    return message


def next_step_message(step: NextStep) -> workpb.NextStep:
    """Return what to do next."""
    message = workpb.NextStep(
        handoff=step.handoff.name,
        action=int(step.action),  # type: ignore[arg-type]  # enums are numbers on the wire
        channel=int(step.channel or 0),  # type: ignore[arg-type]  # as above
        ground=int(step.ground),  # type: ignore[arg-type]  # as above
        person=step.person,
        reasons=[int(reason) for reason in step.reasons],  # type: ignore[misc]  # as above
    )
    put_instant(message.due_time, step.due_time)
    return message


def change_message(change: OpportunityChange) -> workpb.OpportunityChange:
    """Return an entry of an opportunity's history."""
    message = workpb.OpportunityChange(
        number=change.number,
        kind=int(change.kind),  # type: ignore[arg-type]  # enums are numbers on the wire
        person=change.person,
        stage=change.stage,
        external_id=change.external_id,
    )
    put_instant(message.occur_time, change.occur_time)
    put_instant(message.record_time, change.record_time)
    if change.amount is not None:
        put_money(message.amount, change.amount)
    if change.probability_percent is not None:
        message.probability_percent = change.probability_percent
    if change.expected_close_date is not None:
        put_date(message.expected_close_date, change.expected_close_date)
    return message


def feedback_message(feedback: Feedback, verbatim: str = "") -> workpb.Feedback:
    """Return feedback as its resource; the words only for whoever may see them."""
    message = workpb.Feedback(
        name=feedback.name,
        etag=feedback.etag,
        handoff=feedback.handoff.name,
        type=int(feedback.type),  # type: ignore[arg-type]  # enums are numbers on the wire
        theme=feedback.theme,
        verbatim=verbatim,
        competitor=feedback.competitor,
        person=feedback.person,
        status=int(feedback.status),  # type: ignore[arg-type]  # as above
        status_person=feedback.status_person,
    )
    put_instant(message.create_time, feedback.create_time)
    if feedback.price is not None:
        put_money(message.price, feedback.price)
    return message


def timeline_entry(told: Told) -> workpb.TimelineEntry:
    """Return an event as an entry of a timeline: what every kind of event says alike."""
    kind = told.payload_type.rpartition(".")[2]
    entry = workpb.TimelineEntry(handoff=told.handoff.name, type=kind, actor=told.actor)
    put_instant(entry.occur_time, told.occur_time)
    put_instant(entry.record_time, told.record_time)
    message_type = getattr(leadeventspb, kind, None)
    if message_type is not None:
        _fill(entry, message_type.FromString(told.payload))
    return entry


def _fill(entry: workpb.TimelineEntry, payload: Any) -> None:
    said = {field.name: value for field, value in payload.ListFields()}
    entry.person = next((said[name] for name in _PERSONS if said.get(name)), "")
    for name in ("channel", "contact", "reason_code", "opportunity", "outcome"):
        if name in said:
            setattr(entry, name, said[name])
    change = said.get("change")
    if change is not None:
        entry.stage = change.stage
        said.setdefault("amount", change.amount)
    for name in ("qualification", "amount", "score"):
        if name in said:
            getattr(entry, name).CopyFrom(said[name])
