"""Reopen opportunities, and go on after a win."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.leads.domain.answers import check_may_decide
from services.leads.domain.errors import OpportunityUnknown
from services.leads.domain.events import HandoffSubmitted
from services.leads.domain.following import continued, reopen
from services.leads.domain.handoff import Handoff
from services.leads.domain.opportunity import Opportunity
from services.leads.domain.routing import A_PERSONS_CHOICE, Placement
from services.leads.domain.states import HandoffState
from services.leads.domain.work_events import HandoffContinued
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import Asker, check_not_forgotten, each, known_handoff


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenOpportunity:
    """An end to be undone."""

    tenant: str
    opportunity_id: str
    asker: Asker
    etag: str = ""


def reopen_opportunities(tx: LeadTx, requests: Sequence[ReopenOpportunity]) -> list[Opportunity | Exception]:
    """Undo the ends of opportunities, and of their handoffs."""

    def decide(request: ReopenOpportunity) -> Opportunity:
        ended = tx.opportunity(request.tenant, request.opportunity_id)
        if ended is None:
            raise OpportunityUnknown(f"tenants/{request.tenant}/opportunities/{request.opportunity_id}")
        ended.check_etag(request.etag)
        handoff = known_handoff(tx, ended.handoff)
        check_not_forgotten(tx, handoff.id)
        directory = tx.directory(request.tenant)
        person = request.asker.person_in(directory, otherwise=handoff.owner)
        check_may_decide(handoff, person, directory, manages=request.asker.manages)
        opened_handoff, opened, event = reopen(handoff, ended, owner=person, now=tx.now)
        tx.save_handoff(opened_handoff)
        tx.save_opportunity(opened)
        tx.tell(request.asker.by(person), event)
        return opened

    tx.load_opportunities((request.tenant, request.opportunity_id) for request in requests)
    known = (tx.opportunity(request.tenant, request.opportunity_id) for request in requests)
    tx.load_handoffs(opportunity.handoff for opportunity in known if opportunity is not None)
    return each(requests, decide)


def go_on_after(tx: LeadTx, by: By, won: Handoff) -> None:
    """Start the next handoff in the queue that the playbook names; a lead that is worked already goes on."""
    if won.state is not HandoffState.WON or won.historical:
        return
    playbook = tx.work.playbook(won.id.tenant)
    queue = tx.directory(won.id.tenant).queue(playbook.after_win_queue)
    if queue is None or queue.inactive:
        return
    lead = (won.id.tenant, won.id.lead)
    tx.load_handoffs_of([lead])
    handoffs = tx.handoffs_of(lead)
    if any(each.is_live or each.previous == won.id for each in handoffs):
        return
    number = max(each.id.number for each in handoffs) + 1
    begun = continued(won, number=number, lead_type=playbook.after_win_lead_type, now=tx.now)
    placement = Placement(queue.name, queue.team, A_PERSONS_CHOICE, is_queue=True)
    offered, event = begun.place(placement, expire_time=None, now=tx.now)
    tx.add_handoff(offered)
    tx.tell(
        by,
        HandoffSubmitted(
            handoff=begun.id,
            occur_time=tx.now,
            qualification=begun.qualification,
            source_system=begun.source_system,
        ),
        HandoffContinued(handoff=begun.id, occur_time=tx.now, previous=won.id, opportunity=won.opportunity),
        event,
    )
