"""Start the next handoff of a recycled lead, when what it did since takes its score over the threshold."""

from collections.abc import Sequence
from dataclasses import replace

from services.leads.domain.events import HandoffSubmitted
from services.leads.domain.following import requalified, requalified_from
from services.leads.domain.scoring import Behaved
from services.leads.domain.work_events import HandoffRated, HandoffRequalified
from services.leads.store.people import LeadKey
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.quota import over_quota
from services.leads.usecases.routing import place
from services.leads.usecases.scoring import facts_of, verdict_of

__all__ = ["requalify"]


def requalify(tx: LeadTx, by: By, lead: LeadKey, behaved: Sequence[Behaved]) -> None:
    """Hand a loaded lead over again, if the tenant's model says so; `behaved` is what it just did.

    Nothing happens while a handoff of it is worked, or where the last one was not recycled.
    """
    model = tx.standard(lead[0]).model
    handoffs = tx.handoffs_of(lead)
    recycled = requalified_from(handoffs)
    if model is None or model.requalify_from_score is None or recycled is None or not behaved:
        return
    at = max(each.occur_time for each in behaved)
    number = max(each.id.number for each in handoffs) + 1
    begun = requalified(recycled, number=number, at=at, now=tx.now)
    facts = facts_of(tx, begun)
    since = recycled.close_time or recycled.update_time
    everything = tx.scoring.all_behaved(lead)
    late = [each for each in everything if each.occur_time > since]
    if model.rate(facts, late, as_of=tx.now).score < model.requalify_from_score:
        return
    if over_quota(tx, lead[0]) is not None:
        return
    # Only what is new brings it back; rated it is as any other, or the next pass would rate it otherwise.
    score = model.score(facts, everything, as_of=tx.now)
    begun = replace(begun, qualification=replace(begun.qualification, rating=score.rating))
    tx.tell(
        by,
        HandoffSubmitted(
            handoff=begun.id,
            occur_time=tx.now,
            qualification=begun.qualification,
            source_system=begun.source_system,
            conformance=verdict_of(tx, begun, facts),
        ),
        HandoffRated(handoff=begun.id, occur_time=tx.now, score=score, previous=None),
        HandoffRequalified(
            handoff=begun.id,
            occur_time=tx.now,
            previous=recycled.id,
            recycle_until_time=recycled.recycle_until_time,
        ),
    )
    tx.add_handoff(place(tx, by, begun))
