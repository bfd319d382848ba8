"""Marketing disputes a rejection once, within the window; the manager answers, then leadership; once."""

from datetime import UTC, datetime, timedelta

import pytest

from services.leads.domain.disputes import Answerer, Dispute, business_days_after, weekdays_in
from services.leads.domain.errors import (
    DisputeFinal,
    DisputeUnknown,
    DisputeWindowClosed,
    EtagStale,
    FieldInvalid,
    NotYourDispute,
    StateForbids,
)
from services.leads.domain.handoff import Handoff
from services.leads.domain.states import HandoffState
from services.leads.domain.work_events import DisputeState
from services.leads.store.transaction import By
from services.leads.usecases.disputes import (
    DisputeRejection,
    ResolveDispute,
    dispute_rejections,
    resolve_disputes,
)
from services.leads.usecases.offers import accept_offers, reject_offers
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import Calendar, Openings
from tests.builders.desk import (
    accepted,
    an_answer,
    due_at,
    kinds_told,
    rejected,
    sla_says,
    told,
    with_playbook,
)
from tests.builders.leads import (
    ANNA,
    BEN,
    MANAGER,
    MARKETER,
    NOON,
    QUEUE,
    TEAM,
    House,
    a_submission,
    asked_by,
)

BOSS = "tenants/default/people/lea"
THE_MANAGER = Answerer(MANAGER, manages=True, leads=False)
LEADERSHIP = Answerer(BOSS, manages=False, leads=True)


async def disputed(house: House, handoff: Handoff) -> Dispute:
    request = DisputeRejection(handoff=handoff.id, asker=asked_by(MARKETER), evidence="crm/2")
    return await house.one(dispute_rejections, request)


async def answered(
    house: House,
    handoff: Handoff,
    state: DisputeState,
    answerer: Answerer = THE_MANAGER,
    *,
    etag: str = "",
) -> Dispute:
    request = ResolveDispute(
        handoff=handoff.id, answerer=answerer, by=By(answerer.person), state=state, etag=etag
    )
    return await house.one(resolve_disputes, request)


async def test_an_overturned_dispute_offers_the_handoff_again_to_the_rejecting_teams_queue() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)
        house.later(hours=3)

        await answered(house, handoff, DisputeState.OVERTURNED)

        again = await house.handoff(handoff.id)
        assert again.state is HandoffState.OFFERED
        assert again.queue == QUEUE
        assert again.offer is not None
        assert again.offer.number == 2
        assert (again.reason_code, again.accountable_party, again.evidence, again.close_time) == (
            "",
            None,
            "",
            None,
        )
        assert (await kinds_told(house, handoff.id))[-3:] == [
            "RejectionDisputed",
            "DisputeResolved",
            "HandoffOffered",
        ]
        [event] = await told(house, handoff.id, leadeventspb.DisputeResolved)
        assert event.state == disputespb.Dispute.STATE_OVERTURNED
        assert (event.person, event.by_leadership) == (MANAGER, False)


async def test_an_upheld_dispute_leaves_the_rejection_as_it_is() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)

        dispute = await answered(house, handoff, DisputeState.UPHELD)

        assert (dispute.state, dispute.resolver) == (DisputeState.UPHELD, MANAGER)
        assert (await house.handoff(handoff.id)) == handoff


async def test_a_rejection_is_disputed_once_even_when_the_handoff_is_rejected_again() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)
        with pytest.raises(DisputeFinal):
            await disputed(house, handoff)
        await answered(house, handoff, DisputeState.OVERTURNED)
        with pytest.raises(DisputeFinal):
            await answered(house, handoff, DisputeState.UPHELD)

        again = await house.handoff(handoff.id)
        from_the_queue = an_answer(again, BEN)
        object.__setattr__(from_the_queue, "reason_code", "NO_CAPACITY")
        await house.one(reject_offers, from_the_queue)

        with pytest.raises(DisputeFinal):
            await disputed(house, handoff)


async def test_five_business_days_are_not_five_days() -> None:
    friday_evening = datetime(2026, 3, 6, 17, 30, tzinfo=UTC)

    # Berlin: Friday 18:30 and a whole business day is Monday 18:30; five are the Friday after.
    berlin = weekdays_in("Europe/Berlin")
    assert business_days_after(friday_evening, 1, berlin) == friday_evening + timedelta(days=3)
    assert business_days_after(friday_evening, 5, berlin) == friday_evening + timedelta(days=7)
    saturday = datetime(2026, 3, 7, 9, tzinfo=UTC)
    assert business_days_after(saturday, 1, berlin) == datetime(2026, 3, 9, 23, tzinfo=UTC)


