"""Say that two leads are one person, and take it back; and find who a merged lead is known as."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.leads.domain.distinctions import LeadsDistinguished
from services.leads.domain.errors import FieldInvalid, LeadUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.merging import (
    LeadAlreadyMerged,
    LeadMerge,
    LeadNotMerged,
    count_again,
    handoff_that_goes_on,
    merge_away,
    next_in_place_of,
    restore,
)
from services.leads.domain.privacy import LeadErased
from services.leads.store.people import LeadKey
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.wire.identity import merged_event, unmerged_event
from smarketing import names


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeLeads:
    """Two leads of a tenant that are one person."""

    tenant: str
    lead: str
    merged_lead: str
    by: By


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmergeLeads:
    """A lead that is itself after all."""

    tenant: str
    merged_lead: str
    by: By


def merge_leads(tx: LeadTx, requests: Sequence[MergeLeads]) -> list[LeadMerge | Exception]:
    """Make the leads of each request one person.

    The merged lead's live handoff is void, its follow-ups count for the kept lead's, and whatever comes in
    for either finds the kept one. Personal data stay where they are, each sealed with its own lead's key.
    """

    def decide(request: MergeLeads) -> LeadMerge:
        if request.lead == request.merged_lead:
            raise FieldInvalid("merged_lead", "another lead than the one to keep")
        kept = _mergeable(tx, (request.tenant, request.lead))
        merged = _mergeable(tx, (request.tenant, request.merged_lead))
        _check_not_distinguished(tx, request)
        goes_on = handoff_that_goes_on(kept, merged)
        return _merged(tx, request, goes_on, merged)

    _load(tx, [(each.tenant, lead) for each in requests for lead in (each.lead, each.merged_lead)])
    return each(requests, decide)


def unmerge_leads(tx: LeadTx, requests: Sequence[UnmergeLeads]) -> list[LeadMerge | Exception]:
    """Let each lead stand for itself again, with every handoff where it stood before the merge."""

    def decide(request: UnmergeLeads) -> LeadMerge:
        lead = (request.tenant, request.merged_lead)
        handoffs = _known(tx, lead)
        merge = tx.merges.standing(*lead)
        if merge is None:
            raise LeadNotMerged(names.LEAD.build(*lead), "stands for itself")
        _check_not_erased(tx, lead)
        _check_not_erased(tx, (request.tenant, merge.lead))
        return _taken_apart(tx, request, merge, handoffs)

    _load(tx, [(each.tenant, each.merged_lead) for each in requests])
    return each(requests, decide)


def lead_known_as(tx: LeadTx, tenant: str, lead: str) -> str:
    """Return the lead as which a loaded one is known, itself unless it was merged; that one is loaded too."""
    while (handoffs := tx.handoffs_of((tenant, lead))) and handoffs[0].kept_lead:
        lead = handoffs[0].kept_lead
        tx.load_handoffs_of([(tenant, lead)])
    return lead


def standing_for(tx: LeadTx, handoff: Handoff) -> Handoff:
    """Return the handoff that goes on in place of a merged one; any other is its own."""
    while (further := next_in_place_of(handoff)) is not None:
        tx.load_handoffs([further])
        found = tx.handoff(further)
        if found is None:
            raise LookupError(f"{handoff.name} goes on as {further.name}, which is not there")
        handoff = found
    return handoff


def _merged(tx: LeadTx, request: MergeLeads, goes_on: Handoff | None, merged: Sequence[Handoff]) -> LeadMerge:
    changed: list[tuple[Handoff, Handoff]] = []
    for before in merged:
        after, events = merge_away(before, request.lead, goes_on, now=tx.now)
        tx.save_handoff(after)
        tx.tell(request.by, *events)
        if after.kept_number:
            changed.append((before, after))
    merge = LeadMerge(
        merge_id=tx.new_id(),
        tenant=request.tenant,
        lead=request.lead,
        merged_lead=request.merged_lead,
        number=goes_on.id.number if goes_on else 0,
        merged_numbers=tuple(after.id.number for _, after in changed),
        merge_time=tx.now,
    )
    tx.merges.add(merge, changed)
    if goes_on is not None:
        _count_again(tx, goes_on.id)
    tx.tell_of_lead(request.by, merged_event(merge))
    return merge


def _taken_apart(
    tx: LeadTx, request: UnmergeLeads, merge: LeadMerge, handoffs: Sequence[Handoff]
) -> LeadMerge:
    restored: list[HandoffId] = []
    for handoff in handoffs:
        before = tx.merges.before(merge, handoff)
        tx.save_handoff(restore(handoff, before, now=tx.now))
        if before is not None:
            restored.append(handoff.id)
            offer = before.open_offer
            if offer is not None and offer.expire_time is not None:
                tx.merges.restored_expiries.append(offer.expire_time)
    kept = [HandoffId(merge.tenant, merge.lead, merge.number)] if merge.number else []
    for handoff_id in (*restored, *kept):
        _count_again(tx, handoff_id)
    ended = tx.merges.end(merge, now=tx.now)
    stand = [found for each in restored if (found := tx.handoff(each)) is not None]
    tx.tell_of_lead(request.by, unmerged_event(ended, stand))
    return ended


def _count_again(tx: LeadTx, handoff_id: HandoffId) -> None:
    """Count the follow-ups of a handoff, with those of all for which it goes on, and so on upwards."""
    further: HandoffId | None = handoff_id
    while further is not None:
        tx.load_handoffs([further])
        handoff = tx.handoff(further)
        if handoff is None:
            raise LookupError(f"{further.name} is not there")
        counted = count_again(handoff, *tx.merges.follow_ups_of(_united(tx, further)), now=tx.now)
        tx.save_handoff(counted)
        further = next_in_place_of(counted)


def _united(tx: LeadTx, handoff_id: HandoffId) -> list[HandoffId]:
    found = [handoff_id]
    for one in found:
        found += [merged.id for merged in tx.merged_into(one)]
    return found


def _load(tx: LeadTx, leads: Sequence[LeadKey]) -> None:
    tx.load_handoffs_of(leads)
    tx.people.load(leads)


def _mergeable(tx: LeadTx, lead: LeadKey) -> list[Handoff]:
    """Return the handoffs of a lead that stands for itself."""
    handoffs = _known(tx, lead)
    _check_not_erased(tx, lead)
    if handoffs[0].kept_lead:
        known_as = names.LEAD.build(lead[0], lead_known_as(tx, *lead))
        raise LeadAlreadyMerged(names.LEAD.build(*lead), f"is known as {known_as} already")
    return handoffs


def _check_not_distinguished(tx: LeadTx, request: MergeLeads) -> None:
    """Refuse what somebody denied: who knows better takes that back first."""
    said = tx.merges.distinctions.between(request.tenant, request.lead, request.merged_lead)
    if said is not None:
        lead, other_lead = (names.LEAD.build(request.tenant, each) for each in (said.lead, said.other_lead))
        raise LeadsDistinguished(lead, other_lead, f"are two people, said {said.person}")


def _known(tx: LeadTx, lead: LeadKey) -> list[Handoff]:
    handoffs = tx.handoffs_of(lead)
    if not handoffs:
        raise LeadUnknown(names.LEAD.build(*lead))
    return handoffs


def _check_not_erased(tx: LeadTx, lead: LeadKey) -> None:
    if tx.people.is_erased(lead):
        raise LeadErased(names.LEAD.build(*lead))
