"""What the logs say, put into the words of reports: nothing lost that a figure rests on."""

from datetime import date
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from services.reports.consumers import lead_events, sla_events
from services.reports.domain.agreements import StagesSet
from services.reports.domain.budgets import BudgetSaid
from services.reports.domain.clocks import AlertTold, ClockChange, ClockEvent, RungTold
from services.reports.domain.field_notes import FeedbackGiven, FeedbackMoved
from services.reports.domain.opportunities import OpportunityStep
from services.reports.domain.settled_periods import PromiseSettled
from services.reports.domain.words import (
    Behaved,
    Converted,
    DisputeAnswered,
    Disputed,
    FollowedUp,
    Follows,
    Joined,
    Merged,
    Reopened,
    Replied,
    Restored,
    Returned,
    Revalued,
    State,
    Submitted,
    TakenOver,
    Unmerged,
)
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.reports import MONDAY, TENANT, a_ledger, at, handoff, submitted

_ONE, _TWO = handoff(1), handoff(2)
_HEAD = (TENANT, _ONE, at())
_DEAL = f"{_ONE}/opportunity"
_EUR = termspb.Money(currency_code="EUR", minor_units=500)


def _event(payload: Message) -> eventlogpb.Event:
    event = eventlogpb.Event(tenant=TENANT)
    event.occur_time.FromDatetime(MONDAY)
    event.payload.Pack(payload)
    return event


def _of_leads(*payloads: Message) -> list[Any]:
    return list(lead_events.words_of([_event(payload) for payload in payloads]))


def _of_sla(*payloads: Message) -> list[Any]:
    return list(sla_events.words_of([_event(payload) for payload in payloads]))


def _stage(name: str) -> playbookpb.OpportunityStage:
    return playbookpb.OpportunityStage(stage=name)


def _instant(**after: float) -> Timestamp:
    instant = Timestamp()
    instant.FromMicroseconds(at(**after))
    return instant


def test_a_submission_says_its_value_and_whether_it_met_the_definition() -> None:
    said = leadeventspb.HandoffSubmitted(
        handoff=_ONE,
        lead="l1",
        qualification=leadspb.Qualification(value=_EUR),
        conformance=scoringpb.Conformance(conforming=True, required_field_count=4, filled_field_count=3),
    )

    (word,) = _of_leads(said)

    assert isinstance(word, Submitted)
    assert (word.value_currency, word.value_minor_units) == ("EUR", 500)
    assert (word.conforming, word.required_fields, word.valid_fields) == (True, 4, 3)


def test_a_submission_without_a_definition_in_force_neither_met_nor_missed_one() -> None:
    (word,) = _of_leads(leadeventspb.HandoffSubmitted(handoff=_ONE, lead="l1"))

    assert word.conforming is None


def test_what_happens_around_a_handoff_is_told_in_full() -> None:
    words = _of_leads(
        leadeventspb.FollowUpLogged(
            handoff=_ONE,
            channel=termspb.FOLLOW_UP_CHANNEL_CALL,
            grade=termspb.EVIDENCE_GRADE_BACK_DATED,
        ),
        leadeventspb.ReplyRecorded(handoff=_ONE, channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, contact=True),
        leadeventspb.BehaviourRecorded(handoff=_ONE),
        leadeventspb.HandoffTakenOver(handoff=_ONE, previous_owner="kim"),
        leadeventspb.RejectionDisputed(handoff=_ONE),
        leadeventspb.DisputeResolved(handoff=_ONE, state=disputespb.Dispute.STATE_OVERTURNED),
        leadeventspb.DisputeResolved(handoff=_ONE, state=disputespb.Dispute.STATE_UPHELD),
        leadeventspb.HandoffContinued(handoff=_ONE, previous_handoff=_TWO),
    )

    assert words == [
        FollowedUp(*_HEAD, contact=False, counts=False, channel="call", grade="back_dated"),
        Replied(*_HEAD, channel="email", contact=True),
        Behaved(*_HEAD),
        TakenOver(*_HEAD, previous_owner="kim"),
        Disputed(*_HEAD),
        DisputeAnswered(*_HEAD, overturned=True),
        DisputeAnswered(*_HEAD, overturned=False),
        Follows(*_HEAD, previous_handoff=_TWO, continued=True),
    ]


def test_a_joined_submission_keeps_what_it_said_of_itself() -> None:
    said = leadeventspb.SubmissionJoined(
        handoff=_ONE, qualification=leadspb.Qualification(source="expo"), correction=True
    )

    (word,) = _of_leads(said)

    assert isinstance(word, Joined)
    assert (word.origin.source, word.correction) == ("expo", True)


