"""Disputes: domain → protobuf."""

from services.leads.domain.disputes import Dispute
from services.leads.wire.values import put_instant
from smarketing.api.leads.v1 import disputes_pb2 as disputespb


def dispute_message(dispute: Dispute) -> disputespb.Dispute:
    """Return a dispute as its resource."""
    message = disputespb.Dispute(
        name=dispute.name,
        etag=dispute.etag,
        state=int(dispute.state),  # type: ignore[arg-type]  # enums are numbers on the wire
        reason_code=dispute.reason_code,
        person=dispute.person,
        evidence=dispute.evidence,
        rejecting_team=dispute.rejecting_team,
        resolver=dispute.resolver,
    )
    put_instant(message.dispute_time, dispute.dispute_time)
    put_instant(message.answer_due_time, dispute.answer_due_time)
    if dispute.resolve_time is not None:
        put_instant(message.resolve_time, dispute.resolve_time)
    return message
