"""Leads, handoffs, offers, follow-ups and opportunities: domain → protobuf, and submissions the other way."""

from operator import attrgetter
from typing import Any

from services.leads.domain.follow_up import FollowUp
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact, History, Qualification, Submission
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.plain_words import page_address, without_addresses
from services.leads.domain.privacy import LawfulBasis
from services.leads.domain.reasons import ReasonCode
from services.leads.domain.routing import Decision
from services.leads.domain.states import Offer
from services.leads.domain.terms import SourceChannel, channel_of
from services.leads.wire.scoring import put_rating, rating_in
from services.leads.wire.values import (
    instant_in,
    money_in,
    party_number,
    put_date,
    put_instant,
    put_money,
)
from smarketing.api.leads.v1 import leads_pb2 as leadspb

_CONTACT_TEXTS = ("given_name", "family_name", "email", "phone", "job_title", "company", "company_domain")


def submission_of(message: leadspb.Submission, tenant: str) -> Submission:
    """Return what a sender hands over, as it was spelled."""
    history = None
    if message.HasField("history"):
        told = message.history
        history = History(instant_in(told, "submit_time"), told.still_open)
    return Submission(
        tenant=tenant,
        source_system=message.source_system,
        external_id=message.external_id,
        revision=message.revision,
        contact=contact_of(message.contact),
        qualification=_said_of(message.qualification),
        history=history,
        lawful_basis=LawfulBasis(message.lawful_basis) if message.lawful_basis else None,
    )


def contact_of(message: leadspb.Contact) -> Contact:
    """Return personal data without blanks around it."""
    return Contact(
        given_name=message.given_name.strip(),
        family_name=message.family_name.strip(),
        email=message.email.strip(),
        phone=message.phone.strip(),
        job_title=message.job_title.strip(),
        company=message.company.strip(),
        company_domain=message.company_domain.strip().lower(),
        attributes=dict(message.attributes) if message.attributes else {},
    )


def contact_message(contact: Contact) -> leadspb.Contact:
    """Return personal data as protobuf, for whoever may see it."""
    message = leadspb.Contact(
        given_name=contact.given_name,
        family_name=contact.family_name,
        email=contact.email,
        phone=contact.phone,
        job_title=contact.job_title,
        company=contact.company,
        company_domain=contact.company_domain,
    )
    if contact.attributes:
        message.attributes.update(contact.attributes)
    return message


def contact_bytes(contact: Contact) -> bytes:
    """Return personal data as the bytes that are sealed."""
    return contact_message(contact).SerializeToString()


def contact_from_bytes(plain: bytes) -> Contact:
    """Return the personal data in unsealed bytes."""
    return contact_of(leadspb.Contact.FromString(plain))


def qualification_of(message: leadspb.Qualification) -> Qualification:
    """Return what marketing says; an untold channel is what the sender's word means.

    It goes into events, which are for ever: so nobody's address is left in it.
    """
    source = without_addresses(message.source) if message.HasField("source") else None
    told = message.source_channel
    campaign, landing_page, segment, region, product, lead_type, definition, language = _texts(message)
    return Qualification(
        source=source,
        source_channel=SourceChannel(told) if told else channel_of(source),
        campaign=campaign and without_addresses(campaign),
        landing_page=landing_page and page_address(landing_page),
        segment=segment and without_addresses(segment),
        region=region and without_addresses(region),
        product=product and without_addresses(product),
        lead_type=lead_type and without_addresses(lead_type),
        score=message.score if message.HasField("score") else None,
        value=money_in(message, "value"),
        inquire_time=instant_in(message, "inquire_time"),
        qualify_time=instant_in(message, "qualify_time"),
        definition=definition and without_addresses(definition),
        language=language and without_addresses(language.strip()),
        rating=rating_in(message),
    )


def _said_of(message: leadspb.Qualification) -> Qualification:
    """Return what a sender says: a rating is ours alone."""
    if message.HasField("rating"):
        message.ClearField("rating")
    return qualification_of(message)


def put_qualification(message: leadspb.Qualification, told: Qualification) -> None:
    """Fill in what marketing says; unset stays unset."""
    if told.source is not None:
        message.source = told.source
    message.source_channel = int(told.source_channel)  # type: ignore[assignment]  # enums are numbers on the wire
    for field, value in zip(_QUALIFICATION_TEXTS, _texts(told), strict=True):
        if value:
            setattr(message, field, value)
    if told.score is not None:
        message.score = told.score
    if told.value is not None:
        put_money(message.value, told.value)
    if told.inquire_time is not None:
        put_instant(message.inquire_time, told.inquire_time)
    if told.qualify_time is not None:
        put_instant(message.qualify_time, told.qualify_time)


_QUALIFICATION_TEXTS = (
    "campaign",
    "landing_page",
    "segment",
    "region",
    "product",
    "lead_type",
    "definition",
    "language",
)
_texts = attrgetter(*_QUALIFICATION_TEXTS)


def put_decision(message: leadspb.RoutingDecision, decision: Decision) -> None:
    """Fill in why this assignee."""
    message.routing_version = decision.routing_version
    message.rule_id = decision.rule_id
    message.candidates = decision.candidates
    message.ground = decision.ground.value
    message.account_owner = decision.account_owner
    for other in decision.passed_over:
        message.passed_over.add(person=other.person, reason=other.reason.value)