def test_a_return_is_told_of_both_handoffs() -> None:
    words = _of_leads(leadeventspb.HandoffRequalified(handoff=_ONE, previous_handoff=_TWO))

    assert words == [
        Follows(*_HEAD, previous_handoff=_TWO, continued=False),
        Returned(TENANT, _TWO, at()),
    ]


def test_a_merge_and_its_way_back_name_all_handoffs_concerned() -> None:
    restored = leadeventspb.LeadsUnmerged.RestoredHandoff(
        handoff=_TWO, state=leadspb.Handoff.STATE_OFFERED, queue="q"
    )

    words = _of_leads(
        leadeventspb.LeadsMerged(handoff=_ONE, merged_handoffs=[_TWO]),
        leadeventspb.LeadsUnmerged(handoff=_ONE, restored_handoffs=[restored]),
    )

    assert words == [
        Merged(*_HEAD, others=(_TWO,)),
        Unmerged(*_HEAD, restored=(Restored(_TWO, State.OFFERED, "", "q"),)),
    ]


def test_an_opportunity_is_told_beside_its_handoff() -> None:
    change = workpb.OpportunityChange(
        kind=workpb.OpportunityChange.KIND_UPDATED, stage="proposal", amount=_EUR, probability_percent=0
    )
    proposal = workpb.OpportunityChange(kind=workpb.OpportunityChange.KIND_PROPOSAL_SENT, amount=_EUR)

    words = _of_leads(
        leadeventspb.HandoffConverted(
            handoff=_ONE,
            opportunity=_DEAL,
            owner="kim",
            amount=_EUR,
            expected_close_date=Date(year=2026, month=4, day=1),
        ),
        leadeventspb.OpportunityChanged(handoff=_ONE, opportunity=_DEAL, change=change),
        leadeventspb.OpportunityChanged(handoff=_ONE, opportunity=_DEAL, change=proposal),
        leadeventspb.OpportunityReopened(handoff=_ONE, opportunity=_DEAL, owner="kim"),
    )

    assert words == [
        Converted(*_HEAD, owner="kim", currency="EUR", minor_units=500),
        OpportunityStep(
            *_HEAD,
            _DEAL,
            "opened",
            "kim",
            currency="EUR",
            minor_units=500,
            close_day=date(2026, 4, 1).toordinal(),
        ),
        Revalued(*_HEAD, currency="EUR", minor_units=500),
        OpportunityStep(
            *_HEAD, _DEAL, "changed", stage="proposal", currency="EUR", minor_units=500, probability=0
        ),
        # What stands in a proposal is not yet what the opportunity is worth.
        OpportunityStep(*_HEAD, _DEAL, "proposed"),
        Reopened(*_HEAD, owner="kim"),
        OpportunityStep(*_HEAD, _DEAL, "reopened", "kim"),
    ]


def test_feedback_and_what_becomes_of_it_are_told_without_a_word_of_it() -> None:
    words = _of_leads(
        leadeventspb.FeedbackRecorded(
            handoff=_ONE, feedback="f1", type=workpb.Feedback.TYPE_PRICE, theme="too-dear"
        ),
        leadeventspb.FeedbackStatusChanged(handoff=_ONE, feedback="f1", status=workpb.Feedback.STATUS_DONE),
    )

    assert words == [
        FeedbackGiven(*_HEAD, feedback="f1", kind="price", theme="too-dear"),
        FeedbackMoved(*_HEAD, feedback="f1", status="done"),
    ]


def test_an_erasure_changes_no_figure() -> None:
    with a_ledger() as ledger:
        ledger.leads(submitted(1))
        before = ledger.content()
        ledger.leads(*_of_leads(leadeventspb.SubjectErased(lead="l1")))

        assert ledger.content() == before


def test_a_rung_is_told_of_its_clock_and_by_itself() -> None:
    clock = slaeventspb.ClockFacts(clock="c1", handoff=_ONE, cycle=2, due_time=_instant(hours=8))

    clock_word, rung = _of_sla(slaeventspb.RungFired(clock=clock, rung_id="half", delivered=True))

    assert isinstance(clock_word, ClockEvent)
    assert clock_word.change is ClockChange.WARNED
    assert rung == RungTold(TENANT, "c1", at(), 2, "half", delivered=True)


def test_an_excuse_and_a_late_stop_are_told_of_their_clock() -> None:
    clock = slaeventspb.ClockFacts(clock="c1", handoff=_ONE)
    late = slaeventspb.ClockStoppedLate(clock=clock, late_duration=Duration(seconds=60))

    excused, stopped = _of_sla(slaeventspb.BreachExcused(clock=clock), late)

    assert excused.change is ClockChange.EXCUSED
    assert (stopped.change, stopped.late) == (ClockChange.STOPPED_LATE, 60_000_000)


