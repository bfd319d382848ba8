"""When an event happened decides, never when it arrived; docs/timers.md has the whole table."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.sla.domain.course import Outcome
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import AT_DUE, HANDOFF, MONDAY_NINE, REP, SALES, Engine, a_promise, some_terms

DUE = MONDAY_NINE + timedelta(hours=4)
MOMENT = timedelta(microseconds=1)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(steps=(AT_DUE,))))
    engine.submit()
    return engine


def assigned(engine: Engine, at: datetime) -> eventlogpb.Event:
    payload = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)
    return engine.event(HANDOFF, payload, at=at)


def followed_up(engine: Engine, at: datetime) -> eventlogpb.Event:
    grade = termspb.EVIDENCE_GRADE_SELF_REPORTED
    payload = leadeventspb.FollowUpLogged(handoff=HANDOFF, person=REP, team=SALES, grade=grade)
    return engine.event(HANDOFF, payload, at=at)


def voided(engine: Engine, at: datetime) -> eventlogpb.Event:
    payload = leadeventspb.HandoffVoided(handoff=HANDOFF, reason_code="TEST")
    return engine.event(HANDOFF, payload, at=at)


def verdicts(engine: Engine) -> list[str]:
    return [each for each in engine.said() if not each.startswith("RungFired")]


def test_at_the_due_instant_itself_a_sweep_warns_and_calls_nothing_missed(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE
    engine.sweep()

    assert engine.said() == ["ClockStarted", "RungFired:due"]
    engine.now = DUE + MOMENT
    engine.sweep()
    assert engine.said() == ["ClockStarted", "RungFired:due", "ClockBreached"]


def test_a_follow_up_a_microsecond_after_due_is_late_by_that(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + MOMENT
    engine.follow_up()

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "ClockStoppedLate"]
    late = next(payload for kind, payload in engine.log() if kind == "ClockStoppedLate")
    assert late.late_duration.ToMicroseconds() == 1


def test_evidence_of_a_follow_up_exactly_at_due_takes_the_breach_back(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=5)
    engine.sweep()
    engine.follow_up(at=DUE)

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "BreachRetracted"]
    assert engine.clock().outcome is Outcome.MET


def test_a_follow_up_that_is_told_before_it_happens_counts_at_its_instant_and_not_before(
    engine: Engine,
) -> None:
    engine.assign()
    engine.now = DUE - timedelta(seconds=30)
    engine.deliver([followed_up(engine, DUE - timedelta(seconds=10))])
    assert verdicts(engine) == ["ClockStarted"]
    engine.now = DUE - timedelta(seconds=10)
    engine.sweep()

    assert verdicts(engine) == ["ClockStarted", "ClockMet"]


def test_a_follow_up_that_is_told_before_due_and_happens_after_it_is_late(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE - timedelta(seconds=10)
    engine.deliver([followed_up(engine, DUE + timedelta(seconds=20))])
    engine.now = DUE + timedelta(minutes=1)
    engine.sweep()

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "ClockStoppedLate"]
    assert engine.clock().breach_time == DUE


def test_evidence_that_takes_a_breach_back_does_so_once_however_often_it_arrives(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=5)
    engine.sweep()
    event = followed_up(engine, DUE - timedelta(minutes=1))
    for _ in range(3):
        engine.deliver([event, event])
        engine.sweep()

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "BreachRetracted"]


def test_a_late_stop_is_recorded_once_however_often_it_arrives(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=5)
    event = followed_up(engine, engine.now)
    for _ in range(3):
        engine.deliver([event, event])

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "ClockStoppedLate"]


def test_an_earlier_follow_up_that_arrives_after_a_later_one_changes_no_met_clock(engine: Engine) -> None:
    engine.assign()
    engine.now = MONDAY_NINE + timedelta(hours=2)
    engine.follow_up()
    engine.follow_up(at=MONDAY_NINE + timedelta(hours=1))

    assert verdicts(engine) == ["ClockStarted", "ClockMet"]
    assert engine.clock().stop_time == MONDAY_NINE + timedelta(hours=2)


def test_an_earlier_follow_up_in_time_that_arrives_after_a_late_one_takes_the_breach_back(
    engine: Engine,
) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=5)
    engine.follow_up()
    engine.follow_up(at=DUE - timedelta(minutes=5))

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "ClockStoppedLate", "BreachRetracted"]
    assert engine.clock().stop_time == DUE - timedelta(minutes=5)


def test_a_follow_up_that_arrives_before_its_assignment_meets_the_clock_once_that_is_known(
    engine: Engine,
) -> None:
    engine.now = MONDAY_NINE + timedelta(hours=1)
    engine.deliver([followed_up(engine, engine.now)])
    assert engine.said() == []
    engine.deliver([assigned(engine, MONDAY_NINE)])

    assert verdicts(engine) == ["ClockStarted", "ClockMet"]
    assert engine.clock().start_time == MONDAY_NINE


def test_an_assignment_that_arrives_after_due_is_breached_at_its_due_instant(engine: Engine) -> None:
    engine.now = DUE + timedelta(hours=1)
    engine.deliver([assigned(engine, MONDAY_NINE)])
    engine.sweep()

    assert verdicts(engine) == ["ClockStarted", "ClockBreached"]
    assert (engine.clock().breach_time, engine.clock().detect_time) == (DUE, engine.now)


def test_an_assignment_that_arrives_twice_starts_one_clock(engine: Engine) -> None:
    event = assigned(engine, MONDAY_NINE)
    engine.deliver([event, event])
    engine.deliver([event])

    assert engine.said() == ["ClockStarted"]


def test_a_handoff_voided_exactly_at_due_owes_nothing(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE
    engine.void()
    engine.advance(hours=1)
    engine.sweep()

    assert verdicts(engine) == ["ClockStarted", "ClockVoided"]


def test_a_voiding_before_due_that_arrives_late_takes_the_breach_back(engine: Engine) -> None:
    engine.assign()
    engine.now = DUE + timedelta(minutes=5)
    engine.sweep()
    event = voided(engine, DUE - timedelta(minutes=1))
    engine.deliver([event])
    engine.deliver([event, event])

    assert verdicts(engine) == ["ClockStarted", "ClockBreached", "BreachRetracted", "ClockVoided"]
    assert engine.clock().outcome is Outcome.VOID


def test_a_voiding_that_is_told_before_a_follow_up_of_before_it_arrives_stays(engine: Engine) -> None:
    engine.assign()
    engine.now = MONDAY_NINE + timedelta(hours=2)
    engine.void()
    engine.follow_up(at=MONDAY_NINE + timedelta(hours=1))

    assert verdicts(engine) == ["ClockStarted", "ClockVoided"]


def test_every_test_that_the_table_of_arrivals_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "timers.md").read_text()))
    folders = (ROOT / "tests" / "unit" / "sla", ROOT / "tests" / "unit" / "sla_engine")
    there = {
        name
        for folder in folders
        for file in folder.glob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }

    assert len(named) > 20
    assert named <= there
