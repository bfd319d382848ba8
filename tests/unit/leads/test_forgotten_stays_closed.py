"""What was closed when its person was forgotten is opened again by nobody: there is nobody to be reached."""

import pytest

from services.leads.domain.disputes import Answerer, Dispute
from services.leads.domain.errors import AssigneeUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.privacy import LeadErased
from services.leads.domain.states import HandoffState
from services.leads.domain.work_events import DisputeState
from services.leads.store.transaction import By
from services.leads.usecases.disputes import (
    DisputeRejection,
    ResolveDispute,
    dispute_rejections,
    resolve_disputes,
)
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.following import ReopenOpportunity, reopen_opportunities
from services.leads.usecases.offers import ReassignHandoff, reassign_handoffs
from services.leads.usecases.work import CloseOpportunity, Decide, close_opportunities, convert_handoffs
from tests.builders.desk import accepted, rejected
from tests.builders.leads import BEN, FORM, MANAGER, MARKETER, House, asked_by


async def forget(house: House, handoff: Handoff) -> None:
    subject = Subject(tenant="default", lead=handoff.id.lead)
    await house.one(erase_subjects, EraseSubject(subject=subject, by=By(FORM)))


async def disputed(house: House, handoff: Handoff) -> Dispute:
    request = DisputeRejection(handoff=handoff.id, asker=asked_by(MARKETER), evidence="crm/2")
    return await house.one(dispute_rejections, request)


async def answered(house: House, handoff: Handoff, state: DisputeState) -> Dispute:
    manager = Answerer(MANAGER, manages=True, leads=False)
    request = ResolveDispute(handoff=handoff.id, answerer=manager, by=By(MANAGER), state=state)
    return await house.one(resolve_disputes, request)


async def test_an_opportunity_of_somebody_forgotten_stays_closed() -> None:
    async with House() as house:
        handoff = await accepted(house)
        owner = asked_by(handoff.owner)
        opened = await house.one(convert_handoffs, Decide(handoff=handoff.id, asker=owner))
        known = {"tenant": "default", "opportunity_id": opened.opportunity_id, "asker": owner}
        close = CloseOpportunity(**known, state=OpportunityState.LOST, reason_code="PRICE")
        await house.one(close_opportunities, close)
        await forget(house, handoff)

        with pytest.raises(LeadErased):
            await house.one(reopen_opportunities, ReopenOpportunity(**known))
        assert (await house.handoff(handoff.id)).state is HandoffState.LOST


async def test_a_rejection_of_somebody_forgotten_may_be_upheld_and_offers_nobody_to_anybody() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)
        await forget(house, handoff)

        with pytest.raises(LeadErased):
            await answered(house, handoff, DisputeState.OVERTURNED)
        assert (await house.handoff(handoff.id)).state is HandoffState.REJECTED
        assert (await answered(house, handoff, DisputeState.UPHELD)).state is DisputeState.UPHELD


async def test_nobody_disputes_about_somebody_forgotten() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await forget(house, handoff)

        with pytest.raises(LeadErased):
            await disputed(house, handoff)


async def test_a_handoff_is_given_only_to_who_may_work_it() -> None:
    async with House() as house:
        handoff = await accepted(house)

        def to(assignee: str) -> ReassignHandoff:
            asker = asked_by(MANAGER)
            return ReassignHandoff(handoff=handoff.id, etag="", assignee=assignee, asker=asker)

        with pytest.raises(AssigneeUnknown):
            await house.one(reassign_handoffs, to(MARKETER))
        assert (await house.one(reassign_handoffs, to(BEN))).owner == BEN
        assert (await house.one(reassign_handoffs, to(MANAGER))).owner == MANAGER