def test_an_alert_is_told_as_it_stands() -> None:
    alert = slapb.Alert(
        name="a1",
        state=slapb.Alert.STATE_ACKNOWLEDGED,
        handoff=_ONE,
        commitment_id="first-follow-up",
        rung_id="due",
        clock="c1",
        create_time=_instant(),
        acknowledge_time=_instant(hours=1),
    )

    words = _of_sla(slaeventspb.AlertChanged(alert=alert))

    assert words == [
        AlertTold(
            "a1", TENANT, _ONE, "first-follow-up", "due", None, "acknowledged", at(), at(hours=1), None, "c1"
        )
    ]


def test_each_promise_of_a_settled_period_is_told_with_its_verdict() -> None:
    kinds, verdicts = periodspb.PeriodPromise, periodspb.MarketingPeriod
    period = periodspb.MarketingPeriod(
        agreement="main",
        period="2026-09",
        end_time=_instant(),
        as_of_time=_instant(),
        promises=[
            periodspb.PeriodPromise(
                kind=kinds.KIND_VALUE, verdict=verdicts.VERDICT_MET, limit_ratio=1.0, actual_ratio=0.0
            ),
            periodspb.PeriodPromise(
                kind=kinds.KIND_REJECTIONS, verdict=verdicts.VERDICT_UNDEFINED, limit_ratio=0.5
            ),
        ],
    )

    words = _of_sla(periodspb.MarketingPeriodSettled(marketing_period=period))

    last = at() - 1
    assert words == [
        PromiseSettled("main/2026-09/value", TENANT, "main", "value", "met", 1.0, 0.0, last, at()),
        PromiseSettled(
            "main/2026-09/rejections", TENANT, "main", "rejections", "undefined", 0.5, None, last, at()
        ),
    ]


def test_a_budget_is_told_as_it_stands_and_what_is_absent_stays_unknown() -> None:
    budget = budgetspb.Budget(
        agreement="main",
        commitment_id="accept",
        parties=[termspb.PARTY_SALES],
        state=budgetspb.Budget.STATE_WARN,
        settled_count=40,
        breached_count=5,
        objective_basis_points=9000,
        burning_slowly=True,
        remaining_ratio=0.0,
        as_of_time=_instant(),
    )

    words = _of_sla(budgetspb.BudgetStateChanged(budget=budget))

    assert words == [
        BudgetSaid(
            *("main/accept", TENANT, "main", "accept", ",sales,", "warn", 40, 5, 0.0, None, None, None, at()),
            objective_basis_points=9000,
            burning_fast=False,
            burning_slowly=True,
        )
    ]


def test_of_what_a_budget_brings_about_only_payouts_are_told() -> None:
    due = slaeventspb.ConsequenceDue(
        agreement_version=f"{TENANT}/agreements/main/versions/1",
        commitment_id="accept",
        parties=[termspb.PARTY_SALES],
        consequence=slapb.Consequence(
            consequence_id="less", kind=slapb.CONSEQUENCE_KIND_PAYOUT_FACTOR, percent=80
        ),
    )
    review = slaeventspb.ConsequenceDue(consequence=slapb.Consequence(kind=slapb.CONSEQUENCE_KIND_REVIEW))

    (told,) = _of_sla(due, review)

    assert told[1:] == (TENANT, f"{TENANT}/agreements/main", "accept", ",sales,", 80, at())


def test_a_score_is_told_as_ours_where_a_model_rated_it_and_else_by_twenties() -> None:
    rated = leadspb.Qualification(score=95, rating=leadspb.Rating(score=61, band="warm"))

    told = _of_leads(
        leadeventspb.HandoffSubmitted(handoff=_ONE, qualification=rated),
        leadeventspb.HandoffSubmitted(handoff=_ONE, qualification=leadspb.Qualification(score=100)),
        leadeventspb.HandoffSubmitted(handoff=_ONE, qualification=leadspb.Qualification(score=20)),
        leadeventspb.HandoffSubmitted(handoff=_ONE),
    )

    assert [(word.band, word.score) for word in told] == [
        ("warm", 61),
        ("80-100", 100),
        ("20-40", 20),
        (None, None),
    ]


def test_the_stages_of_opportunities_are_told_in_their_order() -> None:
    stages = [_stage("DISCOVERY"), _stage("CONTRACT")]

    (word,) = _of_leads(leadeventspb.PlaybookChanged(playbook=playbookpb.Playbook(stages=stages)))

    assert word == StagesSet(TENANT, ("DISCOVERY", "CONTRACT"))
