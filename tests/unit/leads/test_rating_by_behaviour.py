"""What leads do counts for their scores once each, and may bring a recycled one back."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from services.leads.domain.errors import FieldInvalid, TenantUnknown
from services.leads.domain.handoff import Handoff
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact
from services.leads.domain.states import HandoffState
from services.leads.domain.terms import SourceChannel
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import MOST_BEHAVED, unpacked
from services.leads.store.transaction import By
from services.leads.usecases.behaviour import Heed, RecordedBehaviour, record_behaviours
from services.leads.usecases.erasing import EraseSubject, Subject, erase_subjects
from services.leads.usecases.offers import AnswerOffer, accept_offers
from services.leads.usecases.work import Decide, recycle_handoffs
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.leads import MARKETER, House, a_submission, asked_by
from tests.builders.rating import HOT, WARM, a_rescorer, behave, rating_of, told
from tests.builders.scoring import HALF_LIFE, a_definition, a_model, activate, put_in_force, told_visit


def kept_of_behaviour(connection: Connection) -> list[int]:
    """Return of how many leads behaviour is kept, and for how many submissions it is held."""
    tables = (SCHEMA.scoring.engagement, SCHEMA.scoring.held_engagement)
    return [connection.execute(select(func.count()).select_from(each)).scalar_one() for each in tables]


async def test_behaviour_counts_once_and_raises_the_score_of_what_is_open() -> None:
    async with House() as house:
        await activate(house, a_model())
        [submitted] = await house.submit(a_submission())

        first = await behave(house, told_visit(1), told_visit(2), told_visit(1))
        again = await behave(house, told_visit(2))

        assert [each.heed for each in first] == [Heed.RECORDED, Heed.RECORDED, Heed.DUPLICATE]
        assert [each.heed for each in again] == [Heed.DUPLICATE]
        assert await rating_of(house, submitted.handoff) == HOT
        assert len(await told(house, leadeventspb.BehaviourRecorded)) == 2
        _, raised = await told(house, leadeventspb.HandoffRated)
        assert (raised.previous_rating.band, raised.score.rating.band) == ("WARM", "HOT")
        assert raised.score.reasons[1].behaviour_count == 2


async def test_behaviour_that_moves_no_score_tells_of_none() -> None:
    async with House() as house:
        await activate(house, a_model())
        await house.submit(a_submission())

        await behave(house, told_visit(1))

        assert len(await told(house, leadeventspb.HandoffRated)) == 1


async def test_behaviour_before_its_submission_is_held_and_counts_from_then_on() -> None:
    async with House() as house:
        await activate(house, a_model())

        held = await behave(house, told_visit(1), told_visit(2), told_visit(2))
        [submitted] = await house.submit(a_submission())

        assert [each.heed for each in held] == [Heed.HELD, Heed.HELD, Heed.DUPLICATE]
        assert submitted.handoff.qualification.rating == HOT
        # It is the lead's own from now on, and not forgotten with what is held in vain.
        assert await house.rows(kept_of_behaviour) == [1, 0]


async def test_behaviour_held_for_a_submission_that_joins_another_s_handoff_counts_there() -> None:
    async with House() as house:
        await activate(house, a_model())
        kim = Contact(email="kim@example.com")
        [first] = await house.submit(a_submission(1, contact=kim))

        await behave(house, told_visit(1, of=2), told_visit(2, of=2))
        [second] = await house.submit(a_submission(2, contact=kim))

        assert second.handoff.id == first.handoff.id
        assert second.handoff.qualification.rating == HOT


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": None}, "kind"),
        ({"external_id": ""}, "external_id"),
        ({"behaviour_external_id": ""}, "behaviour_external_id"),
    ],
)
async def test_bad_behaviour_is_refused_alone(changes: dict[str, Any], field: str) -> None:
    async with House() as house:
        await house.submit(a_submission())

        refused, taken = await house.all(record_behaviours, told_visit(1, **changes), told_visit(2))

        assert isinstance(refused, FieldInvalid)
        assert refused.field == field
        assert isinstance(taken, RecordedBehaviour)


async def test_behaviour_of_a_tenant_or_system_that_cannot_be_is_refused() -> None:
    async with House() as house:
        elsewhere = replace(told_visit(), tenant="elsewhere")
        odd = replace(told_visit(), source_system="Not A System")

        unknown, invalid = await house.all(record_behaviours, elsewhere, odd)

        assert isinstance(unknown, TenantUnknown)
        assert isinstance(invalid, FieldInvalid)


async def test_only_the_newest_behaviour_of_a_lead_is_kept() -> None:
    async with House() as house:
        await house.submit(a_submission())
        more = MOST_BEHAVED + 10
        for number in range(more):
            house.later(seconds=1)
            await behave(house, told_visit(number))

        [kept] = await house.rows(
            lambda connection: connection.execute(text("SELECT behaved FROM engagement")).scalars().all()
        )

        behaved = unpacked(bytes(kept))
        assert len(behaved) == MOST_BEHAVED
        assert behaved[-1].occur_time == house.now


@pytest.mark.parametrize("rated", [True, False])
async def test_what_an_erased_person_did_is_forgotten_and_nothing_more_of_it_is_kept(*, rated: bool) -> None:
    async with House() as house:
        if rated:
            await activate(house, a_model())
        await behave(house, told_visit(1))
        [submitted] = await house.submit(a_submission())
        await behave(house, told_visit(2))

        subject = Subject(tenant="default", lead=submitted.handoff.id.lead)
        await house.one(erase_subjects, EraseSubject(subject=subject, by=By(MARKETER)))
        await behave(house, told_visit(3))

        assert await house.rows(kept_of_behaviour) == [0, 0]


async def test_what_is_held_for_any_submission_of_an_erased_person_is_forgotten() -> None:
    async with House() as house:
        kim = Contact(email="kim@example.com")
        [submitted] = await house.submit(a_submission(1, contact=kim))
        await behave(house, told_visit(1, of=2), told_visit(2, of=3))
        await house.submit(a_submission(2, contact=kim))

        subject = Subject(tenant="default", lead=submitted.handoff.id.lead)
        await house.one(erase_subjects, EraseSubject(subject=subject, by=By(MARKETER)))

        # What is left was told of somebody else.
        assert await house.rows(kept_of_behaviour) == [0, 1]


async def test_however_much_was_held_in_vain_is_forgotten_when_it_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.leads.store.scoring._PURGED_AT_ONCE", 2)
    async with House() as house:
        await behave(house, *(told_visit(number, of=number) for number in range(5)))
        house.later(days=91)

        await a_rescorer(house).purge_once()

        assert await house.rows(kept_of_behaviour) == [0, 0]


async def test_held_behaviour_of_whom_nothing_came_is_forgotten_in_time() -> None:
    async with House() as house:
        await behave(house, told_visit(1))
        early = await house.store.sweep(lambda tx: tx.scoring.purge_held())
        house.later(days=91)

        late = await house.store.sweep(lambda tx: tx.scoring.purge_held())

        assert (early, late) == (0, 1)


async def recycle(house: House, handoff: Handoff) -> None:
    assert handoff.offer is not None
    asker = asked_by(handoff.offer.assignee)
    number = handoff.offer.number
    await house.one(
        accept_offers,
        AnswerOffer(handoff=handoff.id, offer=number, fencing_token=number, asker=asker),
    )
    await house.one(
        recycle_handoffs,
        Decide(
            handoff=handoff.id,
            asker=asker,
            reason_code="NOT_NOW",
            recycle_until_time=house.now + HALF_LIFE,
        ),
    )


async def test_a_recycled_lead_that_does_enough_again_is_handed_over_again() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=80))
        await put_in_force(house, a_definition())
        [first] = await house.submit(a_submission())
        await recycle(house, first.handoff)
        house.later(days=1)

        await behave(house, told_visit(1))
        [_] = await told(house, leadeventspb.HandoffSubmitted)
        await behave(house, told_visit(2))

        _, second = await told(house, leadeventspb.HandoffSubmitted)
        [requalified] = await told(house, leadeventspb.HandoffRequalified)
        begun = await house.handoff(HandoffId("default", first.handoff.id.lead, 2))
        assert second.handoff == requalified.handoff == begun.name
        assert requalified.previous_handoff == first.handoff.name
        assert second.conformance.conforming
        assert begun.state is HandoffState.OFFERED
        assert begun.qualification.rating == HOT
        assert begun.qualification.source_channel is SourceChannel.RE_ENGAGED
        assert begun.qualification.inquire_time == house.now
        assert begun.qualification.score is None


async def test_a_lead_that_came_back_is_rated_by_all_it_did_as_the_next_pass_will() -> None:
    async with House() as house:
        # Forty points of fit alone come to the score that brings back; any new visit does.
        await activate(house, a_model(requalify_from_score=WARM.score))
        [first] = await house.submit(a_submission())
        await behave(house, told_visit(1), told_visit(2))
        house.later(minutes=1)
        await recycle(house, first.handoff)
        house.later(minutes=1)

        await behave(house, told_visit(3))

        begun = await house.handoff(HandoffId("default", first.handoff.id.lead, 2))
        assert begun.qualification.rating == HOT
        await a_rescorer(house).run_once()
        assert await rating_of(house, begun) == HOT
        assert await told(house, leadeventspb.HandoffsRerated) == []


async def test_what_sales_knew_when_it_recycled_a_lead_brings_nobody_back() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=80))
        [first] = await house.submit(a_submission())
        await behave(house, told_visit(1), told_visit(2))
        house.later(minutes=1)
        await recycle(house, first.handoff)
        house.later(minutes=1)

        await behave(house, told_visit(3))

        assert len(await told(house, leadeventspb.HandoffSubmitted)) == 1


async def test_a_lead_that_was_not_recycled_or_has_no_threshold_is_not_handed_over_again() -> None:
    async with House() as house:
        await activate(house, a_model(requalify_from_score=None))
        [first] = await house.submit(a_submission())
        await recycle(house, first.handoff)
        house.later(days=1)

        await behave(house, told_visit(1), told_visit(2))

        assert len(await told(house, leadeventspb.HandoffSubmitted)) == 1
