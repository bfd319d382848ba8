"""Two handoffs said to be of one person, and unsaid again: which clock survives, and what nobody erases."""

from datetime import timedelta
from typing import Any

import pytest

from services.sla.domain.agreement import Attempts, CommitmentKind
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from tests.builders.sla_engine import HANDOFF, MONDAY_NINE, TENANT, Engine, a_promise, some_terms

LEAD = f"{TENANT}/leads/l1"
OTHER_LEAD = f"{TENANT}/leads/l2"
OTHER = f"{OTHER_LEAD}/handoffs/h1"


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise()))
    engine.submit()
    engine.submit(OTHER)
    return engine


def merge(engine: Engine) -> None:
    """Say it as `leads` does: void first, then who goes on."""
    void = leadeventspb.HandoffVoided(handoff=OTHER, reason_code="MERGED")
    merged = leadeventspb.LeadsMerged(
        lead=LEAD, merged_lead=OTHER_LEAD, handoff=HANDOFF, merged_handoffs=[OTHER]
    )
    engine.deliver([engine.event(OTHER, void), engine.event(LEAD, merged)])


def unmerge(engine: Engine) -> None:
    restored = leadeventspb.LeadsUnmerged.RestoredHandoff(handoff=OTHER)
    engine.tell(
        LEAD,
        leadeventspb.LeadsUnmerged(
            lead=LEAD, merged_lead=OTHER_LEAD, handoff=HANDOFF, restored_handoffs=[restored]
        ),
    )


def of(engine: Engine, handoff: str) -> Clock:
    (clock,) = (each for each in engine.clocks() if each.handoff == handoff)
    return clock


def at(hour: float) -> Any:
    return MONDAY_NINE + timedelta(hours=hour)


def test_the_clock_that_started_first_survives_as_that_of_the_handoff_that_goes_on(engine: Engine) -> None:
    engine.assign(OTHER)
    engine.advance(hours=1)
    engine.assign()
    engine.advance(hours=1)
    merge(engine)

    # Four hours from nine, though this handoff was assigned at ten.
    assert (of(engine, HANDOFF).start_time, of(engine, HANDOFF).due_time) == (at(0), at(4))
    assert (of(engine, OTHER).outcome, of(engine, OTHER).void_reason) == (Outcome.VOID, "VOIDED:MERGED")
    # Whoever follows the log knows when it is due now.
    kind, last = engine.log()[-1]
    assert (kind, last.clock.due_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo)) == ("ClockReassigned", at(4))


def test_a_clock_that_was_here_first_keeps_its_start(engine: Engine) -> None:
    engine.assign()
    engine.advance(hours=1)
    engine.assign(OTHER)
    engine.advance(hours=1)
    merge(engine)

    assert of(engine, HANDOFF).due_time == at(4)


def test_a_follow_up_on_either_handoff_meets_the_clock_that_survives(engine: Engine) -> None:
    engine.assign()
    engine.assign(OTHER)
    engine.advance(hours=1)
    engine.follow_up(OTHER)
    engine.advance(hours=1)
    assert of(engine, HANDOFF).outcome is Outcome.RUNNING
    merge(engine)

    # The other's was met before, and stays so; whoever started with it counts from its own instant.
    assert of(engine, OTHER).outcome is Outcome.MET
    assert (of(engine, HANDOFF).outcome, of(engine, HANDOFF).stop_time) == (Outcome.MET, at(1))


def test_a_miss_from_before_the_merge_stays_whatever_the_other_handoff_shows(engine: Engine) -> None:
    engine.assign()
    engine.advance(hours=1)
    engine.assign(OTHER)
    engine.follow_up(OTHER)
    engine.advance(hours=4)
    engine.sweep()
    assert of(engine, HANDOFF).outcome is Outcome.BREACHED
    merge(engine)

    assert of(engine, HANDOFF).outcome is Outcome.BREACHED
    assert "BreachRetracted" not in engine.said()


def test_one_promise_is_missed_once_where_the_other_handoff_had_missed_it_first(engine: Engine) -> None:
    engine.assign(OTHER)
    engine.advance(hours=3)
    engine.assign()
    engine.advance(hours=2)
    engine.sweep()
    merge(engine)
    engine.advance(hours=8)
    engine.sweep()

    assert of(engine, OTHER).outcome is Outcome.BREACHED
    assert (of(engine, HANDOFF).outcome, of(engine, HANDOFF).void_reason) == (Outcome.VOID, "MERGED")
    assert engine.said().count("ClockBreached") == 1


def test_a_restored_handoffs_clock_runs_on_as_its_next_cycle_without_the_time_between(engine: Engine) -> None:
    engine.assign()
    engine.assign(OTHER)
    engine.advance(hours=1)
    merge(engine)
    engine.advance(hours=2)
    unmerge(engine)

    clock = of(engine, OTHER)
    # One hour of four was used; the two in which nobody could work it count as a pause.
    assert (clock.outcome, clock.cycle, clock.start_time, clock.due_time) == (
        Outcome.RUNNING,
        2,
        at(0),
        at(6),
    )
    of_other = [kind for kind, said in engine.log() if kind != "AlertChanged" and said.clock.handoff == OTHER]
    assert of_other == ["ClockStarted", "ClockVoided", "ClockReopened"]


def test_a_restored_handoffs_clock_can_be_missed_in_its_next_cycle(engine: Engine) -> None:
    engine.assign()
    engine.assign(OTHER)
    merge(engine)
    engine.advance(hours=1)
    unmerge(engine)
    engine.now = at(5) + timedelta(seconds=1)
    engine.sweep()

    assert (of(engine, OTHER).outcome, of(engine, OTHER).breach_time) == (Outcome.BREACHED, at(5))


