"""A recycled lead qualifies again, a win goes on, an opportunity is reopened; reasons are the tenant's."""

from datetime import timedelta

import pytest

from services.leads.domain.directory import Party
from services.leads.domain.errors import EvidenceRequired, ReasonCodeUnknown, StateForbids
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import History
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.reasons import ReasonCode, ReasonUse
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import Money, SourceChannel
from services.leads.usecases.following import ReopenOpportunity, reopen_opportunities
from services.leads.usecases.offers import reject_offers
from services.leads.usecases.submit import Outcome
from services.leads.usecases.work import (
    CloseOpportunity,
    Decide,
    close_opportunities,
    convert_handoffs,
    disqualify_handoffs,
    recycle_handoffs,
)
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.desk import accepted, an_answer, kinds_told, told, with_playbook
from tests.builders.leads import ANNA, NOON, QUEUE, House, a_submission, asked_by

UNTIL = NOON + timedelta(days=90)
OWN_CODE = ReasonCode("WRONG_INDUSTRY", ReasonUse.DISQUALIFY, Party.MARKETING, True, "Not whom we serve")


async def closed(
    house: House, handoff: Handoff, state: OpportunityState = OpportunityState.WON
) -> Opportunity:
    opportunity = await house.one(convert_handoffs, Decide(handoff=handoff.id, asker=asked_by(ANNA)))
    request = CloseOpportunity(
        tenant="default",
        opportunity_id=opportunity.opportunity_id,
        asker=asked_by(ANNA),
        state=state,
        amount=Money("EUR", 5_000),
        reason_code="" if state is OpportunityState.WON else "PRICE",
    )
    return await house.one(close_opportunities, request)


async def recycled(house: House) -> Handoff:
    handoff = await accepted(house)
    request = Decide(
        handoff=handoff.id, asker=asked_by(ANNA), reason_code="NOT_NOW", recycle_until_time=UNTIL
    )
    return await house.one(recycle_handoffs, request)


async def test_a_recycled_lead_that_qualifies_again_is_a_new_handoff_that_names_the_old_one() -> None:
    async with House() as house:
        old = await recycled(house)
        house.later(hours=24 * 60)

        [again] = await house.submit(a_submission(2, contact=a_submission(1).contact))

        assert again.outcome is Outcome.CREATED
        assert again.handoff.id == HandoffId("default", old.id.lead, 2)
        assert (await house.handoff(again.handoff.id)).previous == old.id
        [event] = await told(house, again.handoff.id, leadeventspb.HandoffRequalified)
        assert event.previous_handoff == old.name
        assert event.recycle_until_time.ToDatetime() == UNTIL.replace(tzinfo=None)
        assert (await house.handoff(old.id)).state is HandoffState.RECYCLED


async def test_what_follows_upon_another_end_names_no_handoff_before_it() -> None:
    async with House() as house:
        handoff = await accepted(house)
        await house.one(
            disqualify_handoffs, Decide(handoff=handoff.id, asker=asked_by(ANNA), reason_code="NO_NEED")
        )

        [again] = await house.submit(a_submission(2, contact=a_submission(1).contact))

        assert (await house.handoff(again.handoff.id)).previous is None


async def test_a_win_goes_on_in_the_queue_that_the_playbook_names_once() -> None:
    async with House() as house:
        await with_playbook(house, after_win_queue=QUEUE, after_win_lead_type="onboarding")
        won = await accepted(house)

        await closed(house, won)

        following = HandoffId("default", won.id.lead, 2)
        handoff = await house.handoff(following)
        assert (handoff.state, handoff.queue, handoff.previous) == (HandoffState.OFFERED, QUEUE, won.id)
        assert handoff.qualification.lead_type == "onboarding"
        assert handoff.qualification.source_channel is SourceChannel.EXPANSION
        assert handoff.qualification.segment == "retail"
        assert await kinds_told(house, following) == [
            "HandoffSubmitted",
            "HandoffContinued",
            "HandoffOffered",
        ]


@pytest.mark.parametrize("state", [OpportunityState.WON, OpportunityState.LOST])
async def test_without_a_queue_for_it_a_win_ends_there_and_a_loss_always(state: OpportunityState) -> None:
    async with House() as house:
        if state is OpportunityState.LOST:
            await with_playbook(house, after_win_queue=QUEUE)
        handoff = await accepted(house)

        await closed(house, handoff, state)

        query = "SELECT count(*) FROM handoff"
        [(count,)] = await house.rows(lambda connection: connection.exec_driver_sql(query).all())
        assert count == 1


async def test_a_reopened_opportunity_is_open_with_its_handoff_and_can_end_again() -> None:
    async with House() as house:
        handoff = await accepted(house)
        lost = await closed(house, handoff, OpportunityState.LOST)
        reopening = ReopenOpportunity(
            tenant="default", opportunity_id=lost.opportunity_id, asker=asked_by(ANNA), etag=lost.etag
        )

        opened = await house.one(reopen_opportunities, reopening)

        again = await house.handoff(handoff.id)
        assert (opened.state, opened.close_time, opened.reason_code) == (OpportunityState.OPEN, None, "")
        assert (again.state, again.close_time, again.reason_code) == (HandoffState.CONVERTED, None, "")
        assert again.owner == ANNA
        [event] = await told(house, handoff.id, leadeventspb.OpportunityReopened)
        assert event.previous_close_time.ToDatetime() == NOON.replace(tzinfo=None)
        with pytest.raises(StateForbids):
            await house.one(
                reopen_opportunities,
                ReopenOpportunity(tenant="default", opportunity_id=lost.opportunity_id, asker=asked_by(ANNA)),
            )


async def test_a_tenants_own_codes_take_the_place_of_the_products_for_that_use_alone() -> None:
    async with House() as house:
        await with_playbook(house, own_reason_codes=(OWN_CODE,))
        handoff = await accepted(house)

        def disqualify(code: str, evidence: str = "") -> Decide:
            return Decide(handoff=handoff.id, asker=asked_by(ANNA), reason_code=code, evidence=evidence)

        with pytest.raises(ReasonCodeUnknown):
            await house.one(disqualify_handoffs, disqualify("NO_NEED"))
        with pytest.raises(EvidenceRequired):
            await house.one(disqualify_handoffs, disqualify("WRONG_INDUSTRY"))
        done = await house.one(disqualify_handoffs, disqualify("WRONG_INDUSTRY", "crm/3"))

        assert (done.reason_code, done.accountable_party) == ("WRONG_INDUSTRY", Party.MARKETING)
        [submitted] = await house.submit(a_submission(2))
        answer = an_answer(submitted.handoff, "tenants/default/people/ben")
        object.__setattr__(answer, "reason_code", "NO_CAPACITY")
        refused = await house.one(reject_offers, answer)
        assert refused.accountable_party is Party.SALES


async def test_history_is_archived_without_following_upon_what_was_recycled() -> None:
    async with House() as house:
        await recycled(house)

        [old] = await house.submit(a_submission(2, contact=a_submission(1).contact, history=History()))

        assert old.handoff.archived
        assert old.handoff.previous is None
