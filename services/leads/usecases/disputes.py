"""Dispute rejections, and answer disputes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.leads.domain import disputes
from services.leads.domain.disputes import Answerer, Dispute
from services.leads.domain.errors import DisputeUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.routing import A_PERSONS_CHOICE, Placement
from services.leads.domain.work_events import DisputeResolved, DisputeState
from services.leads.store.sealed_texts import EVIDENCE, seal
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import Asker, check_not_forgotten, each, known_handoff, team_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRejection:
    """Marketing's word against a rejection."""

    handoff: HandoffId
    asker: Asker
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveDispute:
    """An answer to a dispute."""

    handoff: HandoffId
    answerer: Answerer
    by: By
    state: DisputeState
    etag: str = ""


def dispute_rejections(tx: LeadTx, requests: Sequence[DisputeRejection]) -> list[Dispute | Exception]:
    """Record that rejections were wrong, in marketing's eyes."""

    def decide(request: DisputeRejection) -> Dispute:
        tenant = request.handoff.tenant
        check_not_forgotten(tx, request.handoff)
        made, event = disputes.dispute(
            known_handoff(tx, request.handoff),
            tx.work.dispute(request.handoff),
            tx.directory(tenant),
            tx.work.playbook(tenant),
            person=request.asker.principal,
            evidence=request.evidence,
            openings_of=tx.openings_of_team,
            now=tx.now,
        )
        made = seal(tx.people, request.handoff[:2], made, EVIDENCE)
        tx.work.add_dispute(made)
        tx.tell(request.asker.by(), event)
        return made

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def resolve_disputes(tx: LeadTx, requests: Sequence[ResolveDispute]) -> list[Dispute | Exception]:
    """Let the rejections stand, or offer the handoffs again."""

    def decide(request: ResolveDispute) -> Dispute:
        known = tx.work.dispute(request.handoff)
        if known is None:
            raise DisputeUnknown(f"{request.handoff.name}/dispute")
        answered, event = disputes.resolve(
            known,
            tx.directory(request.handoff.tenant),
            request.answerer,
            request.state,
            etag=request.etag,
            now=tx.now,
        )
        if answered.state is DisputeState.OVERTURNED:
            _offer_again(tx, request, answered, event)
        else:
            tx.tell(request.by, event)
        tx.work.save_dispute(answered)
        return answered

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def _offer_again(tx: LeadTx, request: ResolveDispute, answered: Dispute, event: DisputeResolved) -> None:
    check_not_forgotten(tx, request.handoff)
    handoff = known_handoff(tx, request.handoff)
    placement, expire_time = _where_to(tx, handoff, answered.rejecting_team)
    offered, events = disputes.undo_rejection(handoff, placement, expire_time=expire_time, now=tx.now)
    tx.save_handoff(offered)
    tx.tell(request.by, event, *events)


def _where_to(tx: LeadTx, handoff: Handoff, team: str) -> tuple[Placement | None, datetime | None]:
    """Return whom it is offered again: who works the lead by now, so that nobody is worked by two."""
    directory = tx.directory(handoff.id.tenant)
    lead = (handoff.id.tenant, handoff.id.lead)
    tx.load_handoffs_of([lead])
    owners = [each.owner for each in tx.handoffs_of(lead) if each.is_live and each.owner]
    if owners and directory.active_person(owners[-1]) is not None:
        placement = Placement(owners[-1], team_of(directory, owners[-1]), A_PERSONS_CHOICE, is_queue=False)
        return placement, tx.now + directory.routing.offer_duration
    return disputes.queue_of(directory, team), None
