"""What the leads log tells beyond offers and follow-ups, and which clocks come of it."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.sla.domain.agreement import Attempts, CommitmentKind, Party
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import AgreementInvalid
from services.sla.domain.terms import Target
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.businesstime import BusinessTime
from tests.builders.sla_engine import HANDOFF, MONDAY_NINE, REP, SALES, TENANT, Engine, a_promise, some_terms

NEXT = f"{TENANT}/leads/l1/handoffs/h2"
CALL, EMAIL = termspb.FOLLOW_UP_CHANNEL_CALL, termspb.FOLLOW_UP_CHANNEL_EMAIL


def agreed(*promises: Any) -> Engine:
    engine = Engine()
    engine.agree(some_terms(*promises))
    return engine


def outcomes(engine: Engine) -> list[Outcome]:
    return [clock.outcome for clock in sorted(engine.clocks(), key=lambda clock: clock.start_time)]


def at(hour: float) -> Any:
    return MONDAY_NINE + timedelta(hours=hour)


def attempts(**wanted: Any) -> Any:
    return a_promise(CommitmentKind.ATTEMPTS, target=9, attempts=Attempts(**wanted))


def test_attempts_on_enough_channels_meet_the_clock() -> None:
    engine = agreed(attempts(count=2, channels=2))
    engine.submit()
    engine.assign()
    engine.follow_up(channel=CALL)
    engine.advance(hours=1)
    engine.follow_up(channel=CALL)
    assert engine.clock().outcome is Outcome.RUNNING
    engine.advance(hours=1)
    engine.follow_up(channel=EMAIL)

    assert (engine.clock().outcome, engine.clock().stop_time) == (Outcome.MET, at(2))


@pytest.mark.parametrize(("contact", "expected"), [(True, Outcome.MET), (False, Outcome.RUNNING)])
def test_only_a_reply_that_makes_contact_is_as_good_as_enough_attempts(
    contact: bool, expected: Outcome
) -> None:
    engine = agreed(attempts(count=5))
    engine.submit()
    engine.assign()
    engine.follow_up()
    engine.tell(HANDOFF, leadeventspb.ReplyRecorded(handoff=HANDOFF, reply="r1", contact=contact))

    assert engine.clock().outcome is expected


def test_each_follow_up_has_a_clock_of_its_own_that_a_restart_does_not_double() -> None:
    engine = agreed(a_promise(CommitmentKind.DISPOSITION))
    engine.submit()
    engine.assign()
    engine.follow_up()
    engine.now = at(5)
    engine.sweep()
    engine.follow_up()
    engine.restart()
    engine.advance(hours=1)
    engine.sweep()
    engine.tell(HANDOFF, leadeventspb.HandoffQualified(handoff=HANDOFF, person=REP))

    assert outcomes(engine) == [Outcome.BREACHED, Outcome.MET]
    assert len({clock.id for clock in engine.clocks()}) == 2
    # The first was left open by nobody: the second follow-up ended what it asked for.
    assert [clock.is_open for clock in engine.clocks()] == [False, False]
    said = [(kind, payload.clock.origin) for kind, payload in engine.log() if kind == "ClockStarted"]
    assert len(set(said)) == 2


def test_a_follow_up_that_arrives_late_between_two_gets_its_own_clock_and_moves_no_other() -> None:
    engine = agreed(a_promise(CommitmentKind.DISPOSITION))
    engine.submit()
    engine.assign()
    engine.follow_up()
    engine.now = at(3)
    engine.follow_up()
    before = {clock.id: clock for clock in engine.clocks()}
    engine.follow_up(at=at(1))

    after = {clock.id: clock for clock in engine.clocks()}
    assert before.keys() < after.keys()
    assert all(after[each].outcome is clock.outcome for each, clock in before.items())
    (new,) = after.keys() - before.keys()
    assert (after[new].start_time, after[new].outcome) == (at(1), Outcome.VOID)


def test_a_follow_up_told_after_the_outcome_that_answered_it_is_no_second_promise_kept() -> None:
    engine = agreed(a_promise(CommitmentKind.DISPOSITION))
    engine.submit()
    engine.assign()
    engine.follow_up()
    engine.now = at(3)
    engine.tell(HANDOFF, leadeventspb.HandoffQualified(handoff=HANDOFF, person=REP))
    engine.follow_up(at=at(1))
    engine.restart()
    engine.sweep()

    # One outcome was owed, and one was given.
    assert (engine.clock().start_time, engine.clock().outcome) == (at(0), Outcome.MET)


def test_a_follow_up_in_time_told_after_a_late_outcome_takes_the_miss_back() -> None:
    engine = agreed(a_promise(CommitmentKind.DISPOSITION))
    engine.submit()
    engine.assign()
    engine.follow_up()
    engine.now = at(5)
    engine.sweep()
    engine.tell(HANDOFF, leadeventspb.HandoffQualified(handoff=HANDOFF, person=REP))
    engine.follow_up(at=at(2))

    assert [
        (clock.start_time, clock.outcome) for clock in sorted(engine.clocks(), key=lambda c: c.start_time)
    ] == [
        (at(0), Outcome.VOID),
        (at(2), Outcome.MET),
    ]


def test_a_rejection_with_its_reason_and_evidence_owes_nothing_more() -> None:
    engine = agreed(a_promise(CommitmentKind.FEEDBACK))
    engine.submit()
    engine.offer()
    payload = leadeventspb.HandoffRejected(
        handoff=HANDOFF, person=REP, reason_code="NO_FIT", with_evidence=True
    )
    engine.tell(HANDOFF, payload)

    assert engine.clock().outcome is Outcome.MET


def test_a_rejection_without_evidence_is_missed_at_due() -> None:
    engine = agreed(a_promise(CommitmentKind.FEEDBACK))
    engine.submit()
    engine.offer()
    engine.tell(HANDOFF, leadeventspb.HandoffRejected(handoff=HANDOFF, person=REP, reason_code="NO_FIT"))
    engine.now = at(5)
    engine.sweep()

    assert engine.clock().outcome is Outcome.BREACHED


def dispute(engine: Engine, state: Any) -> None:
    """Reject, dispute an hour later, answer after another."""
    engine.submit()
    engine.offer()
    engine.tell(HANDOFF, leadeventspb.HandoffRejected(handoff=HANDOFF, person=REP, reason_code="NO_FIT"))
    engine.advance(hours=1)
    engine.tell(HANDOFF, leadeventspb.RejectionDisputed(handoff=HANDOFF, dispute="d1", rejecting_team=SALES))
    engine.advance(hours=1)
    engine.tell(HANDOFF, leadeventspb.DisputeResolved(handoff=HANDOFF, dispute="d1", state=state))


def test_an_overturned_dispute_is_answered_and_opens_the_accept_clock_again() -> None:
    engine = agreed(a_promise(CommitmentKind.ACCEPT), a_promise(CommitmentKind.DISPUTE_ANSWER))
    dispute(engine, disputespb.Dispute.STATE_OVERTURNED)
    engine.offer()

    by_kind: dict[CommitmentKind, Clock] = {clock.kind: clock for clock in engine.clocks()}
    accept = by_kind[CommitmentKind.ACCEPT]
    # Rejected at once; the two hours until it was overturned count for nobody.
    assert (accept.outcome, accept.cycle, accept.due_time) == (Outcome.RUNNING, 2, at(6))
    assert by_kind[CommitmentKind.DISPUTE_ANSWER].outcome is Outcome.MET


def test_an_upheld_dispute_is_answered_and_opens_nothing() -> None:
    engine = agreed(a_promise(CommitmentKind.ACCEPT), a_promise(CommitmentKind.DISPUTE_ANSWER))
    dispute(engine, disputespb.Dispute.STATE_UPHELD)

    assert outcomes(engine) == [Outcome.MET, Outcome.MET]
    assert "ClockReopened" not in engine.said()


def test_each_change_of_an_opportunity_asks_for_the_next_review() -> None:
    engine = agreed(a_promise(CommitmentKind.REVIEW))
    engine.submit()
    engine.assign()
    engine.tell(HANDOFF, leadeventspb.HandoffConverted(handoff=HANDOFF, opportunity="o1"))
    engine.advance(hours=1)
    engine.tell(HANDOFF, leadeventspb.OpportunityChanged(handoff=HANDOFF, opportunity="o1"))
    engine.now = at(6)
    engine.sweep()

    assert outcomes(engine) == [Outcome.MET, Outcome.BREACHED]


def test_a_recycled_lead_that_qualifies_again_by_its_date_is_back_in_time() -> None:
    promise = a_promise(CommitmentKind.NURTURE_RETURN, parties=(Party.MARKETING,))
    engine = agreed(promise)
    engine.submit()
    engine.assign()
    until = Timestamp()
    until.FromDatetime(at(7))
    engine.tell(HANDOFF, leadeventspb.HandoffRecycled(handoff=HANDOFF, person=REP, recycle_until_time=until))
    assert engine.clock().due_time == at(7)
    engine.now = at(6)
    engine.submit(NEXT)
    engine.tell(NEXT, leadeventspb.HandoffRequalified(handoff=NEXT, previous_handoff=HANDOFF))

    assert (engine.clock().handoff, engine.clock().outcome) == (HANDOFF, Outcome.MET)


@pytest.mark.parametrize(("conforming", "clocks"), [(True, 1), (False, 0)])
def test_sales_owes_nothing_of_a_lead_that_leads_finds_below_the_definition(
    conforming: bool, clocks: int
) -> None:
    engine = agreed(a_promise(CommitmentKind.ACCEPT))
    verdict = scoringpb.Conformance(conforming=conforming)
    payload = leadeventspb.HandoffSubmitted(
        handoff=HANDOFF, qualification=leadspb.Qualification(), conformance=verdict
    )
    engine.tell(HANDOFF, payload)
    engine.offer()

    assert len(engine.clocks()) == clocks


def test_business_days_are_a_duration_from_when_the_version_is_made() -> None:
    engine = agreed(a_promise(targets=(Target(amount=None, business_days=2),)))
    engine.submit()
    engine.assign()

    # Two days of nine hours: due when Tuesday closes.
    assert engine.clock().target == BusinessTime.of(hours=18)
    assert engine.clock().due_time == at(33)


@pytest.mark.parametrize(
    ("promise", "path"),
    [
        (a_promise(CommitmentKind.ATTEMPTS), "commitments[0].attempts"),
        (attempts(count=2, dates=3), "commitments[0].attempts.distinct_dates"),
        (attempts(count=0), "commitments[0].attempts.count"),
        (a_promise(attempts=Attempts(count=2)), "commitments[0].attempts"),
        (a_promise(owner_target=BusinessTime.of(hours=5)), "commitments[0].owner_target_duration"),
        (
            a_promise(CommitmentKind.ACCEPT, owner_target=BusinessTime.of(hours=1)),
            "commitments[0].owner_target_duration",
        ),
        (
            a_promise(targets=(Target(amount=None, business_days=367),)),
            "commitments[0].tiers[0].target_business_days",
        ),
    ],
)
def test_parameters_that_nobody_can_keep_are_refused_with_their_place(promise: Any, path: str) -> None:
    engine = Engine()
    with pytest.raises(AgreementInvalid) as refused:
        engine.agree(some_terms(promise))

    assert path in {fault.path for fault in refused.value.faults}
