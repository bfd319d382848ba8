"""What the sla log says: who is away, and when each handoff is next due."""

from datetime import datetime, timedelta
from typing import Any

from google.protobuf.message import Message

from services.leads.consumers import sla_events
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from tests.builders.leads import ANNA, BEN, NOON, OFFER_DURATION, House, a_submission

SOON, LATER = NOON + timedelta(minutes=5), NOON + timedelta(minutes=50)


def an_event(payload: Message) -> eventlogpb.Event:
    event = eventlogpb.Event(position=1)
    event.payload.Pack(payload)
    return event


def facts(handoff: str, clock: str, due: datetime, **changes: Any) -> slaeventspb.ClockFacts:
    told = slaeventspb.ClockFacts(clock=f"tenants/default/clocks/{clock}", handoff=handoff, **changes)
    told.due_time.FromDatetime(due)
    return told


def leave_of(person: str, *, cancelled: bool = False) -> slaeventspb.LeaveChanged:
    leave = slapb.Leave(name=f"{person}/leave/1")
    leave.start_time.FromDatetime(NOON)
    leave.end_time.FromDatetime(NOON + OFFER_DURATION)
    if cancelled:
        leave.cancel_time.FromDatetime(NOON)
    return slaeventspb.LeaveChanged(leave=leave)


async def tell(house: House, *payloads: Message) -> None:
    def unit(connection: Any, _requests: object, now: datetime) -> list[None]:
        sla_events.apply(connection, [an_event(payload) for payload in payloads], now)
        return [None]

    await house.writer.run(unit, [None])


async def test_a_handoff_is_next_due_when_the_first_of_its_clocks_is() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        name, handoff_id = submitted.handoff.name, submitted.handoff.id

        await tell(
            house,
            slaeventspb.ClockStarted(clock=facts(name, "a", LATER)),
            slaeventspb.ClockStarted(clock=facts(name, "b", SOON)),
        )
        first = (await house.handoff(handoff_id)).next_due_time
        await tell(house, slaeventspb.ClockMet(clock=facts(name, "b", SOON)))
        second = (await house.handoff(handoff_id)).next_due_time
        await tell(house, slaeventspb.ClockMet(clock=facts(name, "a", LATER)))

        assert (first, second) == (SOON, LATER)
        assert (await house.handoff(handoff_id)).next_due_time is None


async def test_a_missed_clock_stays_due_until_somebody_does_what_it_asked() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        name, handoff_id = submitted.handoff.name, submitted.handoff.id
        await tell(house, slaeventspb.ClockStarted(clock=facts(name, "a", SOON)))

        await tell(house, slaeventspb.ClockBreached(clock=facts(name, "a", SOON)))
        missed = (await house.handoff(handoff_id)).next_due_time
        await tell(house, slaeventspb.ClockStoppedLate(clock=facts(name, "a", SOON)))

        assert missed == SOON
        assert (await house.handoff(handoff_id)).next_due_time is None


async def test_a_change_of_the_handoff_leaves_its_due_time_alone_and_the_other_way_round() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        handoff = submitted.handoff
        await tell(house, slaeventspb.ClockStarted(clock=facts(handoff.name, "a", SOON)))

        [revised] = await house.submit(a_submission(revision=1))

        stored = await house.handoff(handoff.id)
        assert (stored.next_due_time, stored.etag) == (SOON, revised.handoff.etag)


async def test_a_clock_of_a_handoff_that_is_not_here_harms_nothing() -> None:
    async with House() as house:
        await tell(
            house,
            slaeventspb.ClockStarted(clock=facts("tenants/default/leads/none/handoffs/1", "a", SOON)),
            slaeventspb.ClockStarted(clock=facts("nonsense", "b", SOON)),
        )


async def test_leave_that_was_taken_back_keeps_nobody_away() -> None:
    async with House() as house:
        await tell(house, leave_of(ANNA), leave_of(BEN))
        await tell(house, leave_of(ANNA, cancelled=True))

        [submitted] = await house.submit(a_submission())

        assert submitted.handoff.offer is not None
        assert submitted.handoff.offer.assignee == ANNA
