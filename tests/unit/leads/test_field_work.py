"""Work on handoffs: late evidence, replies, what comes next, opportunities as they move, feedback."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from services.leads.domain.errors import (
    EtagStale,
    FieldInvalid,
    NotYourHandoff,
    StateForbids,
    TimeInFuture,
)
from services.leads.domain.feedback import FeedbackStatus, FeedbackType
from services.leads.domain.follow_up import FollowUpOutcome
from services.leads.domain.handoff import Handoff
from services.leads.domain.lead import Qualification
from services.leads.domain.next_steps import Ground, Reason, next_step, rank
from services.leads.domain.opportunity import Opportunity, OpportunityState
from services.leads.domain.opportunity_changes import ChangeKind, Wanted
from services.leads.domain.playbook import THE_DEFAULTS, Playbook, Stage
from services.leads.domain.replies import Reply
from services.leads.domain.states import HandoffState, NextAction
from services.leads.domain.terms import FollowUpChannel, Money
from services.leads.store import field_work as stored
from services.leads.store.sealing import Sealer
from services.leads.usecases import field_work
from services.leads.usecases.field_work import (
    RecordFeedback,
    RecordMilestone,
    RecordReply,
    SetFeedbackStatus,
    SetNextAction,
    UpdateOpportunity,
)
from services.leads.usecases.routing import expire_offers
from services.leads.usecases.work import (
    CloseOpportunity,
    Decide,
    LogFollowUp,
    close_opportunities,
    convert_handoffs,
    log_follow_ups,
)
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from tests.builders.desk import accepted, due_at, rejected, sla_says, told, with_playbook
from tests.builders.leads import (
    ANNA,
    BEN,
    DIALLER,
    MANAGER,
    MARKETER,
    NOON,
    OFFER_DURATION,
    House,
    a_handoff,
    a_submission,
    an_accepted_handoff,
    an_offered_handoff,
    asked_by,
)
from tests.builders.stores import every_row

HOUR = timedelta(hours=1)


async def tried(house: House, handoff: Handoff, channel: FollowUpChannel, **changes: Any) -> Any:
    request = LogFollowUp(handoff=handoff.id, asker=asked_by(ANNA), channel=channel, **changes)
    return await house.one(log_follow_ups, request)


async def replied(house: House, handoff: Handoff, **changes: Any) -> Reply:
    channel = changes.pop("channel", FollowUpChannel.EMAIL)
    request = RecordReply(handoff=handoff.id, asker=asked_by(DIALLER), channel=channel, **changes)
    return await house.one(field_work.record_replies, request)


async def converted(house: House) -> Opportunity:
    handoff = await accepted(house)
    return await house.one(convert_handoffs, Decide(handoff=handoff.id, asker=asked_by(ANNA)))


def update(opportunity: Opportunity, *, etag: str = "", by: str = ANNA, **wanted: Any) -> UpdateOpportunity:
    return UpdateOpportunity(
        tenant="default",
        opportunity_id=opportunity.opportunity_id,
        asker=asked_by(by),
        wanted=Wanted(**wanted),
        etag=etag,
    )


# Follow-ups and replies.


async def test_a_call_answered_is_contact_and_a_mail_sent_is_not_whoever_says_so() -> None:
    async with House() as house:
        handoff = await accepted(house)

        mail = await tried(house, handoff, FollowUpChannel.EMAIL, contact=True)
        call = await tried(
            house, handoff, FollowUpChannel.CALL, contact=True, outcome=FollowUpOutcome.CALL_BACK
        )

        assert (mail.contact, call.contact) == (False, True)
        events = await told(house, handoff.id, leadeventspb.FollowUpLogged)
        assert [event.outcome for event in events] == [0, FollowUpOutcome.CALL_BACK]


async def test_a_reply_makes_contact_when_we_had_tried_before_it() -> None:
    async with House() as house:
        handoff = await accepted(house)
        unasked = await replied(house, handoff)
        house.later(minutes=10)
        await tried(house, handoff, FollowUpChannel.EMAIL)
        house.later(minutes=10)

        before = await replied(house, handoff, occur_time=NOON + timedelta(minutes=9))
        after = await replied(house, handoff)

        assert [reply.contact for reply in (unasked, before, after)] == [False, False, True]
        events = await told(house, handoff.id, leadeventspb.ReplyRecorded)
        assert [event.contact for event in events] == [False, False, True]


async def test_a_reply_that_the_mailbox_tells_twice_is_one_and_none_is_from_the_future() -> None:
    async with House() as house:
        handoff = await accepted(house)
        first = await replied(house, handoff, external_id="<mail-1>")
        again = await replied(house, handoff, external_id="<mail-1>")

        assert again == first
        assert len(await told(house, handoff.id, leadeventspb.ReplyRecorded)) == 1
        with pytest.raises(TimeInFuture):
            await replied(house, handoff, occur_time=NOON + HOUR)


async def test_a_call_that_the_dialler_tells_late_counts_for_who_had_the_offer_and_moves_nobody() -> None:
    async with House() as house:
        [submitted] = await house.submit(a_submission())
        handoff = submitted.handoff
        house.now = NOON + OFFER_DURATION
        await house.store.sweep(expire_offers)

        call = LogFollowUp(
            handoff=handoff.id,
            asker=replace(asked_by(DIALLER), person=ANNA),
            channel=FollowUpChannel.CALL,
            occur_time=NOON + timedelta(minutes=5),
            external_id="call-1",
        )
        await house.one(log_follow_ups, call)

        now = await house.handoff(handoff.id)
        assert now.offer is not None
        assert (now.state, now.offer.assignee, now.owner) == (HandoffState.OFFERED, BEN, "")
        assert now.first_follow_up_time == NOON + timedelta(minutes=5)
        late = replace(call, occur_time=house.now + timedelta(seconds=1), external_id="call-2")
        with pytest.raises(StateForbids):
            await house.one(log_follow_ups, late)


# What comes next.


@pytest.mark.parametrize(
    ("handoff", "action", "due_time"),
    [
        (a_handoff(), NextAction.ROUTE, NOON + timedelta(minutes=5)),
        (an_offered_handoff(), NextAction.ACCEPT, NOON + OFFER_DURATION),
        (an_accepted_handoff(), NextAction.FOLLOW_UP, NOON + timedelta(hours=24)),
        (
            replace(an_accepted_handoff(), state=HandoffState.WORKING, first_follow_up_time=NOON + HOUR),
            NextAction.DECIDE,
            NOON + HOUR + timedelta(days=7),
        ),
        (
            replace(an_accepted_handoff(), state=HandoffState.CONVERTED),
            NextAction.CLOSE,
            NOON + timedelta(30),
        ),
    ],
)
def test_every_open_handoff_has_a_next_action_and_a_time_by_default(
    handoff: Handoff, action: NextAction, due_time: Any
) -> None:
    step = next_step(handoff, None, THE_DEFAULTS)

    assert step is not None
    assert (step.action, step.due_time, step.ground) == (action, due_time, Ground.PLAYBOOK)


def test_a_closed_or_archived_handoff_has_none() -> None:
    for handoff in (a_handoff(state=HandoffState.REJECTED), a_handoff(archived=True)):
        assert next_step(handoff, None, THE_DEFAULTS) is None


async def test_what_a_person_says_comes_before_the_clock_until_something_happens() -> None:
    async with House() as house:
        handoff = await accepted(house)
        await sla_says(house, due_at(handoff, NOON + HOUR))
        wanted = SetNextAction(
            handoff=handoff.id,
            asker=asked_by(ANNA),
            action=NextAction.NOTHING,
            due_time=NOON + 5 * HOUR,
            channel=FollowUpChannel.CALL,
        )

        said = await house.one(field_work.set_next_actions, wanted)

        async def now() -> Any:
            current = await house.handoff(handoff.id)
            known = await house.rows(lambda connection: stored.actions_of(connection, [handoff.id]))
            return next_step(current, known.get(handoff.id), THE_DEFAULTS)

        assert (said.action, said.due_time, said.person) == (NextAction.FOLLOW_UP, NOON + 5 * HOUR, ANNA)
        assert await now() == said
        await tried(house, handoff, FollowUpChannel.CALL)
        after = await now()
        assert (after.action, after.ground, after.due_time) == (
            NextAction.DECIDE,
            Ground.CLOCK,
            NOON + HOUR,
        )


async def test_only_who_works_an_open_handoff_says_what_comes_next_and_in_the_future() -> None:
    async with House() as house:
        handoff = await accepted(house)

        def wanted(of: Handoff, by: str, due: timedelta) -> SetNextAction:
            return SetNextAction(
                handoff=of.id, asker=asked_by(by), action=NextAction.DECIDE, due_time=NOON + due
            )

        with pytest.raises(NotYourHandoff):
            await house.one(field_work.set_next_actions, wanted(handoff, BEN, HOUR))
        for due in (timedelta(0), timedelta(days=367)):
            with pytest.raises(FieldInvalid):
                await house.one(field_work.set_next_actions, wanted(handoff, ANNA, due))
        no_lead = await rejected(house, 2, by=BEN)
        with pytest.raises(StateForbids):
            await house.one(field_work.set_next_actions, wanted(no_lead, MANAGER, HOUR))


def test_a_ranking_puts_what_is_due_first_and_an_unanswered_reply_before_it_and_says_why() -> None:
    def owned(lead: str, due: timedelta, **changes: Any) -> Handoff:
        handoff = an_accepted_handoff()
        return replace(handoff, id=handoff.id._replace(lead=lead), next_due_time=NOON + due, **changes)

    calm = owned("calm", timedelta(days=3), follow_up_count=1)
    soon = owned("soon", HOUR)
    late = owned("late", -HOUR)
    answered = owned("answered", timedelta(days=2), follow_up_count=1)
    reply = Reply(
        handoff=answered.id,
        reply_id="r",
        channel=FollowUpChannel.EMAIL,
        occur_time=NOON - 2 * HOUR,
        record_time=NOON,
        contact=True,
        follow_up_count=1,
    )

    ranked = rank(
        [calm, soon, late, answered], {}, {answered.id: reply}, Playbook(), currency_code="EUR", now=NOON
    )

    assert [(each.step.handoff.lead, each.step.reasons) for each in ranked] == [
        ("answered", (Reason.REPLIED,)),
        ("late", (Reason.OVERDUE, Reason.UNTOUCHED)),
        ("soon", (Reason.DUE_SOON, Reason.UNTOUCHED)),
        ("calm", ()),
    ]


def test_worth_is_a_reason_only_where_it_stands_out() -> None:
    handoffs = [
        replace(
            an_accepted_handoff(),
            id=a_handoff().id._replace(lead=f"lead-{number}"),
            next_due_time=NOON + timedelta(days=9),
            follow_up_count=1,
            qualification=Qualification(score=number * 10, value=Money("EUR", number * 100)),
        )
        for number in range(1, 5)
    ]

    reasons = {
        each.step.handoff.lead: each.step.reasons
        for each in rank(handoffs, {}, {}, Playbook(), currency_code="EUR", now=NOON)
    }

    assert reasons == {
        "lead-1": (),
        "lead-2": (),
        "lead-3": (),
        "lead-4": (Reason.VALUABLE, Reason.HIGH_SCORE),
    }


# Opportunities.


async def test_an_opportunity_keeps_how_it_came_to_be_what_it_is() -> None:
    async with House() as house:
        opportunity = await converted(house)
        day = date(2026, 5, 1)

        first = await house.one(
            field_work.update_opportunities,
            update(opportunity, stage="PROPOSAL", amount=Money("EUR", 900), expected_close_date=day),
        )
        house.later(hours=1)
        second = await house.one(
            field_work.update_opportunities,
            update(opportunity, stage="NEGOTIATION", probability_percent=55, etag=first.etag),
        )
        same = await house.one(field_work.update_opportunities, update(opportunity, stage="NEGOTIATION"))

        assert (first.stage, first.probability_percent, first.expected_close_date) == ("PROPOSAL", 40, day)
        assert (second.stage, second.probability_percent, second.amount) == (
            "NEGOTIATION",
            55,
            Money("EUR", 900),
        )
        assert same == second
        query = stored.list_changes("default", opportunity.opportunity_id, after=0, limit=10)
        changes = await house.rows(query)
        assert [(change.number, change.stage, change.probability_percent) for change in changes] == [
            (1, "PROPOSAL", 40),
            (2, "NEGOTIATION", 55),
        ]
        events = await told(house, opportunity.handoff, leadeventspb.OpportunityChanged)
        assert [event.previous_stage for event in events] == ["", "PROPOSAL"]
        with pytest.raises(EtagStale):
            await house.one(
                field_work.update_opportunities, update(opportunity, stage="CONTRACT", etag=first.etag)
            )


async def test_proposals_and_contracts_are_noted_and_end_nothing() -> None:
    async with House() as house:
        opportunity = await converted(house)
        for kind in (ChangeKind.PROPOSAL_SENT, ChangeKind.CONTRACT_SIGNED):
            change = await house.one(
                field_work.record_milestones,
                RecordMilestone(
                    tenant="default",
                    opportunity_id=opportunity.opportunity_id,
                    asker=asked_by(ANNA),
                    kind=kind,
                    amount=Money("EUR", 700),
                    external_id="doc/7",
                ),
            )
            assert (change.kind, change.amount) == (kind, Money("EUR", 700))

        assert (await house.handoff(opportunity.handoff)).state is HandoffState.CONVERTED
        events = await told(house, opportunity.handoff, leadeventspb.OpportunityChanged)
        assert [event.change.kind for event in events] == [
            workpb.OpportunityChange.KIND_PROPOSAL_SENT,
            workpb.OpportunityChange.KIND_CONTRACT_SIGNED,
        ]
        # The document's id stays with the two sides; the log is read by others.
        assert {event.change.external_id for event in events} == {""}


async def test_stages_are_the_tenants_and_a_closed_opportunity_moves_no_more() -> None:
    async with House() as house:
        await with_playbook(house, own_stages=(Stage("SHOWN", 30),))
        opportunity = await converted(house)

        with pytest.raises(FieldInvalid):
            await house.one(field_work.update_opportunities, update(opportunity, stage="PROPOSAL"))
        with pytest.raises(NotYourHandoff):
            await house.one(field_work.update_opportunities, update(opportunity, by=BEN, stage="SHOWN"))
        await house.one(
            close_opportunities,
            CloseOpportunity(
                tenant="default",
                opportunity_id=opportunity.opportunity_id,
                asker=asked_by(ANNA),
                state=OpportunityState.WON,
                amount=Money("EUR", 1),
            ),
        )
        with pytest.raises(StateForbids):
            await house.one(field_work.update_opportunities, update(opportunity, stage="SHOWN"))


# Feedback.


def heard(handoff: Handoff, **changes: Any) -> RecordFeedback:
    told_ = {
        "type": FeedbackType.PRICE,
        "theme": "onboarding-cost",
        "verbatim": "Frau Meier finds it dear",
        "price": Money("EUR", 9_900),
        **changes,
    }
    return RecordFeedback(handoff=handoff.id, asker=asked_by(ANNA), **told_)


async def test_what_a_lead_said_is_sealed_and_in_no_event() -> None:
    async with House() as house:
        handoff = await accepted(house)

        kept = await house.one(field_work.record_feedback, heard(handoff))

        def everything(connection: Connection) -> bytes:
            return repr(every_row(connection)).encode()

        assert b"Meier" not in await house.rows(everything)
        [(feedback, sealed)] = await house.rows(
            stored.list_feedback("default", None, None, before="", limit=9)
        )
        assert sealed is not None
        wanted = [(feedback.handoff, feedback.feedback_id, sealed)]
        words = await house.rows(stored.open_verbatims(Sealer(bytes(32)), wanted))
        assert words == {kept.feedback.feedback_id: "Frau Meier finds it dear"}


async def test_marketing_says_what_becomes_of_feedback() -> None:
    async with House() as house:
        handoff = await accepted(house)
        kept = (await house.one(field_work.record_feedback, heard(handoff))).feedback

        def status(value: FeedbackStatus, etag: str = "") -> SetFeedbackStatus:
            return SetFeedbackStatus(
                tenant="default",
                feedback_id=kept.feedback_id,
                asker=asked_by(MARKETER),
                status=value,
                etag=etag,
            )

        done = await house.one(
            field_work.set_feedback_statuses, status(FeedbackStatus.ACKNOWLEDGED, kept.etag)
        )

        assert (kept.status, done.status, done.status_person) == (
            FeedbackStatus.NEW,
            FeedbackStatus.ACKNOWLEDGED,
            MARKETER,
        )
        with pytest.raises(EtagStale):
            await house.one(field_work.set_feedback_statuses, status(FeedbackStatus.DONE, kept.etag))
        with pytest.raises(FieldInvalid):
            await house.one(field_work.set_feedback_statuses, status(FeedbackStatus.NEW))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": None}, "feedback.type"),
        ({"theme": "Too dear!"}, "feedback.theme"),
        ({"competitor": "x" * 101}, "feedback.competitor"),
        ({"verbatim": "x" * 4_001}, "feedback.verbatim"),
        ({"price": Money("euro", 1)}, "feedback.price"),
    ],
)
async def test_feedback_that_cannot_be_taken_is_refused_with_the_field(
    changes: dict[str, Any], field: str
) -> None:
    async with House() as house:
        handoff = await accepted(house)

        with pytest.raises(FieldInvalid) as refused:
            await house.one(field_work.record_feedback, heard(handoff, **changes))

        assert refused.value.field == field