async def test_a_rejection_is_final_after_its_window_which_is_the_tenants_to_set() -> None:
    async with House() as house:
        # Noon on a Monday: five business days end at noon of the next Monday.
        first, second = await rejected(house, 1), await rejected(house, 2, by=BEN)
        house.now = NOON + timedelta(days=7)
        await disputed(house, first)
        house.later(seconds=1)

        with pytest.raises(DisputeWindowClosed) as refused:
            await disputed(house, second)
        assert refused.value.until == NOON + timedelta(days=7)
        await with_playbook(house, dispute_window_days=6)
        await disputed(house, second)


async def test_a_holiday_of_the_rejecting_team_is_no_business_day_of_the_window() -> None:
    async with House() as house:
        # Noon on a Monday, open from nine to six on weekdays, and Wednesday is a holiday: five business days
        # of nine hours end at noon of the Tuesday of the week after.
        first, second = await rejected(house, 1), await rejected(house, 2, by=BEN)
        await sla_says(house, a_calendar_with(NOON + timedelta(days=2)), a_clock_of(first))
        house.now = NOON + timedelta(days=8)
        dispute = await disputed(house, first)
        house.later(seconds=1)

        with pytest.raises(DisputeWindowClosed) as refused:
            await disputed(house, second)
        assert refused.value.until == NOON + timedelta(days=8)
        # Two business days for the answer.
        assert dispute.answer_due_time == NOON + timedelta(days=10)


async def test_a_team_that_never_works_keeps_nobody_from_disputing() -> None:
    never = Openings(Calendar.of("Etc/UTC", {"mon": []}))

    assert business_days_after(NOON, 5, never) == NOON + timedelta(days=7)


def a_calendar_with(holiday: datetime) -> slaeventspb.CalendarVersionCreated:
    """Open from nine to six from Monday to Friday, but for one day."""
    windows = [
        slapb.WeeklyWindow(iso_weekday=day, open_time="09:00", close_time="18:00") for day in range(1, 6)
    ]
    made = slapb.CalendarVersion(
        name="tenants/default/calendars/office/versions/1", time_zone="Etc/UTC", weekly_windows=windows
    )
    made.holidays.add(year=holiday.year, month=holiday.month, day=holiday.day)
    return slaeventspb.CalendarVersionCreated(calendar_version=made)


def a_clock_of(handoff: Handoff) -> slaeventspb.ClockStarted:
    """A clock of the team's that is counted in that calendar."""
    started = due_at(handoff, NOON)
    started.clock.team = TEAM
    started.clock.calendar_version = "tenants/default/calendars/office/versions/1"
    return started


async def test_only_a_rejection_can_be_disputed_and_only_a_dispute_answered() -> None:
    async with House() as house:
        handoff = await accepted(house)

        with pytest.raises(StateForbids):
            await disputed(house, handoff)
        with pytest.raises(DisputeUnknown):
            await answered(house, handoff, DisputeState.UPHELD)


async def test_the_manager_of_the_rejecting_team_answers_in_time_and_leadership_alone_afterwards() -> None:
    async with House() as house:
        handoff = await rejected(house)
        dispute = await disputed(house, handoff)
        assert dispute.rejecting_team == TEAM
        assert dispute.answer_due_time == NOON + timedelta(days=2)
        other_manager = Answerer(BEN, manages=True, leads=False)

        for who in (LEADERSHIP, other_manager, Answerer(ANNA, manages=False, leads=False)):
            with pytest.raises(NotYourDispute):
                await answered(house, handoff, DisputeState.UPHELD, who)
        house.now = dispute.answer_due_time + timedelta(seconds=1)
        with pytest.raises(NotYourDispute):
            await answered(house, handoff, DisputeState.UPHELD)

        await answered(house, handoff, DisputeState.OVERTURNED, LEADERSHIP)

        [event] = await told(house, handoff.id, leadeventspb.DisputeResolved)
        assert event.by_leadership


async def test_an_answer_is_one_of_two_and_to_what_was_read() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)

        with pytest.raises(FieldInvalid):
            await answered(house, handoff, DisputeState.OPEN)
        with pytest.raises(EtagStale):
            await answered(house, handoff, DisputeState.UPHELD, etag="7")


async def test_a_lead_that_somebody_works_by_then_is_offered_to_them() -> None:
    async with House() as house:
        handoff = await rejected(house)
        await disputed(house, handoff)
        [resubmitted] = await house.submit(a_submission(9, contact=a_submission(1).contact))
        assert resubmitted.handoff.id.lead == handoff.id.lead
        assert resubmitted.handoff.offer is not None
        worker = resubmitted.handoff.offer.assignee
        await house.one(accept_offers, an_answer(resubmitted.handoff, worker))

        await answered(house, handoff, DisputeState.OVERTURNED)

        again = await house.handoff(handoff.id)
        assert again.offer is not None
        assert (again.offer.assignee, again.queue) == (worker, "")
        assert again.offer.expire_time is not None
