"""From an event of the leads log to what the sla log says of it."""

from datetime import timedelta

import pytest

from services.sla.domain.agreement import CommitmentKind
from services.sla.domain.course import Outcome
from services.sla.domain.terms import Mode
from tests.builders.sla_engine import (
    AN_HOUR_AFTER,
    AT_DUE,
    HANDOFF,
    LEADER,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES_MANAGER,
    WARN_AT_HALF,
    Engine,
    a_promise,
    some_terms,
)

DUE = MONDAY_NINE + timedelta(hours=4)


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF, AT_DUE, AN_HOUR_AFTER))))
    engine.submit()
    return engine


def test_a_follow_up_in_time_meets_the_clock_and_says_so_once(engine: Engine) -> None:
    engine.assign()
    engine.advance(hours=1)
    engine.follow_up()
    engine.advance(hours=9)
    engine.sweep()

    assert engine.said() == ["ClockStarted", "ClockMet"]
    assert engine.clock().outcome is Outcome.MET
    assert engine.clock().next_time is None
    assert engine.alerts() == []


def test_due_exactly_is_met(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE
    engine.sweep()
    engine.follow_up(at=DUE)

    assert engine.clock().outcome is Outcome.MET


def test_a_breach_occurs_at_its_due_instant_whenever_it_is_found(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(hours=2, minutes=7)
    engine.sweep()

    clock = engine.clock()
    assert (clock.breach_time, clock.detect_time) == (DUE, engine.now)
    assert engine.occur_times("ClockBreached") == [DUE]


@pytest.mark.parametrize("minutes", [1, 7, 59, 60, 240, 241, 600])
def test_each_warning_and_the_breach_fire_once_whatever_the_pattern_of_sweeps(
    engine: Engine, minutes: int
) -> None:
    engine.assign()
    while engine.now < DUE + timedelta(hours=3):
        engine.advance(minutes=minutes)
        engine.sweep()
        engine.sweep()
        engine.restart()

    said = engine.said()
    assert sorted(said) == sorted(
        ["ClockStarted", "RungFired:warn", "RungFired:due", "RungFired:late", "ClockBreached"]
    )
    assert said.index("RungFired:warn") < said.index("RungFired:due") < said.index("RungFired:late")
    assert engine.occur_times("RungFired") == [
        MONDAY_NINE + timedelta(hours=2),
        DUE,
        DUE + timedelta(hours=1),
    ]


def test_nothing_fires_before_its_instant(engine: Engine) -> None:
    engine.assign()
    engine.now = MONDAY_NINE + timedelta(hours=2) - timedelta(microseconds=1)

    assert engine.sweep() == 0
    assert engine.said() == ["ClockStarted"]
    engine.advance(microseconds=1)
    engine.sweep()
    assert engine.said() == ["ClockStarted", "RungFired:warn"]


def test_of_steps_found_past_together_only_the_highest_is_delivered(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(hours=2)
    engine.sweep()

    delivered = [p.rung_id for kind, p in engine.log() if kind == "RungFired" and p.delivered]
    assert delivered == ["late"]
    (alert,) = engine.alerts()
    assert (alert.rung_id, alert.missed) == ("late", True)
    assert set(alert.recipients) == {SALES_MANAGER, LEADER}


def test_an_event_delivered_twice_changes_nothing(engine: Engine) -> None:
    engine.assign()
    event = engine.follow_up()
    before = (engine.clocks(), engine.log())
    engine.deliver([event])
    engine.deliver([event, event])

    assert (engine.clocks(), engine.log()) == before


def test_late_evidence_of_a_follow_up_in_time_takes_the_breach_back(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=30)
    engine.sweep()
    engine.follow_up(at=DUE - timedelta(minutes=1))
    engine.sweep()

    said = [each for each in engine.said() if not each.startswith("RungFired")]
    assert said == ["ClockStarted", "ClockBreached", "BreachRetracted"]
    clock = engine.clock()
    assert (clock.outcome, clock.breach_time, clock.detect_time) == (Outcome.MET, None, None)
    assert engine.occur_times("BreachRetracted") == [DUE - timedelta(minutes=1)]
    assert [alert.resolve_reason.value for alert in engine.alerts() if alert.resolve_reason] == ["RETRACTED"]


def test_evidence_after_due_never_clears_the_breach_and_says_how_late(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=30)
    engine.sweep()
    engine.follow_up()

    _, payload = next(each for each in engine.log() if each[0] == "ClockStoppedLate")
    assert payload.late_duration.ToTimedelta() == timedelta(minutes=30)
    assert engine.clock().outcome is Outcome.BREACHED
    assert engine.clock().next_time is None
    assert [alert.state.value for alert in engine.alerts()] == ["RESOLVED"]


def test_the_breach_and_the_late_evidence_may_arrive_in_one_batch(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=30)
    engine.follow_up(at=DUE - timedelta(minutes=1))
    engine.sweep()

    assert engine.said() == ["ClockStarted", "RungFired:warn", "ClockMet"]


def test_a_backlog_read_after_an_outage_calls_nothing_missed_that_was_done(engine: Engine) -> None:
    from smarketing.api.leads.v1 import events_pb2 as leadeventspb
    from smarketing.api.terms.v1 import terms_pb2 as termspb

    assigned = engine.event(HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP))
    engine.advance(hours=1)
    done = engine.event(
        HANDOFF,
        leadeventspb.FollowUpLogged(handoff=HANDOFF, person=REP, grade=termspb.EVIDENCE_GRADE_SELF_REPORTED),
    )
    engine.now = DUE + timedelta(hours=1)
    engine.deliver([assigned])
    engine.deliver([done])
    engine.sweep()

    assert engine.said() == ["ClockStarted", "ClockMet"]


def test_a_reassignment_moves_the_clock_to_its_new_owner_and_restarts_nothing(engine: Engine) -> None:
    engine.assign()
    engine.advance(hours=1)
    engine.assign(to=OTHER_REP)
    engine.now = DUE + timedelta(seconds=1)
    engine.sweep()

    assert engine.said()[:2] == ["ClockStarted", "ClockReassigned"]
    clock = engine.clock()
    assert (clock.owner, clock.due_time, clock.breach_time) == (OTHER_REP, DUE, DUE)
    assert set(engine.alerts()[-1].recipients) == {OTHER_REP, SALES_MANAGER}


def test_a_handoff_voided_before_due_voids_the_clock_and_its_alerts(engine: Engine) -> None:
    engine.assign()
    engine.advance(hours=2)
    engine.sweep()
    engine.void()
    engine.now = DUE + timedelta(days=1)
    engine.sweep()

    assert engine.said() == ["ClockStarted", "RungFired:warn", "ClockVoided"]
    assert [alert.resolve_reason.value for alert in engine.alerts() if alert.resolve_reason] == ["VOID"]


def test_a_handoff_voided_after_due_keeps_its_breach(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(hours=2)
    engine.sweep()
    engine.void()

    assert engine.clock().outcome is Outcome.BREACHED
    assert not engine.clock().is_open
    assert "ClockVoided" not in engine.said()
    assert {alert.state.value for alert in engine.alerts()} == {"RESOLVED"}


def test_an_agreement_that_observes_measures_and_tells_nobody() -> None:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF, AT_DUE)), mode=Mode.OBSERVE))
    engine.submit()
    engine.assign()
    engine.now = DUE + timedelta(hours=1)
    engine.sweep()

    assert sorted(engine.said()) == ["ClockBreached", "ClockStarted", "RungFired:due", "RungFired:warn"]
    assert engine.alerts() == []