def test_what_only_the_others_follow_up_had_met_runs_on_when_they_part(engine: Engine) -> None:
    engine.assign()
    engine.assign(OTHER)
    engine.advance(hours=1)
    engine.follow_up(OTHER)
    merge(engine)
    engine.advance(hours=2)
    unmerge(engine)

    clock = of(engine, HANDOFF)
    # Met at ten by the other's follow-up, parted at noon: three of four hours are left from then on.
    assert (clock.outcome, clock.cycle, clock.due_time) == (Outcome.RUNNING, 2, at(6))
    assert of(engine, OTHER).outcome is Outcome.MET


def test_what_was_void_for_the_others_miss_runs_on_when_they_part(engine: Engine) -> None:
    engine.assign(OTHER)
    engine.advance(hours=3)
    engine.assign()
    engine.advance(hours=2)
    engine.sweep()
    merge(engine)
    engine.advance(hours=1)
    unmerge(engine)

    clock = of(engine, HANDOFF)
    # Assigned at noon, void from two to three, so that six is two hours before the end of what is given.
    assert (clock.outcome, clock.cycle, clock.paused.microseconds) == (Outcome.RUNNING, 2, 3_600_000_000)
    assert of(engine, OTHER).outcome is Outcome.BREACHED


def test_a_merge_told_twice_and_read_after_a_restart_changes_nothing(engine: Engine) -> None:
    engine.assign()
    engine.assign(OTHER)
    engine.advance(hours=1)
    engine.follow_up(OTHER)
    merge(engine)
    before = engine.said()
    engine.restart()
    engine.sweep()

    assert engine.said() == before


def test_attempts_on_both_handoffs_count_together_from_the_earlier_start() -> None:
    engine = Engine()
    three = a_promise(CommitmentKind.ATTEMPTS, target=8, attempts=Attempts(count=3))
    engine.agree(some_terms(three))
    engine.submit()
    engine.submit(OTHER)
    engine.assign(OTHER)
    engine.follow_up(OTHER)
    engine.advance(hours=1)
    engine.assign()
    engine.follow_up()
    engine.advance(hours=1)
    merge(engine)

    clock = of(engine, HANDOFF)
    assert (clock.outcome, clock.start_time, clock.due_time) == (Outcome.RUNNING, at(0), at(8))
    engine.advance(hours=1)
    engine.follow_up()
    # The third of them all.
    assert (of(engine, HANDOFF).outcome, of(engine, HANDOFF).stop_time) == (Outcome.MET, at(3))


# An outcome after a follow-up, four hours after it.


@pytest.fixture
def asked_by_the_other() -> Engine:
    """One handoff with no follow-up, and another one with a follow-up of nine o'clock, assigned both."""
    engine = Engine()
    engine.agree(some_terms(a_promise(CommitmentKind.DISPOSITION)))
    for handoff in (HANDOFF, OTHER):
        engine.submit(handoff)
        engine.assign(handoff)
    engine.follow_up(OTHER)
    return engine


def test_the_handoff_that_goes_on_owes_the_outcome_that_the_others_follow_up_asked_for(
    asked_by_the_other: Engine,
) -> None:
    engine = asked_by_the_other
    engine.advance(hours=1)
    merge(engine)

    clock = of(engine, HANDOFF)
    assert (clock.outcome, clock.start_time, clock.due_time) == (Outcome.RUNNING, at(0), at(4))
    assert of(engine, OTHER).outcome is Outcome.VOID
    engine.now = at(5)
    engine.sweep()
    assert (of(engine, HANDOFF).outcome, of(engine, HANDOFF).breach_time) == (Outcome.BREACHED, at(4))


def test_an_outcome_of_the_handoff_that_goes_on_answers_the_others_follow_up(
    asked_by_the_other: Engine,
) -> None:
    engine = asked_by_the_other
    merge(engine)
    engine.advance(hours=1)
    engine.tell(HANDOFF, leadeventspb.HandoffQualified(handoff=HANDOFF, person=HANDOFF))

    assert of(engine, HANDOFF).outcome is Outcome.MET


def test_one_outcome_is_owed_where_both_handoffs_were_followed_up(asked_by_the_other: Engine) -> None:
    engine = asked_by_the_other
    engine.advance(hours=1)
    engine.follow_up()
    merge(engine)

    # The own one asked for it: what follows here is due by that.
    assert (of(engine, HANDOFF).start_time, of(engine, HANDOFF).outcome) == (at(1), Outcome.RUNNING)


def test_what_the_other_had_missed_before_the_merge_is_not_missed_again(asked_by_the_other: Engine) -> None:
    engine = asked_by_the_other
    engine.advance(hours=5)
    engine.sweep()
    merge(engine)
    engine.advance(hours=5)
    engine.sweep()

    assert engine.said().count("ClockBreached") == 1
    assert [clock.handoff for clock in engine.clocks()] == [OTHER]


def test_an_outcome_owed_for_the_other_alone_is_owed_by_it_again_once_they_part(
    asked_by_the_other: Engine,
) -> None:
    engine = asked_by_the_other
    merge(engine)
    engine.advance(hours=1)
    unmerge(engine)

    assert (of(engine, HANDOFF).outcome, of(engine, HANDOFF).void_reason) == (Outcome.VOID, "SEPARATED")
    assert (of(engine, OTHER).outcome, of(engine, OTHER).due_time) == (Outcome.RUNNING, at(5))
