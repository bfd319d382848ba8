"""Say that two leads are two people, and take that back."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.leads.domain.distinctions import (
    Distinction,
    LeadsMergedAlready,
    LeadsNotDistinguished,
)
from services.leads.domain.errors import FieldInvalid, LeadUnknown
from services.leads.store.transaction import By, LeadTx
from services.leads.usecases.asking import each
from services.leads.wire.identity import distinguished_event, withdrawn_event
from smarketing import names


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoLeads:
    """Two leads of a tenant, and who speaks of them."""

    tenant: str
    lead: str
    other_lead: str
    by: By

    @property
    def name(self) -> str:
        """The first lead's resource name."""
        return names.LEAD.build(self.tenant, self.lead)

    @property
    def other_name(self) -> str:
        """The other's."""
        return names.LEAD.build(self.tenant, self.other_lead)


def distinguish_leads(tx: LeadTx, requests: Sequence[TwoLeads]) -> list[Distinction | Exception]:
    """Keep that the leads of each request are two people; what was said before stays as it was said."""

    def decide(request: TwoLeads) -> Distinction:
        for lead in (request.lead, request.other_lead):
            if not tx.subjects.exists((request.tenant, lead)):
                raise LeadUnknown(names.LEAD.build(request.tenant, lead))
        if request.lead == request.other_lead:
            raise FieldInvalid("other_lead", "another lead than the first")
        known = tx.merges.distinctions.said(request.tenant, request.lead, request.other_lead)
        if known is not None:
            return known
        if tx.merges.distinctions.are_one(request.tenant, request.lead, request.other_lead):
            raise LeadsMergedAlready(request.name, request.other_name, "are merged")
        one, other = sorted((request.lead, request.other_lead))
        said = Distinction(
            tenant=request.tenant, lead=one, other_lead=other, person=request.by.actor, decide_time=tx.now
        )
        tx.merges.distinctions.add(said)
        tx.tell_of_lead(request.by, distinguished_event(said))
        return said

    return each(requests, decide)


def withdraw_distinctions(tx: LeadTx, requests: Sequence[TwoLeads]) -> list[Distinction | Exception]:
    """Take back what was said of the leads of each request; the answer is what was said."""

    def decide(request: TwoLeads) -> Distinction:
        said = tx.merges.distinctions.said(request.tenant, request.lead, request.other_lead)
        if said is None:
            raise LeadsNotDistinguished(request.name, request.other_name, "are not said to be two people")
        tx.merges.distinctions.remove(said)
        tx.tell_of_lead(request.by, withdrawn_event(said))
        return said

    return each(requests, decide)
