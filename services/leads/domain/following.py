"""What follows upon an end: an opportunity reopened, or the next handoff of a lead recycled or won."""

from dataclasses import replace
from datetime import datetime

from services.leads.domain.errors import StateForbids
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import SourceChannel
from services.leads.domain.work_events import OpportunityReopened

OWN_SOURCE_SYSTEM = "smarketing"
"""The sender of a handoff that this product starts itself."""


def reopen(
    handoff: Handoff, ended: Opportunity, *, owner: str, now: datetime
) -> tuple[Handoff, Opportunity, OpportunityReopened]:
    """Return the handoff and its opportunity open again; somebody without an owner's is the `owner`'s.

    Raises:
        StateForbids: it did not end with its opportunity.
    """
    if handoff.state not in {HandoffState.WON, HandoffState.LOST}:
        raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
    opened = replace(ended.reopen(), owner=ended.owner or handoff.owner or owner)
    converted = handoff.step(
        now,
        state=HandoffState.CONVERTED,
        close_time=None,
        reason_code="",
        owner=handoff.owner or opened.owner,
        archived=False,
    )
    happened = OpportunityReopened(
        handoff=handoff.id,
        occur_time=now,
        opportunity=opened,
        previous_state=ended.state,
        previous_close_time=ended.close_time,
    )
    return converted, opened, happened


def continued(won: Handoff, *, number: int, lead_type: str, now: datetime) -> Handoff:
    """Return the handoff with which account management or customer success go on after a win."""
    told = won.qualification
    return Handoff(
        id=HandoffId(won.id.tenant, won.id.lead, number),
        source_system=OWN_SOURCE_SYSTEM,
        submit_time=now,
        update_time=now,
        qualification=Qualification(
            source=OWN_SOURCE_SYSTEM,
            source_channel=SourceChannel.EXPANSION,
            campaign=told.campaign,
            segment=told.segment,
            region=told.region,
            product=told.product,
            lead_type=lead_type or told.lead_type,
        ),
        previous=won.id,
        external_id=won.opportunity.rpartition("/")[2],
    )


def requalified(recycled: Handoff, *, number: int, at: datetime, now: datetime) -> Handoff:
    """Return the next handoff of a recycled lead, which qualified again by what it did at an instant.

    Its buyer time counts from there; sender, score and what marketing claimed belong to the one before.
    """
    told = recycled.qualification
    return Handoff(
        id=HandoffId(recycled.id.tenant, recycled.id.lead, number),
        source_system=OWN_SOURCE_SYSTEM,
        account=recycled.account,
        submit_time=now,
        update_time=now,
        qualification=replace(
            told,
            source=OWN_SOURCE_SYSTEM,
            source_channel=SourceChannel.RE_ENGAGED,
            score=None,
            definition="",
            inquire_time=at,
            qualify_time=now,
            rating=None,
        ),
        previous=recycled.id,
    )


def requalified_from(handoffs: list[Handoff]) -> Handoff | None:
    """Return the handoff that a lead's next one follows: the latest of these, when it was recycled."""
    latest = max(handoffs, key=lambda each: each.id.number, default=None)
    return latest if latest is not None and latest.state is HandoffState.RECYCLED else None
