"""Offers: accepted once, declined to the next, expired to the next, and never nobody's."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from services.leads.domain.errors import (
    AssigneeUnknown,
    EtagStale,
    EvidenceRequired,
    NotYourOffer,
    NotYours,
    OfferExpired,
    OfferTaken,
    QueueEmpty,
    StateForbids,
)
from services.leads.domain.events import OfferState
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Contact, History, Qualification
from services.leads.domain.states import HandoffState
from services.leads.store.due import Absence, put_absences
from services.leads.store.schema import SCHEMA
from services.leads.usecases.offers import (
    AnswerOffer,
    ClaimOffer,
    ReassignHandoff,
    accept_offers,
    claim_offers,
    decline_offers,
    reassign_handoffs,
    reject_offers,
)
from services.leads.usecases.routing import expire_offers, route_waiting
from services.leads.usecases.sweeping import Sweeper
from tests.builders.leads import (
    ANNA,
    BEN,
    CARA,
    DIALLER,
    FORM,
    MANAGER,
    MARKETER,
    NOON,
    OFFER_DURATION,
    QUEUE,
    House,
    a_directory,
    a_submission,
    asked_by,
)


def an_answer(handoff: Handoff, principal: str, **changes: Any) -> AnswerOffer:
    assert handoff.offer is not None
    number = handoff.offer.number
    answer = AnswerOffer(handoff=handoff.id, offer=number, fencing_token=number, asker=asked_by(principal))
    return replace(answer, **changes)


async def offered(house: House) -> Handoff:
    [submitted] = await house.submit(a_submission())
    return submitted.handoff


async def in_the_queue(house: House, number: int = 1, **changes: object) -> Handoff:
    [submitted] = await house.submit(a_submission(number, history=History(still_open=True), **changes))
    assert submitted.handoff.queue == QUEUE
    return submitted.handoff


async def test_of_several_who_accept_out_of_a_queue_exactly_one_wins() -> None:
    async with House() as house:
        handoff = await in_the_queue(house)

        results = await house.all(accept_offers, *(an_answer(handoff, rep) for rep in (BEN, ANNA, CARA)))

        winner, *others = results
        assert isinstance(winner, Handoff)
        assert winner.owner == BEN
        assert all(isinstance(other, OfferTaken) and other.etag == winner.etag for other in others)


async def test_an_offer_whose_lease_ran_out_is_not_accepted_even_before_anybody_noticed() -> None:
    async with House() as house:
        handoff = await offered(house)
        house.now = NOON + OFFER_DURATION

        with pytest.raises(OfferExpired):
            await house.one(accept_offers, an_answer(handoff, ANNA))


async def test_an_expired_offer_goes_to_the_next_rep_and_after_the_agreed_number_to_the_queue() -> None:
    async with House() as house:
        handoff = await offered(house)
        seen = []
        for _ in range(3):
            house.now += OFFER_DURATION
            await house.store.sweep(expire_offers)
            now = await house.handoff(handoff.id)
            assert now.offer is not None
            seen.append((now.offer.assignee, now.offer.number, now.queue))

        assert seen == [(BEN, 2, ""), (QUEUE, 3, QUEUE), (QUEUE, 3, QUEUE)]


async def test_an_offer_ends_when_its_lease_ran_out_and_not_when_somebody_noticed() -> None:
    async with House() as house:
        handoff = await offered(house)
        house.later(hours=5)

        await house.store.sweep(expire_offers)

        log = SCHEMA.event_log.event_log.c
        query = select(log.occur_time).where(log.payload_type.like("%OfferEnded"))
        [(told,)] = await house.rows(lambda connection: connection.execute(query).all())
        assert handoff.offer is not None
        assert handoff.offer.expire_time is not None
        assert told == handoff.offer.expire_time


async def test_a_declined_offer_goes_to_the_next_rep() -> None:
    async with House() as house:
        handoff = await offered(house)

        passed_on = await house.one(decline_offers, an_answer(handoff, ANNA, reason_code="TOO_MANY"))

        assert passed_on.offer is not None
        assert (passed_on.offer.assignee, passed_on.state) == (BEN, HandoffState.OFFERED)


async def test_a_queue_cannot_say_not_me() -> None:
    async with House() as house:
        handoff = await in_the_queue(house)

        with pytest.raises(StateForbids):
            await house.one(decline_offers, an_answer(handoff, ANNA))


async def test_a_rejection_that_blames_marketing_without_proof_writes_nothing() -> None:
    async with House() as house:
        handoff = await offered(house)

        with pytest.raises(EvidenceRequired):
            await house.one(reject_offers, an_answer(handoff, ANNA, reason_code="DUPLICATE"))

        assert await house.handoff(handoff.id) == handoff
        proved = an_answer(handoff, ANNA, reason_code="DUPLICATE", evidence="crm/4711")
        assert (await house.one(reject_offers, proved)).state is HandoffState.REJECTED


async def test_nobody_answers_an_offer_to_somebody_else() -> None:
    async with House() as house:
        handoff = await offered(house)

        with pytest.raises(NotYourOffer):
            await house.one(accept_offers, an_answer(handoff, BEN))


async def test_a_system_acts_for_members_of_its_teams_alone() -> None:
    async with House() as house:
        handoff = await offered(house)

        for system, person in ((DIALLER, MARKETER), (FORM, ANNA)):
            with pytest.raises(NotYours):
                await house.one(
                    accept_offers, an_answer(handoff, system, asker=asked_by(system, person=person))
                )
        accepted = await house.one(
            accept_offers, an_answer(handoff, DIALLER, asker=asked_by(DIALLER, person=ANNA))
        )
        assert accepted.owner == ANNA


async def test_a_person_acts_for_themselves_alone() -> None:
    async with House() as house:
        handoff = await offered(house)

        with pytest.raises(NotYours):
            await house.one(accept_offers, an_answer(handoff, BEN, asker=asked_by(BEN, person=ANNA)))


async def test_claims_of_one_batch_take_different_handoffs_the_best_first() -> None:
    async with House() as house:
        for number, score in enumerate((10, 90, None)):
            await in_the_queue(house, number, qualification=Qualification(score=score))
        claim = ClaimOffer(tenant="default", queue=QUEUE, asker=asked_by(ANNA))

        *claimed, nothing = await house.all(claim_offers, *[claim] * 4)

        assert [each.qualification.score for each in claimed if isinstance(each, Handoff)] == [90, 10, None]
        assert isinstance(nothing, QueueEmpty)


async def test_who_is_not_in_the_queues_team_takes_nothing_from_it() -> None:
    async with House() as house:
        await in_the_queue(house)

        with pytest.raises(NotYourOffer):
            await house.one(claim_offers, ClaimOffer(tenant="default", queue=QUEUE, asker=asked_by(MARKETER)))


async def test_a_manager_reassigns_to_a_person_or_a_queue_and_to_nobody_else() -> None:
    async with House() as house:
        handoff = await offered(house)

        def to(assignee: str, etag: str = "") -> ReassignHandoff:
            return ReassignHandoff(handoff=handoff.id, etag=etag, assignee=assignee, asker=asked_by(MANAGER))

        with pytest.raises(EtagStale):
            await house.one(reassign_handoffs, to(CARA, etag="99"))
        with pytest.raises(AssigneeUnknown):
            await house.one(reassign_handoffs, to("tenants/default/people/nobody"))
        assert (await house.one(reassign_handoffs, to(CARA))).owner == CARA
        released = await house.one(reassign_handoffs, to(QUEUE))
        assert (released.owner, released.queue, released.state) == ("", QUEUE, HandoffState.OFFERED)


async def test_who_is_on_leave_is_offered_nothing() -> None:
    async with House() as house:

        def away(connection: Connection, _requests: object, _now: object) -> list[None]:
            leave = Absence(
                tenant="default",
                leave=f"{ANNA}/leave/1",
                person=ANNA,
                start_time=NOON,
                end_time=NOON + OFFER_DURATION,
            )
            put_absences(connection, [leave])
            return [None]

        await house.writer.run(away, [None])
        during = await offered(house)
        house.now = NOON + OFFER_DURATION
        after = await house.submit(a_submission(2), a_submission(3))

        assert during.offer is not None
        assert during.offer.assignee == BEN
        assert {each.handoff.offer and each.handoff.offer.assignee for each in after} == {ANNA, CARA}


async def test_what_nobody_could_be_offered_waits_and_is_offered_once_somebody_is_there() -> None:
    nobody = a_directory(with_rule=False)
    closed = replace(nobody, queues=tuple(replace(queue, inactive=True) for queue in nobody.queues))
    async with House(closed) as house:
        [submitted] = await house.submit(a_submission())
        assert submitted.handoff.state is HandoffState.SUBMITTED

        await house.apply(a_directory())
        await house.store.sweep(route_waiting)

        assert (await house.handoff(submitted.handoff.id)).state is HandoffState.OFFERED


async def test_a_sweep_moves_everything_that_is_due_and_nothing_else() -> None:
    async with House() as house:
        await house.submit(*(a_submission(number) for number in range(7)))
        house.later(minutes=1)
        await house.submit(a_submission(7, contact=Contact(email="late@example.com")))
        house.now = NOON + OFFER_DURATION
        sweeper = Sweeper(house.store, now=lambda: house.now)

        assert await sweeper.run_once() == 7
        assert await sweeper.run_once() == 0


async def test_declining_leaves_the_offer_that_follows_to_its_own_token() -> None:
    async with House() as house:
        handoff = await offered(house)
        passed_on = await house.one(decline_offers, an_answer(handoff, ANNA))

        assert passed_on.offer is not None
        assert passed_on.offer.state is OfferState.OPEN
        assert passed_on.offer.number == 2
