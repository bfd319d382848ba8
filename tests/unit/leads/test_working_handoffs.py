"""Follow-ups, decisions, opportunities and outcomes that other systems tell."""

from datetime import timedelta
from typing import Any

import pytest

from services.leads.domain.errors import (
    EtagStale,
    FieldInvalid,
    NotYourHandoff,
    ReasonCodeUnknown,
    StateForbids,
    SubmissionUnknown,
    TimeInFuture,
)
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import History, Qualification
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, Money
from services.leads.store.transaction import By
from services.leads.usecases.offers import AnswerOffer, accept_offers
from services.leads.usecases.outcomes import (
    Recording,
    RecordOutcome,
    VoidHandoff,
    record_outcomes,
    void_handoffs,
)
from services.leads.usecases.work import (
    CloseOpportunity,
    Decide,
    LogFollowUp,
    close_opportunities,
    convert_handoffs,
    disqualify_handoffs,
    log_follow_ups,
    qualify_handoffs,
    recycle_handoffs,
)
from tests.builders.leads import ANNA, BEN, DIALLER, FORM, MANAGER, NOON, House, a_submission, asked_by

EURO = Money("EUR", 120_000)


async def accepted(house: House) -> Handoff:
    [submitted] = await house.submit(a_submission())
    answer = AnswerOffer(handoff=submitted.handoff.id, offer=1, fencing_token=1, asker=asked_by(ANNA))
    return await house.one(accept_offers, answer)


def a_call(handoff: Handoff, principal: str = ANNA, **changes: Any) -> LogFollowUp:
    told = {"channel": FollowUpChannel.CALL, **changes}
    return LogFollowUp(handoff=handoff.id, asker=asked_by(principal), **told)


def a_decision(handoff: Handoff, principal: str = ANNA, **changes: Any) -> Decide:
    return Decide(handoff=handoff.id, asker=asked_by(principal), **changes)


async def test_a_follow_up_cannot_be_more_than_a_minute_in_the_future() -> None:
    async with House() as house:
        handoff = await accepted(house)

        with pytest.raises(TimeInFuture):
            await house.one(
                log_follow_ups, a_call(handoff, occur_time=NOON + timedelta(seconds=60, microseconds=1))
            )
        assert await house.handoff(handoff.id) == handoff
        ahead = a_call(handoff, occur_time=NOON + timedelta(seconds=60))
        assert (await house.one(log_follow_ups, ahead)).occur_time == NOON + timedelta(seconds=60)


async def test_what_the_channels_system_tells_twice_is_one_follow_up() -> None:
    async with House() as house:
        handoff = await accepted(house)
        call = a_call(handoff, DIALLER, grade=EvidenceGrade.CONFIRMED, external_id="call-7")

        first, twin = await house.all(log_follow_ups, call, call)
        again = await house.one(log_follow_ups, call)

        assert first == twin == again
        assert again.grade is EvidenceGrade.CONFIRMED
        assert (await house.handoff(handoff.id)).follow_up_count == 1


async def test_a_system_that_names_nobody_acts_for_the_owner() -> None:
    async with House() as house:
        handoff = await accepted(house)

        assert (await house.one(log_follow_ups, a_call(handoff, DIALLER))).person == ANNA


async def test_only_the_owner_or_a_manager_decides() -> None:
    async with House() as house:
        handoff = await accepted(house)

        with pytest.raises(NotYourHandoff):
            await house.one(qualify_handoffs, a_decision(handoff, BEN))
        assert (
            await house.one(qualify_handoffs, a_decision(handoff, MANAGER))
        ).state is HandoffState.QUALIFIED


async def test_disqualifying_wants_a_code_of_its_own_list() -> None:
    async with House() as house:
        handoff = await accepted(house)

        with pytest.raises(ReasonCodeUnknown):
            await house.one(disqualify_handoffs, a_decision(handoff, reason_code="WRONG_TERRITORY"))
        closed = await house.one(disqualify_handoffs, a_decision(handoff, reason_code="NO_NEED"))
        assert (closed.state, closed.close_time) == (HandoffState.DISQUALIFIED, NOON)


@pytest.mark.parametrize("until", [None, NOON, NOON + timedelta(days=5 * 366, seconds=1)])
async def test_recycling_wants_a_date_to_come_within_five_years(until: Any) -> None:
    async with House() as house:
        handoff = await accepted(house)
        decision = a_decision(handoff, reason_code="NOT_NOW", recycle_until_time=until)

        with pytest.raises(FieldInvalid):
            await house.one(recycle_handoffs, decision)


async def test_a_recycled_lead_that_comes_back_is_the_next_handoff() -> None:
    async with House() as house:
        handoff = await accepted(house)
        until = NOON + timedelta(days=90)
        await house.one(
            recycle_handoffs, a_decision(handoff, reason_code="NOT_NOW", recycle_until_time=until)
        )

        [back] = await house.submit(a_submission(2, contact=a_submission(1).contact))

        assert back.handoff.id == handoff.id._replace(number=2)


