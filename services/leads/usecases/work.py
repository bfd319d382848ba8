"""Work a handoff: log follow-ups, decide, convert, close."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from services.leads.domain import outcomes
from services.leads.domain.answers import check_may_decide
from services.leads.domain.directory import Directory
from services.leads.domain.errors import (
    FieldInvalid,
    NotYourHandoff,
    OpportunityUnknown,
    TimeInFuture,
)
from services.leads.domain.follow_up import FollowUp, FollowUpOutcome, grade_of
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import FUTURE_TOLERANCE
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.reasons import ReasonUse, find_reason
from services.leads.domain.replies import attempt_is_contact
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, Money
from services.leads.store.sealed_texts import EVIDENCE, EXTERNAL_ID, seal
from services.leads.store.transaction import LeadTx
from services.leads.usecases.asking import Asker, each, known_handoff, team_of
from services.leads.usecases.following import go_on_after
from services.leads.usecases.merging import standing_for

LONGEST_RECYCLE: Final = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFollowUp:
    """An attempt to reach the lead."""

    handoff: HandoffId
    asker: Asker
    channel: FollowUpChannel | None
    occur_time: datetime | None = None
    grade: EvidenceGrade | None = None
    contact: bool = False
    outcome: FollowUpOutcome = FollowUpOutcome.UNKNOWN
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """A decision about a handoff that somebody owns."""

    handoff: HandoffId
    asker: Asker
    etag: str = ""
    reason_code: str = ""
    evidence: str = ""
    recycle_until_time: datetime | None = None
    amount: Money | None = None
    probability_percent: int | None = None
    expected_close_date: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOpportunity:
    """The end of an opportunity."""

    tenant: str
    opportunity_id: str
    asker: Asker
    state: OpportunityState | None
    etag: str = ""
    amount: Money | None = None
    reason_code: str = ""
    occur_time: datetime | None = None


def log_follow_ups(tx: LeadTx, requests: Sequence[LogFollowUp]) -> list[FollowUp | Exception]:
    """Count attempts to reach leads; one that the channel's system told before is not counted again."""

    def decide(request: LogFollowUp) -> FollowUp:
        directory = tx.directory(request.handoff.tenant)
        told_of = known_handoff(tx, request.handoff)
        # Who called before they heard of a merge called the same person.
        handoff = standing_for(tx, told_of)
        if handoff is not told_of:
            tx.load_follow_ups([(handoff.id, request.external_id)])
        ids = (told_of.id, handoff.id)
        known = next((f for each in ids if (f := tx.follow_up(each, request.external_id))), None)
        if known is not None:
            return known
        person = request.asker.person_in(directory, otherwise=handoff.owner)
        follow_up = _follow_up(tx, request, handoff, person)
        team = team_of(directory, person)
        counted, events = handoff.follow_up(follow_up, team, now=tx.now)
        tx.save_handoff(counted)
        tx.add_follow_up(follow_up)
        tx.tell(request.asker.by(person), *events)
        return follow_up

    tx.load_handoffs(request.handoff for request in requests)
    tx.load_follow_ups([(request.handoff, request.external_id) for request in requests])
    tx.people.load(request.handoff[:2] for request in requests if request.external_id)
    return each(requests, decide)


def log_batches(
    tx: LeadTx, requests: Sequence[Sequence[LogFollowUp | Exception]]
) -> list[Sequence[FollowUp | Exception] | Exception]:
    """Count the attempts of each batch; what was refused before it came here stays refused, alone."""
    good = [one for batch in requests for one in batch if isinstance(one, LogFollowUp)]
    logged = iter(log_follow_ups(tx, good))
    return [[next(logged) if isinstance(one, LogFollowUp) else one for one in batch] for batch in requests]


def _follow_up(tx: LeadTx, request: LogFollowUp, handoff: Handoff, person: str) -> FollowUp:
    if request.channel is None:
        raise FieldInvalid("follow_up.channel", "the channel on which it was tried")
    occur_time = request.occur_time or tx.now
    _check_not_future("follow_up.occur_time", occur_time, tx.now)
    told = FollowUp(
        handoff=handoff.id,
        follow_up_id=tx.new_id(),
        person=person,
        channel=request.channel,
        occur_time=occur_time,
        record_time=tx.now,
        grade=grade_of(request.grade, by_system=request.asker.is_system),
        contact=attempt_is_contact(request.channel, request.contact),
        outcome=request.outcome,
        external_id=request.external_id,
        external_digest=tx.touch_digest(handoff.id, request.external_id),
    )
    return seal(tx.people, handoff.id[:2], told, EXTERNAL_ID)


