"""What becomes of a handoff: it is qualified, given up, given back, converted, closed or void."""

from dataclasses import replace
from datetime import datetime

from services.leads.domain import events
from services.leads.domain.events import HandoffEvent
from services.leads.domain.handoff import Handoff, because
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.reasons import ReasonCode
from services.leads.domain.states import UNDECIDED_STATES, HandoffState


def qualify(handoff: Handoff, person: str, *, now: datetime) -> tuple[Handoff, events.HandoffQualified]:
    """Call it sales-qualified.

    Raises:
        StateForbids: nobody owns it, or it is qualified or closed.
    """
    handoff.must_be(handoff.state in {HandoffState.ACCEPTED, HandoffState.WORKING})
    qualified = handoff.step(now, state=HandoffState.QUALIFIED, archived=False)
    return qualified, events.HandoffQualified(handoff=handoff.id, occur_time=now, person=person)


def disqualify(
    handoff: Handoff, person: str, reason: ReasonCode, *, evidence: str, now: datetime
) -> tuple[Handoff, events.HandoffDisqualified]:
    """Say, after it was accepted, that nothing will come of it.

    Raises:
        StateForbids: nobody owns it, or it is converted or closed.
    """
    handoff.must_be(handoff.state in UNDECIDED_STATES)
    disqualified = handoff.closed(HandoffState.DISQUALIFIED, now, now, **because(reason), evidence=evidence)
    happened = events.HandoffDisqualified(
        handoff=handoff.id,
        occur_time=now,
        person=person,
        **because(reason),
        with_evidence=bool(evidence.strip()),
    )
    return disqualified, happened


def recycle(
    handoff: Handoff, person: str, reason: ReasonCode, *, until: datetime, now: datetime
) -> tuple[Handoff, events.HandoffRecycled]:
    """Give the lead back to marketing until an instant.

    Raises:
        StateForbids: nobody owns it, or it is converted or closed.
    """
    handoff.must_be(handoff.state in UNDECIDED_STATES)
    recycled = handoff.closed(HandoffState.RECYCLED, now, now, **because(reason), recycle_until_time=until)
    happened = events.HandoffRecycled(
        handoff=handoff.id,
        occur_time=now,
        person=person,
        **because(reason),
        recycle_until_time=until,
    )
    return recycled, happened


def convert(
    handoff: Handoff, opportunity: Opportunity, *, at: datetime, now: datetime, historical: bool = False
) -> tuple[Handoff, tuple[HandoffEvent, ...]]:
    """Make it an opportunity; the states it skips are credited by whoever counts.

    Raises:
        StateForbids: it is converted already, or closed.
    """
    handoff.must_be(handoff.is_open and handoff.state is not HandoffState.CONVERTED)
    before, happened = handoff.without_offer(now)
    converted = before.step(
        now,
        state=HandoffState.CONVERTED,
        opportunity=opportunity.name,
        owner=before.owner or opportunity.owner,
        queue="",
        archived=False,
    )
    made = events.HandoffConverted(
        handoff=handoff.id, occur_time=at, opportunity=opportunity, historical=historical
    )
    return converted, (*happened, made)


def close(
    handoff: Handoff,
    opportunity: Opportunity,
    *,
    now: datetime,
    historical: bool = False,
    segment: str = "",
    lead_type: str = "",
) -> tuple[Handoff, events.OpportunityClosed]:
    """End it as its opportunity ended.

    Raises:
        StateForbids: it has no open opportunity.
    """
    handoff.must_be(handoff.state is HandoffState.CONVERTED)
    at = opportunity.close_time or now
    won = opportunity.state is OpportunityState.WON
    told = replace(
        handoff.qualification,
        segment=segment or handoff.qualification.segment,
        lead_type=lead_type or handoff.qualification.lead_type,
    )
    closed = handoff.closed(
        HandoffState.WON if won else HandoffState.LOST,
        at,
        now,
        reason_code=opportunity.reason_code,
        qualification=told,
    )
    happened = events.OpportunityClosed(
        handoff=handoff.id,
        occur_time=at,
        opportunity=opportunity,
        historical=historical,
        segment=segment,
        lead_type=lead_type,
    )
    return closed, happened


def void(handoff: Handoff, reason_code: str, *, now: datetime) -> tuple[Handoff, tuple[HandoffEvent, ...]]:
    """Say that it should never have been.

    Raises:
        StateForbids: that was said before.
    """
    handoff.must_be(handoff.state is not HandoffState.VOID)
    before, happened = handoff.without_offer(now)
    voided = before.closed(HandoffState.VOID, now, now, reason_code=reason_code, accountable_party=None)
    return voided, (
        *happened,
        events.HandoffVoided(handoff=handoff.id, occur_time=now, reason_code=reason_code),
    )
