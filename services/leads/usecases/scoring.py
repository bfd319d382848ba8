"""Rate handoffs by the tenant's score model, and hold new ones against its MQL definition."""

from collections.abc import Iterable
from dataclasses import replace

from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, Qualification, Submission
from services.leads.domain.lead_fields import Facts
from services.leads.domain.mql_definition import Conformance
from services.leads.domain.scoring import LeadScore
from services.leads.domain.work_events import HandoffRated
from services.leads.store.people import LeadKey
from services.leads.store.scoring import NO_STANDARD, HeldKey
from services.leads.store.transaction import By, LeadTx
from smarketing.values import value

__all__ = ["Assessed", "assess", "facts_of", "joined", "load_behaviour", "rerate", "told_of", "verdict_of"]


@value(frozen=True, slots=True)
class Assessed:
    """What is said of a handoff that begins: the sender's words with our rating, and what both came from."""

    qualification: Qualification
    conformance: Conformance | None = None
    """Absent where no definition is in force, and for history: a definition of today says nothing of it."""
    score: LeadScore | None = None


def assess(tx: LeadTx, submission: Submission, lead: str) -> Assessed:
    """Return how a submission that begins a handoff of this lead scores.

    Behaviour that was held for the submission counts from now on.
    """
    standard = tx.standard(submission.tenant)
    if standard is NO_STANDARD:
        return Assessed(submission.qualification)
    tenant = submission.tenant
    if not tx.handoffs_of((tenant, lead)):
        tx.scoring.begin((tenant, lead))
    _release(tx, submission, lead)
    kept = tx.people.contact((tenant, lead))
    facts = Facts(
        submission.contact.completed_by(kept or Contact()),
        submission.qualification,
        submission.source_system,
        tx.directory(tenant).settings.currency_code,
    )
    behaved = tx.scoring.behaved((tenant, lead), held_key(tx, submission))
    score = conformance = None
    if standard.model is not None:
        score = standard.model.score(facts, behaved, as_of=tx.now)
    if standard.definition is not None and submission.history is None:
        conformance = standard.definition.verdict(standard.definition_model, facts, behaved, as_of=tx.now)
    told = submission.qualification
    return Assessed(told if score is None else replace(told, rating=score.rating), conformance, score)


def told_of(handoff: Handoff, assessed: Assessed) -> tuple[HandoffRated, ...]:
    """Return what to tell of a new handoff's score; nothing where no model is active."""
    if assessed.score is None:
        return ()
    return (
        HandoffRated(
            handoff=handoff.id, occur_time=assessed.score.score_time, score=assessed.score, previous=None
        ),
    )


def load_behaviour(tx: LeadTx, submissions: Iterable[Submission], leads: Iterable[LeadKey]) -> None:
    """Read what a batch's leads did, with a few statements; nothing for tenants that do not score."""
    scored = [each for each in submissions if tx.standard(each.tenant) is not NO_STANDARD]
    if scored:
        tenants = {each.tenant for each in scored}
        held = {held_key(tx, each) for each in scored}
        tx.scoring.load([lead for lead in leads if lead[0] in tenants], held)


def joined(tx: LeadTx, by: By, submission: Submission, handoff_id: HandoffId) -> Handoff:
    """Rate a loaded handoff again which another submission joined or corrected; return it as it is then."""
    if tx.standard(submission.tenant) is not NO_STANDARD:
        _release(tx, submission, handoff_id.lead)
    return rerate(tx, by, handoff_id)


def rerate(tx: LeadTx, by: By, handoff_id: HandoffId) -> Handoff:
    """Rate a loaded handoff again, after something became known; return it as it is then.

    It is told when score, band or model are others than before.
    """
    handoff = tx.handoff(handoff_id)
    if handoff is None:
        raise LookupError(f"{handoff_id.name} is not loaded")
    model = tx.standard(handoff_id.tenant).model
    if model is None or not handoff.is_live:
        return handoff
    lead = (handoff_id.tenant, handoff_id.lead)
    facts = facts_of(tx, handoff)
    behaved = tx.scoring.behaved(lead, (lead[0], handoff.source_system, handoff.external_digest))
    previous = handoff.qualification.rating
    if model.rate(facts, behaved, as_of=tx.now) == previous:
        return handoff
    score = model.score(facts, behaved, as_of=tx.now)
    rated = replace(handoff, qualification=replace(handoff.qualification, rating=score.rating))
    tx.save_handoff(rated)
    tx.tell(by, HandoffRated(handoff=handoff_id, occur_time=tx.now, score=score, previous=previous))
    return rated


def facts_of(tx: LeadTx, handoff: Handoff) -> Facts:
    """Return what is known of a handoff's lead."""
    tenant = handoff.id.tenant
    return Facts(
        tx.people.contact((tenant, handoff.id.lead)) or Contact(),
        handoff.qualification,
        handoff.source_system,
        tx.directory(tenant).settings.currency_code,
    )


def verdict_of(tx: LeadTx, handoff: Handoff, facts: Facts) -> Conformance | None:
    """Return whether a handoff that begins without a submission meets the definition; None without one."""
    standard = tx.standard(handoff.id.tenant)
    if standard.definition is None:
        return None
    behaved = tx.scoring.all_behaved((handoff.id.tenant, handoff.id.lead))
    return standard.definition.verdict(standard.definition_model, facts, behaved, as_of=tx.now)


def _release(tx: LeadTx, submission: Submission, lead: str) -> None:
    """Count as the lead's own what was told of it before this submission."""
    tx.scoring.release(held_key(tx, submission), (submission.tenant, lead))


def held_key(tx: LeadTx, submission: Submission) -> HeldKey:
    """Return under which key behaviour is held that came before its submission."""
    return (submission.tenant, submission.source_system, tx.external_digest(submission.key))