def put_offer(message: leadspb.Offer, offer: Offer, name: str) -> None:
    """Fill in an offer."""
    message.name = name
    message.fencing_token = offer.number
    message.assignee = offer.assignee
    message.state = int(offer.state)  # type: ignore[assignment]  # enums are numbers on the wire
    put_instant(message.offer_time, offer.offer_time)
    if offer.expire_time is not None:
        put_instant(message.expire_time, offer.expire_time)
    if offer.end_time is not None:
        put_instant(message.end_time, offer.end_time)
    put_decision(message.decision, offer.decision)


def handoff_message(handoff: Handoff) -> leadspb.Handoff:
    """Return a handoff as its resource."""
    message = leadspb.Handoff()
    put_handoff(message, handoff)
    return message


def put_handoff(message: leadspb.Handoff, handoff: Handoff) -> None:
    """Fill in a handoff where it stands, which saves a copy of what is only a part of an answer."""
    name = message.name = handoff.name
    message.etag = handoff.etag
    message.state = int(handoff.state)  # type: ignore[assignment]  # enums are numbers on the wire
    message.source_system = handoff.source_system
    for field, value in zip(_HANDOFF_SCALARS, _scalars(handoff), strict=True):
        if value:
            setattr(message, field, value)
    message.next_action = int(handoff.next_action)  # type: ignore[assignment]  # as above
    put_qualification(message.qualification, handoff.qualification)
    if handoff.qualification.rating is not None:
        put_rating(message.qualification.rating, handoff.id.tenant, handoff.qualification.rating)
    if handoff.offer is not None:
        put_offer(message.offer, handoff.offer, f"{name}/offers/{handoff.offer.number}")
    _put_instants(message, handoff)
    if handoff.reason_code:
        _put_reason(message, handoff)
    if handoff.previous is not None:
        message.previous_handoff = handoff.previous.name


def _put_instants(message: leadspb.Handoff, handoff: Handoff) -> None:
    put_instant(message.submit_time, handoff.submit_time)
    put_instant(message.update_time, handoff.update_time)
    for field, instant in zip(_HANDOFF_INSTANTS, _instants(handoff), strict=True):
        if instant is not None:
            put_instant(getattr(message, field), instant)


_HANDOFF_SCALARS = (
    "external_id",
    "revision",
    "owner",
    "queue",
    "follow_up_count",
    "archived",
    "historical",
    "opportunity",
)
_scalars = attrgetter(*_HANDOFF_SCALARS)
_HANDOFF_INSTANTS = (
    "accept_time",
    "first_follow_up_time",
    "close_time",
    "recycle_until_time",
    "next_due_time",
)
_instants = attrgetter(*_HANDOFF_INSTANTS)


def _put_reason(message: leadspb.Handoff, handoff: Handoff) -> None:
    message.reason_code = handoff.reason_code
    message.evidence = handoff.evidence
    if handoff.accountable_party is not None:
        message.accountable_party = party_number(handoff.accountable_party)


def follow_up_message(follow_up: FollowUp) -> leadspb.FollowUp:
    """Return a follow-up as its resource."""
    message = leadspb.FollowUp(
        name=follow_up.name,
        person=follow_up.person,
        channel=int(follow_up.channel),  # type: ignore[arg-type]  # enums are numbers on the wire
        grade=int(follow_up.grade),  # type: ignore[arg-type]  # as above
        contact=follow_up.contact,
        outcome=int(follow_up.outcome),  # type: ignore[arg-type]  # as above
        external_id=follow_up.external_id,
    )
    put_instant(message.occur_time, follow_up.occur_time)
    put_instant(message.record_time, follow_up.record_time)
    return message


def opportunity_message(opportunity: Opportunity) -> leadspb.Opportunity:
    """Return an opportunity as its resource."""
    message = leadspb.Opportunity(
        name=opportunity.name,
        etag=opportunity.etag,
        handoff=opportunity.handoff.name,
        state=int(opportunity.state),  # type: ignore[arg-type]  # enums are numbers on the wire
        owner=opportunity.owner,
        reason_code=opportunity.reason_code,
        stage=opportunity.stage,
    )
    put_opportunity_values(message, opportunity)
    put_instant(message.create_time, opportunity.create_time)
    if opportunity.close_time is not None:
        put_instant(message.close_time, opportunity.close_time)
    return message


def put_opportunity_values(message: Any, opportunity: Opportunity) -> None:
    """Fill in what it may be worth, how likely and when."""
    if opportunity.amount is not None:
        put_money(message.amount, opportunity.amount)
    if opportunity.probability_percent is not None:
        message.probability_percent = opportunity.probability_percent
    if opportunity.expected_close_date is not None:
        put_date(message.expected_close_date, opportunity.expected_close_date)


def reason_message(reason: ReasonCode) -> leadspb.ReasonCode:
    """Return a reason code as its resource."""
    return leadspb.ReasonCode(
        code=reason.code,
        use=int(reason.use),  # type: ignore[arg-type]  # enums are numbers on the wire
        accountable_party=party_number(reason.accountable_party),
        evidence_required=reason.evidence_required,
        description=reason.description,
    )