async def test_an_opportunity_is_won_with_an_amount_and_lost_with_a_reason() -> None:
    async with House() as house:
        handoff = await accepted(house)
        opportunity = await house.one(convert_handoffs, a_decision(handoff))

        def closing(state: OpportunityState | None, **changes: Any) -> CloseOpportunity:
            return CloseOpportunity(
                tenant="default",
                opportunity_id=opportunity.opportunity_id,
                asker=asked_by(ANNA),
                state=state,
                **changes,
            )

        for bad in (closing(None), closing(OpportunityState.WON), closing(OpportunityState.OPEN)):
            with pytest.raises(FieldInvalid):
                await house.one(close_opportunities, bad)
        with pytest.raises(ReasonCodeUnknown):
            await house.one(close_opportunities, closing(OpportunityState.LOST))
        won = await house.one(close_opportunities, closing(OpportunityState.WON, amount=EURO))
        assert (won.state, won.amount) == (OpportunityState.WON, EURO)
        assert (await house.handoff(handoff.id)).state is HandoffState.WON


def an_outcome(**changes: Any) -> RecordOutcome:
    told: dict[str, Any] = {
        "tenant": "default",
        "source_system": "website",
        "external_id": "form-1",
        "state": OpportunityState.WON,
        "by": By(FORM),
        "occur_time": NOON - timedelta(days=10),
        "amount": EURO,
    }
    return RecordOutcome(**{**told, **changes})


async def test_an_outcome_of_history_is_recorded_once_and_at_its_own_time() -> None:
    async with House() as house:
        await house.submit(a_submission(history=History()))

        first = await house.one(record_outcomes, an_outcome(segment="watches", lead_type="online"))
        again = await house.one(record_outcomes, an_outcome(segment="watches", lead_type="online"))

        assert [first.recording, again.recording] == [Recording.RECORDED, Recording.DUPLICATE]
        handoff = first.handoff
        assert (handoff.state, handoff.close_time, handoff.archived) == (
            HandoffState.WON,
            NOON - timedelta(days=10),
            False,
        )
        assert (handoff.qualification.segment, handoff.qualification.lead_type) == ("watches", "online")


async def test_an_outcome_earlier_than_the_first_contact_is_kept_as_it_is() -> None:
    async with House() as house:
        asked = NOON - timedelta(days=1)
        await house.submit(a_submission(history=History(), qualification=Qualification(inquire_time=asked)))

        recorded = await house.one(record_outcomes, an_outcome(occur_time=asked - timedelta(days=30)))

        assert recorded.handoff.close_time == asked - timedelta(days=30)
        assert recorded.handoff.submit_time == asked


async def test_an_outcome_skips_whatever_was_not_done_and_takes_an_open_offer_back() -> None:
    async with House() as house:
        await house.submit(a_submission())

        recorded = await house.one(record_outcomes, an_outcome(owner=BEN))

        handoff = await house.handoff(recorded.handoff.id)
        assert (handoff.state, handoff.open_offer, handoff.owner) == (HandoffState.WON, None, BEN)


async def test_another_outcome_of_what_is_closed_is_refused_and_not_forgotten_silently() -> None:
    async with House() as house:
        await house.submit(a_submission(history=History()))
        await house.one(record_outcomes, an_outcome())

        for other in ({"state": OpportunityState.LOST}, {"amount": Money("EUR", 1)}, {"occur_time": NOON}):
            with pytest.raises(StateForbids):
                await house.one(record_outcomes, an_outcome(**other))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"external_id": "never"}, SubmissionUnknown),
        ({"state": None}, FieldInvalid),
        ({"occur_time": None}, FieldInvalid),
        ({"occur_time": NOON + timedelta(minutes=2)}, TimeInFuture),
        ({"state": OpportunityState.LOST, "reason_code": "NONSENSE"}, ReasonCodeUnknown),
        ({"amount": Money("EUR", -1)}, FieldInvalid),
    ],
)
async def test_a_bad_outcome_is_refused_alone(changes: dict[str, Any], error: type[Exception]) -> None:
    async with House() as house:
        await house.submit(a_submission(history=History()))

        bad, good = await house.all(record_outcomes, an_outcome(**changes), an_outcome())

        assert isinstance(bad, error)
        assert not isinstance(good, Exception)


async def test_an_outcome_closes_the_opportunity_that_sales_had_made() -> None:
    async with House() as house:
        handoff = await accepted(house)
        made = await house.one(convert_handoffs, a_decision(handoff))

        recorded = await house.one(record_outcomes, an_outcome(occur_time=NOON))

        def load(tx: Any) -> Opportunity | None:
            tx.load_opportunities([("default", made.opportunity_id)])
            found: Opportunity | None = tx.opportunity("default", made.opportunity_id)
            return found

        closed = await house.store.sweep(load)
        assert recorded.handoff.opportunity == made.name
        assert closed is not None
        assert closed.state is OpportunityState.WON


async def test_what_should_never_have_been_is_void_and_gives_its_offer_up() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())

        voided = await house.one(void_handoffs, VoidHandoff(submitted.handoff.id, "TEST_RECORD", By(MANAGER)))

        assert (voided.state, voided.open_offer) == (HandoffState.VOID, None)


async def test_a_handoff_is_void_only_for_a_reason_that_we_know_and_as_the_caller_saw_it() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        handoff = submitted.handoff

        with pytest.raises(ReasonCodeUnknown, match="TEST_RECORD"):
            await house.one(void_handoffs, VoidHandoff(handoff.id, "NO_NEED", By(MANAGER)))
        with pytest.raises(EtagStale):
            await house.one(void_handoffs, VoidHandoff(handoff.id, "TEST_RECORD", By(MANAGER), etag="older"))
