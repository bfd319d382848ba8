"""Answer offers: accept, decline, reject, claim; and give a handoff to somebody else."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.leads.domain.answers import answerable_offer, check_may_answer
from services.leads.domain.errors import AssigneeUnknown, NotYourOffer, QueueEmpty, StateForbids
from services.leads.domain.events import Manner, OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.reasons import ReasonUse, find_reason
from services.leads.domain.routing import A_PERSONS_CHOICE, Placement
from services.leads.domain.states import Offer
from services.leads.store.sealed_texts import EVIDENCE, seal
from services.leads.store.transaction import LeadTx
from services.leads.usecases.asking import Asker, each, known_handoff, team_of
from services.leads.usecases.routing import pass_on


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOffer:
    """An answer to an offer; `reason_code` and `evidence` are for saying no."""

    handoff: HandoffId
    offer: int
    fencing_token: int
    asker: Asker
    reason_code: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOffer:
    """Take the best of what waits in a queue."""

    tenant: str
    queue: str
    asker: Asker


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignHandoff:
    """Give a handoff to a person or queue."""

    handoff: HandoffId
    etag: str
    assignee: str
    asker: Asker


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer that may be given."""

    handoff: Handoff
    offer: Offer
    person: str
    team: str


def accept_offers(tx: LeadTx, requests: Sequence[AnswerOffer]) -> list[Handoff | Exception]:
    """Make the callers owners of what they were offered; of several, the first wins."""

    def decide(request: AnswerOffer) -> Handoff:
        answer = _answer(tx, request)
        accepted, event = answer.handoff.accept(
            answer.person, answer.team, Manner.ACCEPTED, at=tx.now, now=tx.now
        )
        tx.save_handoff(accepted)
        tx.tell(request.asker.by(answer.person), event)
        return accepted

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def decline_offers(tx: LeadTx, requests: Sequence[AnswerOffer]) -> list[Handoff | Exception]:
    """Offer the handoffs to the next."""

    def decide(request: AnswerOffer) -> Handoff:
        answer = _answer(tx, request)
        if request.reason_code:
            codes = tx.work.playbook(request.handoff.tenant).reason_codes
            find_reason(ReasonUse.DECLINE, request.reason_code, among=codes)
        if answer.offer.assignee != answer.person:
            # A queue is nobody's burden: whoever does not want to take from it leaves it alone.
            raise StateForbids(answer.handoff.name, answer.handoff.state.name, answer.handoff.etag)
        return pass_on(
            tx,
            request.asker.by(answer.person),
            answer.handoff,
            OfferState.DECLINED,
            at=tx.now,
            reason_code=request.reason_code,
        )

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def reject_offers(tx: LeadTx, requests: Sequence[AnswerOffer]) -> list[Handoff | Exception]:
    """Close the handoffs as no leads for sales, each with its reason."""

    def decide(request: AnswerOffer) -> Handoff:
        answer = _answer(tx, request)
        codes = tx.work.playbook(request.handoff.tenant).reason_codes
        reason = find_reason(ReasonUse.REJECT, request.reason_code, evidence=request.evidence, among=codes)
        rejected, event = answer.handoff.reject(
            answer.person, answer.team, reason, evidence=request.evidence, now=tx.now
        )
        rejected = seal(tx.people, request.handoff[:2], rejected, EVIDENCE)
        tx.save_handoff(rejected)
        tx.tell(request.asker.by(answer.person), event)
        return rejected

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def claim_offers(tx: LeadTx, requests: Sequence[ClaimOffer]) -> list[Handoff | Exception]:
    """Make the callers owners of the best that waits in their queues."""

    def decide(request: ClaimOffer) -> Handoff:
        directory = tx.directory(request.tenant)
        person = request.asker.person_in(directory)
        if not directory.may_take_from(request.queue, person):
            raise NotYourOffer(request.queue)
        waiting = tx.waiting_in(request.tenant, request.queue, limit=1)
        if not waiting:
            raise QueueEmpty(request.queue)
        team = team_of(directory, person)
        claimed, event = waiting[0].accept(person, team, Manner.CLAIMED, at=tx.now, now=tx.now)
        tx.save_handoff(claimed)
        tx.tell(request.asker.by(person), event)
        return claimed

    return each(requests, decide)


def reassign_handoffs(tx: LeadTx, requests: Sequence[ReassignHandoff]) -> list[Handoff | Exception]:
    """Give each handoff to its new owner or queue; an archived one is taken up."""

    def decide(request: ReassignHandoff) -> Handoff:
        handoff = known_handoff(tx, request.handoff)
        handoff.check_etag(request.etag)
        directory = tx.directory(request.handoff.tenant)
        queue = directory.queue(request.assignee)
        if queue is not None and not queue.inactive:
            placement = Placement(queue.name, queue.team, A_PERSONS_CHOICE, is_queue=True)
            given, events = handoff.release(placement, now=tx.now)
        elif directory.may_own(request.assignee):
            team = team_of(directory, request.assignee)
            given, events = handoff.assign(request.assignee, team, Manner.ASSIGNED, at=tx.now, now=tx.now)
        else:
            raise AssigneeUnknown("assignee", "a queue, or an active person with a role that owns handoffs")
        tx.save_handoff(given)
        tx.tell(request.asker.by(), *events)
        return given

    tx.load_handoffs(request.handoff for request in requests)
    return each(requests, decide)


def _answer(tx: LeadTx, request: AnswerOffer) -> _Answer:
    directory = tx.directory(request.handoff.tenant)
    handoff = known_handoff(tx, request.handoff)
    person = request.asker.person_in(directory)
    offer = answerable_offer(handoff, request.offer, request.fencing_token, now=tx.now)
    check_may_answer(handoff, offer, person, directory)
    return _Answer(handoff, offer, person, team_of(directory, person))