def qualify_handoffs(tx: LeadTx, requests: Sequence[Decide]) -> list[Handoff | Exception]:
    """Call the handoffs sales-qualified."""

    def decide(request: Decide) -> Handoff:
        handoff, person = _decidable(tx, request)
        qualified, event = outcomes.qualify(handoff, person, now=tx.now)
        tx.save_handoff(qualified)
        tx.tell(request.asker.by(person), event)
        return qualified

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def disqualify_handoffs(tx: LeadTx, requests: Sequence[Decide]) -> list[Handoff | Exception]:
    """Say of the handoffs that nothing will come of them."""

    def decide(request: Decide) -> Handoff:
        handoff, person = _decidable(tx, request)
        codes = tx.work.playbook(request.handoff.tenant).reason_codes
        reason = find_reason(
            ReasonUse.DISQUALIFY, request.reason_code, evidence=request.evidence, among=codes
        )
        disqualified, event = outcomes.disqualify(
            handoff, person, reason, evidence=request.evidence, now=tx.now
        )
        disqualified = seal(tx.people, handoff.id[:2], disqualified, EVIDENCE)
        tx.save_handoff(disqualified)
        tx.tell(request.asker.by(person), event)
        return disqualified

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def recycle_handoffs(tx: LeadTx, requests: Sequence[Decide]) -> list[Handoff | Exception]:
    """Give the leads back to marketing until a date."""

    def decide(request: Decide) -> Handoff:
        handoff, person = _decidable(tx, request)
        codes = tx.work.playbook(request.handoff.tenant).reason_codes
        reason = find_reason(ReasonUse.RECYCLE, request.reason_code, among=codes)
        until = request.recycle_until_time
        if until is None or not tx.now < until <= tx.now + LONGEST_RECYCLE:
            raise FieldInvalid("recycle_until_time", "an instant in the future, at most five years from now")
        recycled, event = outcomes.recycle(handoff, person, reason, until=until, now=tx.now)
        tx.save_handoff(recycled)
        tx.tell(request.asker.by(person), event)
        return recycled

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def convert_handoffs(tx: LeadTx, requests: Sequence[Decide]) -> list[Opportunity | Exception]:
    """Make opportunities of the handoffs."""

    def decide(request: Decide) -> Opportunity:
        handoff, person = _decidable(tx, request)
        _check_worth(request.amount, request.probability_percent)
        opportunity = Opportunity(
            tenant=request.handoff.tenant,
            opportunity_id=tx.new_id(),
            handoff=request.handoff,
            owner=handoff.owner or person,
            create_time=tx.now,
            amount=request.amount,
            probability_percent=request.probability_percent,
            expected_close_date=request.expected_close_date,
        )
        converted, events = outcomes.convert(handoff, opportunity, at=tx.now, now=tx.now)
        tx.save_handoff(converted)
        tx.add_opportunity(opportunity)
        tx.tell(request.asker.by(person), *events)
        return opportunity

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def close_opportunities(tx: LeadTx, requests: Sequence[CloseOpportunity]) -> list[Opportunity | Exception]:
    """Win or lose the opportunities, and with them their handoffs."""

    def decide(request: CloseOpportunity) -> Opportunity:
        opportunity = tx.opportunity(request.tenant, request.opportunity_id)
        if opportunity is None:
            raise OpportunityUnknown(f"tenants/{request.tenant}/opportunities/{request.opportunity_id}")
        opportunity.check_etag(request.etag)
        handoff = known_handoff(tx, opportunity.handoff)
        person = _decider(tx.directory(request.tenant), handoff, request.asker)
        closed = _ended(tx, request, opportunity)
        ended, event = outcomes.close(handoff, closed, now=tx.now)
        tx.save_opportunity(closed)
        tx.save_handoff(ended)
        tx.tell(request.asker.by(person), event)
        go_on_after(tx, request.asker.by(person), ended)
        return closed

    tx.load_opportunities((request.tenant, request.opportunity_id) for request in requests)
    known = (tx.opportunity(request.tenant, request.opportunity_id) for request in requests)
    tx.load_handoffs(opportunity.handoff for opportunity in known if opportunity is not None)
    return each(requests, decide)


def _ended(tx: LeadTx, request: CloseOpportunity, opportunity: Opportunity) -> Opportunity:
    if request.state not in {OpportunityState.WON, OpportunityState.LOST}:
        raise FieldInvalid("state", "WON or LOST")
    at = request.occur_time or tx.now
    _check_not_future("occur_time", at, tx.now)
    _check_worth(request.amount, None)
    if request.state is OpportunityState.WON and request.amount is None and opportunity.amount is None:
        raise FieldInvalid("amount", "what it was sold for")
    reason_code = ""
    if request.state is OpportunityState.LOST:
        codes = tx.work.playbook(request.tenant).reason_codes
        reason_code = find_reason(ReasonUse.LOSE, request.reason_code, among=codes).code
    return opportunity.close(request.state, at=at, amount=request.amount, reason_code=reason_code)


def _decidable(tx: LeadTx, request: Decide) -> tuple[Handoff, str]:
    handoff = known_handoff(tx, request.handoff)
    handoff.check_etag(request.etag)
    return handoff, _decider(tx.directory(request.handoff.tenant), handoff, request.asker)


def _decider(directory: Directory, handoff: Handoff, asker: Asker) -> str:
    if asker.is_system and not asker.person and not handoff.owner:
        raise NotYourHandoff(handoff.name)
    person = asker.person_in(directory, otherwise=handoff.owner)
    check_may_decide(handoff, person, directory, manages=asker.manages)
    return person


def _check_not_future(field: str, instant: datetime, now: datetime) -> None:
    if instant > now + FUTURE_TOLERANCE:
        raise TimeInFuture(field, "an instant at most 60 s ahead of this server's clock")


def _check_worth(amount: Money | None, percent: int | None) -> None:
    if amount is not None and not (amount.is_sound and amount.minor_units >= 0):
        raise FieldInvalid("amount", "an ISO 4217 code and zero or more of its minor unit")
    if percent is not None and not 0 <= percent <= 100:
        raise FieldInvalid("probability_percent", "0 to 100")
