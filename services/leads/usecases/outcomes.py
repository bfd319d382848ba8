"""Record what another system knows became of leads, and take back what should never have been."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.leads.domain import outcomes
from services.leads.domain.errors import (
    AssigneeUnknown,
    FieldInvalid,
    StateForbids,
    SubmissionUnknown,
    TimeInFuture,
)
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import FUTURE_TOLERANCE
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.plain_words import without_addresses
from services.leads.domain.reasons import ReasonUse, find_reason
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import Money
from services.leads.store.sealed_texts import EXTERNAL_ID, seal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each, known_handoff
from services.leads.usecases.following import go_on_after
from services.leads.usecases.merging import standing_for

_CLOSED_AS = {HandoffState.WON: OpportunityState.WON, HandoffState.LOST: OpportunityState.LOST}


class Recording(IntEnum):
    """What became of an outcome, numbered as in the contract."""

    RECORDED = 1
    DUPLICATE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOutcome:
    """A win or loss that another system tells."""

    tenant: str
    source_system: str
    external_id: str
    state: OpportunityState | None
    by: By
    occur_time: datetime | None = None
    amount: Money | None = None
    reason_code: str = ""
    deal_external_id: str = ""
    owner: str = ""
    segment: str = ""
    lead_type: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The submission that it is about."""
        return (self.tenant, self.source_system, self.external_id)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of it, and its handoff."""

    recording: Recording
    handoff: Handoff


@dataclass(frozen=True, slots=True)
class VoidHandoff:
    """A handoff that should never have been."""

    handoff: HandoffId
    reason_code: str
    by: By
    etag: str = ""


def record_outcomes(tx: LeadTx, requests: Sequence[RecordOutcome]) -> list[Recorded | Exception]:
    """Close each outcome's handoff as told, whatever states it skips; the same outcome again changes nothing.

    An outcome earlier than the first contact is kept as it is: who judges it has both instants.
    """

    def decide(request: RecordOutcome) -> Recorded:
        handoff = _handoff_of(tx, request)
        told = _checked(tx, request)
        known = tx.opportunity(request.tenant, handoff.opportunity.rpartition("/")[2])
        if handoff.state in _CLOSED_AS and known is not None:
            if _is_same(known, told):
                return Recorded(Recording.DUPLICATE, handoff)
            raise StateForbids(handoff.name, handoff.state.name, handoff.etag)
        return Recorded(Recording.RECORDED, _close(tx, request, handoff, told, known))

    tx.load_submissions(request.key for request in requests)
    ids = [tx.revisions(request.key) for request in requests]
    tx.load_handoffs(revisions[max(revisions)] for revisions in ids if revisions)
    _load_opportunities(tx, requests)
    return each(requests, decide)


def void_handoffs(tx: LeadTx, requests: Sequence[VoidHandoff]) -> list[Handoff | Exception]:
    """Say of the handoffs that they should never have been.

    An opportunity made of one stays as it is, and counts no more than the handoff.
    """

    def decide(request: VoidHandoff) -> Handoff:
        handoff = known_handoff(tx, request.handoff)
        handoff.check_etag(request.etag)
        reason = find_reason(ReasonUse.VOID, request.reason_code)
        voided, events = outcomes.void(handoff, reason.code, now=tx.now)
        tx.save_handoff(voided)
        tx.tell(request.by, *events)
        return voided

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


@dataclass(frozen=True, slots=True)
class _Told:
    """An outcome whose parts fit."""

    state: OpportunityState
    occur_time: datetime
    amount: Money | None
    reason_code: str
    owner: str


def _load_opportunities(tx: LeadTx, requests: Sequence[RecordOutcome]) -> None:
    names = {
        (request.tenant, handoff.opportunity.rpartition("/")[2])
        for request in requests
        if (revisions := tx.revisions(request.key))
        and (found := tx.handoff(revisions[max(revisions)])) is not None
        and (handoff := standing_for(tx, found)).opportunity
    }
    tx.load_opportunities(names)


def _handoff_of(tx: LeadTx, request: RecordOutcome) -> Handoff:
    tx.directory(request.tenant)
    revisions = tx.revisions(request.key)
    if not revisions:
        raise SubmissionUnknown(f"{request.source_system}/{request.external_id}")
    return standing_for(tx, known_handoff(tx, revisions[max(revisions)]))


def _checked(tx: LeadTx, request: RecordOutcome) -> _Told:
    if request.state not in {OpportunityState.WON, OpportunityState.LOST}:
        raise FieldInvalid("state", "WON or LOST")
    if request.occur_time is None:
        raise FieldInvalid("occur_time", "when it was won or lost")
    if request.occur_time > tx.now + FUTURE_TOLERANCE:
        raise TimeInFuture("occur_time", "an instant at most 60 s ahead of this server's clock")
    if request.amount is not None and not (request.amount.is_sound and request.amount.minor_units >= 0):
        raise FieldInvalid("amount", "an ISO 4217 code and zero or more of its minor unit")
    if request.reason_code and request.state is OpportunityState.LOST:
        codes = tx.work.playbook(request.tenant).reason_codes
        find_reason(ReasonUse.LOSE, request.reason_code, among=codes)
    if request.owner and tx.directory(request.tenant).person(request.owner) is None:
        raise AssigneeUnknown("owner", "a person of the directory, or empty")
    # Only of a loss is it one of the tenant's codes.
    reason_code = without_addresses(request.reason_code)
    return _Told(request.state, request.occur_time, request.amount, reason_code, request.owner)


def _is_same(known: Opportunity, told: _Told) -> bool:
    amount = told.amount or known.amount
    return (known.state, known.close_time, known.amount) == (told.state, told.occur_time, amount)


def _made_of(tx: LeadTx, request: RecordOutcome, handoff: Handoff, told: _Told) -> Opportunity:
    made = Opportunity(
        tenant=request.tenant,
        opportunity_id=tx.new_id(),
        handoff=handoff.id,
        owner=handoff.owner or told.owner,
        create_time=told.occur_time,
        external_id=request.deal_external_id,
    )
    return seal(tx.people, handoff.id[:2], made, EXTERNAL_ID)


def _close(
    tx: LeadTx, request: RecordOutcome, handoff: Handoff, told: _Told, known: Opportunity | None
) -> Handoff:
    opportunity = known or _made_of(tx, request, handoff, told)
    closed = opportunity.close(
        told.state, at=told.occur_time, amount=told.amount, reason_code=told.reason_code
    )
    before = handoff
    if known is None:
        handoff, converted = outcomes.convert(
            handoff, opportunity, at=told.occur_time, now=tx.now, historical=before.historical
        )
        tx.tell(request.by, *converted)
        tx.add_opportunity(closed)
    ended, event = outcomes.close(
        handoff,
        closed,
        now=tx.now,
        historical=before.historical,
        segment=tx.work.playbook(request.tenant).vocabulary.segment_of(without_addresses(request.segment)),
        lead_type=without_addresses(request.lead_type),
    )
    tx.save_opportunity(closed)
    tx.save_handoff(ended)
    tx.tell(request.by, event)
    go_on_after(tx, request.by, ended)
    return ended
