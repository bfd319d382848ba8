"""Rows ⇄ domain values: one function per table and direction, columns in the order of the schema."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final

from services.leads.domain.claims import END_OF_TIME, NOT_WAITING, ClaimPlace
from services.leads.domain.directory import Party
from services.leads.domain.events import OfferState
from services.leads.domain.follow_up import FollowUp, FollowUpOutcome
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Qualification, Rating
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.states import HandoffState, Offer
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, Money, SourceChannel
from services.leads.store.decisions import decision_of, reasons_text

Row = Sequence[Any]

_MICROSECOND: Final = timedelta(microseconds=1)
_NO_RATING: Row = (None, None, None)
_NO_OFFER: Row = (0, "", None, None, None, None, 0, "", "")
_CHANNELS = {channel.value: channel for channel in SourceChannel}
_STATES = {state.value: state for state in HandoffState}


def handoff_row(handoff: Handoff, place: ClaimPlace) -> Row:
    """Return the values of a row of `handoff`, which stands at this place in its queue."""
    told = handoff.qualification
    value = told.value
    return (
        *handoff.id,
        handoff.version,
        int(handoff.state),
        handoff.source_system,
        handoff.external_digest,
        handoff.account or None,
        handoff.revision,
        handoff.submit_time,
        handoff.update_time,
        handoff.owner,
        handoff.queue,
        " ".join(handoff.tried),
        handoff.archived,
        handoff.historical,
        handoff.follow_up_count,
        handoff.accept_time,
        handoff.first_follow_up_time,
        handoff.close_time,
        handoff.recycle_until_time,
        handoff.reason_code,
        None if handoff.accountable_party is None else handoff.accountable_party.name,
        handoff.sealed_evidence or None,
        handoff.opportunity,
        handoff.kept_lead,
        handoff.kept_number,
        0 if handoff.previous is None else handoff.previous.number,
        told.source,
        int(told.source_channel),
        told.campaign,
        told.landing_page,
        told.segment,
        told.region,
        told.product,
        told.lead_type,
        told.definition,
        told.language,
        told.score,
        value.currency_code if value else None,
        value.minor_units if value else None,
        told.inquire_time,
        told.qualify_time,
        *(_NO_RATING if told.rating is None else (told.rating.score, told.rating.band, told.rating.version)),
        *(_offer_row(handoff.offer) if handoff.offer else _NO_OFFER),
        place.advance // _MICROSECOND,
        place.value,
        place.score,
        END_OF_TIME if place is NOT_WAITING else place.time(handoff.next_due_time),
        handoff.next_due_time,
    )


def _offer_row(offer: Offer) -> Row:
    decision = offer.decision
    return (
        offer.number,
        offer.assignee,
        int(offer.state),
        offer.offer_time,
        offer.expire_time,
        offer.end_time,
        decision.routing_version,
        decision.rule_id,
        reasons_text(decision),
    )


def handoff_of(row: Row) -> Handoff:
    """Return the handoff in a row of `handoff`."""
    (
        tenant,
        lead,
        number,
        version,
        state,
        source_system,
        external_digest,
        account,
        revision,
        submit_time,
        update_time,
        owner,
        queue,
        tried,
        archived,
        historical,
        follow_up_count,
        accept_time,
        first_follow_up_time,
        close_time,
        recycle_until_time,
        reason_code,
        party,
        evidence,
        opportunity,
        kept_lead,
        kept_number,
        previous_number,
        *told,
    ) = row
    return Handoff(
        id=HandoffId(tenant, lead, number),
        version=version,
        state=_STATES[state],
        source_system=source_system,
        external_digest=bytes(external_digest),
        account=bytes(account or b""),
        revision=revision,
        submit_time=submit_time,
        update_time=update_time,
        owner=owner,
        queue=queue,
        tried=tuple(tried.split()),
        archived=bool(archived),
        historical=bool(historical),
        follow_up_count=follow_up_count,
        accept_time=accept_time,
        first_follow_up_time=first_follow_up_time,
        close_time=close_time,
        recycle_until_time=recycle_until_time,
        reason_code=reason_code,
        accountable_party=None if party is None else Party[party],
        sealed_evidence=bytes(evidence or b""),
        opportunity=opportunity,
        kept_lead=kept_lead,
        kept_number=kept_number,
        previous=HandoffId(tenant, lead, previous_number) if previous_number else None,
        qualification=_qualification_of(told[:18]),
        offer=_offer_of(told[18:27]),
        next_due_time=told[-1],
    )


def _qualification_of(told: Row) -> Qualification:
    source, channel, campaign, landing_page, segment, region, product, lead_type, definition, language = told[
        :10
    ]
    score, currency_code, minor_units, inquire_time, qualify_time, rated, band, version = told[10:]
    return Qualification(
        source=source,
        source_channel=_CHANNELS[channel],
        campaign=campaign,
        landing_page=landing_page,
        segment=segment,
        region=region,
        product=product,
        lead_type=lead_type,
        definition=definition,
        language=language,
        score=score,
        value=None if currency_code is None else Money(currency_code, minor_units),
        inquire_time=inquire_time,
        qualify_time=qualify_time,
        rating=None if rated is None else Rating(rated, band, version),
    )


def _offer_of(told: Row) -> Offer | None:
    number, assignee, state, offer_time, expire_time, end_time, version, rule_id, passed_over = told
    if state is None:
        return None
    return Offer(
        number=number,
        assignee=assignee,
        state=OfferState(state),
        offer_time=offer_time,
        expire_time=expire_time,
        end_time=end_time,
        decision=decision_of(version, rule_id, passed_over),
    )


def follow_up_row(follow_up: FollowUp) -> Row:
    """Return the values of a row of `follow_up`."""
    return (
        *follow_up.handoff,
        follow_up.follow_up_id,
        follow_up.person,
        follow_up.channel.value,
        follow_up.occur_time,
        follow_up.record_time,
        follow_up.grade.value,
        follow_up.contact,
        follow_up.external_digest or None,
        follow_up.sealed_external_id or None,
        follow_up.outcome.value,
    )


def follow_up_of(row: Row) -> FollowUp:
    """Return the follow-up in a row of `follow_up`."""
    tenant, lead, number, follow_up_id, person, channel, occurred, recorded, *rest = row
    grade, contact, digest, sealed, outcome = rest
    return FollowUp(
        handoff=HandoffId(tenant, lead, number),
        follow_up_id=follow_up_id,
        person=person,
        channel=FollowUpChannel(channel),
        occur_time=occurred,
        record_time=recorded,
        grade=EvidenceGrade(grade),
        contact=bool(contact),
        outcome=FollowUpOutcome(outcome),
        external_digest=bytes(digest or b""),
        sealed_external_id=bytes(sealed or b""),
    )


def opportunity_row(opportunity: Opportunity) -> Row:
    """Return the values of a row of `opportunity`."""
    amount, day = opportunity.amount, opportunity.expected_close_date
    return (
        opportunity.tenant,
        opportunity.opportunity_id,
        opportunity.handoff.lead,
        opportunity.handoff.number,
        opportunity.version,
        opportunity.state.value,
        opportunity.owner,
        opportunity.create_time,
        opportunity.close_time,
        amount.currency_code if amount else None,
        amount.minor_units if amount else None,
        opportunity.probability_percent,
        day.isoformat() if day else None,
        opportunity.reason_code,
        opportunity.sealed_external_id or None,
        opportunity.stage,
    )


def opportunity_of(row: Row) -> Opportunity:
    """Return the opportunity in a row of `opportunity`."""
    tenant, opportunity_id, lead, number, version, state, owner, created, closed, *rest = row
    currency_code, minor_units, percent, day, reason_code, sealed, stage = rest
    return Opportunity(
        tenant=tenant,
        opportunity_id=opportunity_id,
        handoff=HandoffId(tenant, lead, number),
        version=version,
        state=OpportunityState(state),
        owner=owner,
        create_time=created,
        close_time=closed,
        amount=None if currency_code is None else Money(currency_code, minor_units),
        probability_percent=percent,
        expected_close_date=None if day is None else date.fromisoformat(day),
        reason_code=reason_code,
        sealed_external_id=bytes(sealed or b""),
        stage=stage,
    )
