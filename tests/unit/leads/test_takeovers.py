"""Who missed what was promised has the handoff no longer: once for each asking, never in a circle."""

from datetime import timedelta

import pytest

from services.leads.domain.handoff import Handoff
from services.leads.domain.states import HandoffState
from services.leads.usecases.offers import ReassignHandoff, accept_offers, reassign_handoffs
from services.leads.usecases.work import Decide, qualify_handoffs
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.builders.desk import accepted, an_answer, kinds_told, sla_says, told, with_playbook
from tests.builders.leads import ANNA, BEN, CARA, MANAGER, QUEUE, House, a_directory, asked_by


def asks(
    handoff: Handoff, owner: str, *, rung: str = "overdue", cycle: int = 1
) -> slaeventspb.TakeoverRequested:
    requested = slaeventspb.TakeoverRequested(rung_id=rung)
    requested.clock.clock = "tenants/default/clocks/c1"
    requested.clock.handoff = handoff.name
    requested.clock.cycle = cycle
    requested.clock.owner = owner
    return requested


async def test_a_takeover_offers_the_handoff_to_the_next_and_says_why() -> None:
    async with House() as house:
        handoff = await accepted(house, by=ANNA)
        house.later(hours=2)

        await sla_says(house, asks(handoff, ANNA))

        taken = await house.handoff(handoff.id)
        assert taken.state is HandoffState.OFFERED
        assert taken.owner == ""
        assert taken.offer is not None
        assert (taken.offer.assignee, taken.offer.number) == (BEN, 2)
        assert taken.accept_time is None
        [event] = await told(house, handoff.id, leadeventspb.HandoffTakenOver)
        assert (event.previous_owner, event.rung_id, event.takeover) == (ANNA, "overdue", 1)
        assert (await kinds_told(house, handoff.id))[-2:] == ["HandoffTakenOver", "HandoffOffered"]


async def test_the_same_asking_again_moves_nothing_even_when_it_would_fit_again() -> None:
    async with House() as house:
        handoff = await accepted(house, by=ANNA)
        await sla_says(house, asks(handoff, ANNA), asks(handoff, ANNA))
        manager = asked_by(MANAGER)
        back = ReassignHandoff(handoff=handoff.id, etag="", assignee=ANNA, asker=manager)
        await house.one(reassign_handoffs, back)

        await sla_says(house, asks(handoff, ANNA))

        assert (await house.handoff(handoff.id)).owner == ANNA
        assert len(await told(house, handoff.id, leadeventspb.HandoffTakenOver)) == 1


async def test_who_got_it_since_keeps_it_and_what_is_decided_stays() -> None:
    async with House() as house:
        handoff = await accepted(house, by=ANNA)
        await house.one(
            reassign_handoffs,
            ReassignHandoff(handoff=handoff.id, etag="", assignee=CARA, asker=asked_by(MANAGER)),
        )
        decided = await accepted(house, 2, by=BEN)
        await house.one(qualify_handoffs, Decide(handoff=decided.id, asker=asked_by(BEN)))

        await sla_says(house, asks(handoff, ANNA), asks(decided, BEN))

        assert (await house.handoff(handoff.id)).owner == CARA
        assert (await house.handoff(decided.id)).state is HandoffState.QUALIFIED
        for each in (handoff, decided):
            assert await told(house, each.id, leadeventspb.HandoffTakenOver) == []


@pytest.mark.parametrize("most", [0, 1, 2])
async def test_after_the_agreed_number_of_takeovers_it_goes_to_the_queue(most: int) -> None:
    async with House(a_directory(max_offers=9)) as house:
        if most != 2:
            await with_playbook(house, max_takeovers=most)
        handoff = await accepted(house, by=ANNA)
        owner = ANNA
        for takeover in range(1, most + 2):
            house.later(hours=1)
            await sla_says(house, asks(handoff, owner, cycle=takeover))
            handoff = await house.handoff(handoff.id)
            assert handoff.offer is not None
            assert (handoff.queue == QUEUE) is (takeover > most), takeover
            if not handoff.queue:
                owner = handoff.offer.assignee
                await house.one(accept_offers, an_answer(handoff, owner))

        events = await told(house, handoff.id, leadeventspb.HandoffTakenOver)
        assert [event.exhausted for event in events] == [False] * most + [True]
        house.later(seconds=timedelta(days=1).total_seconds())
        assert (await house.handoff(handoff.id)).queue == QUEUE