def test_a_miss_is_told_even_where_the_ladder_has_no_step_at_due() -> None:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(WARN_AT_HALF,))))
    engine.submit()
    engine.assign()
    engine.advance(hours=3)
    engine.sweep()
    engine.now = DUE + timedelta(seconds=1)
    engine.sweep()
    engine.sweep()

    assert [(alert.rung_id, alert.missed) for alert in engine.alerts()] == [("warn", False), ("breach", True)]
    assert set(engine.alerts()[1].recipients) == {REP, SALES_MANAGER}


def test_an_archived_handoff_runs_no_clock_until_somebody_takes_it_up() -> None:
    from smarketing.api.leads.v1 import events_pb2 as leadeventspb

    engine = Engine()
    engine.agree(some_terms(a_promise(CommitmentKind.ROUTE), a_promise()))
    engine.submit(historical=True, archived=True)
    engine.assign(manner=leadeventspb.HandoffAccepted.MANNER_IMPORTED)
    engine.advance(days=3)
    engine.sweep()

    assert engine.clocks() == []
    engine.assign(to=OTHER_REP)
    assert [clock.kind for clock in engine.clocks()] == [CommitmentKind.FIRST_FOLLOW_UP]


def test_imported_history_is_measured_and_alerts_nobody() -> None:
    from smarketing.api.leads.v1 import events_pb2 as leadeventspb

    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(AT_DUE,))))
    engine.submit(historical=True)
    engine.assign(manner=leadeventspb.HandoffAccepted.MANNER_IMPORTED)
    engine.now = DUE + timedelta(hours=1)
    engine.sweep()

    assert engine.clock().historical
    assert "ClockBreached" in engine.said()
    assert engine.alerts() == []


def test_a_follow_up_too_far_back_counts_for_nothing(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(days=4)
    engine.sweep()
    engine.follow_up(at=DUE - timedelta(minutes=1))

    assert engine.clock().outcome is Outcome.BREACHED
    assert "BreachRetracted" not in engine.said()
