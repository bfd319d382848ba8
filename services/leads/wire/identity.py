"""Who is who: domain → protobuf, and the tenant's rules both ways."""

from collections.abc import Sequence

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.merging import LeadMerge
from services.leads.wire.values import put_instant
from smarketing import names
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import identity_pb2 as identitypb


def merge_message(merge: LeadMerge) -> identitypb.LeadMerge:
    """Return a merge as its message."""
    message = identitypb.LeadMerge(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        merged_handoffs=_merged(merge),
    )
    put_instant(message.merge_time, merge.merge_time)
    if merge.unmerge_time is not None:
        put_instant(message.unmerge_time, merge.unmerge_time)
    return message


def merged_event(merge: LeadMerge) -> leadeventspb.LeadsMerged:
    """Return the payload that says that two leads are one person."""
    return leadeventspb.LeadsMerged(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        merged_handoffs=_merged(merge),
    )


def unmerged_event(merge: LeadMerge, restored: Sequence[Handoff]) -> leadeventspb.LeadsUnmerged:
    """Return the payload that says that they are two after all."""
    return leadeventspb.LeadsUnmerged(
        lead=names.LEAD.build(merge.tenant, merge.lead),
        merged_lead=names.LEAD.build(merge.tenant, merge.merged_lead),
        handoff=_kept(merge),
        restored_handoffs=[
            leadeventspb.LeadsUnmerged.RestoredHandoff(
                handoff=each.name,
                state=int(each.state),  # type: ignore[arg-type]  # enums are numbers on the wire
                owner=each.owner,
                queue=each.queue,
                follow_up_count=each.follow_up_count,
            )
            for each in restored
        ],
    )


def _kept(merge: LeadMerge) -> str:
    return HandoffId(merge.tenant, merge.lead, merge.number).name if merge.number else ""


def _merged(merge: LeadMerge) -> list[str]:
    return [HandoffId(merge.tenant, merge.merged_lead, number).name for number in merge.merged_numbers]
