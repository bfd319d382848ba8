"""Clocks that people let stand still, and clocks that are measured anew: by whom, and what is said of it."""

from datetime import timedelta
from typing import Any

import pytest

from services.sla.domain.agreement import PauseReason, Role
from services.sla.domain.course import Outcome
from services.sla.domain.pausing import PauseReasonUnknown
from services.sla.domain.refused import EtagStale, NotYours, StateForbids
from services.sla.store.tx import SlaTx
from services.sla.usecases.explain import states_of
from services.sla.usecases.pausing import OnPause, decide_pauses
from services.sla.usecases.reassess import Reassess, reassess
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import (
    MARKETING_MANAGER,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES_MANAGER,
    WARN_AT_HALF,
    Engine,
    a_promise,
    hours,
    some_terms,
)

HOLIDAY = PauseReason(code="BUYER_AWAY", grantors=(Role.MANAGER,))
AUDIT = PauseReason(code="AUDIT", grantors=(Role.OTHER_PARTY,), cap=hours(1), side="MARKETING")


class Desk(Engine):
    """An engine at which people have a say in clocks."""

    def say(
        self, code: str = "BUYER_AWAY", *, by: str = SALES_MANAGER, resumes: bool = False, etag: str = ""
    ) -> Any:
        """Say that the only clock is to stand still, or to run on; return the answer."""
        request = OnPause(name=self.clock().name, etag=etag, code=code, actor=by, resumes=resumes)
        with self.database.writer_engine.begin() as connection:
            tx = SlaTx(connection, self.archive, now=self.now)
            (answer,) = decide_pauses(self.archive, tx, [request], now=self.now)
        return answer

    def reassess(self) -> Any:
        """Have the only clock measured by what is in force."""
        request = Reassess(name=self.clock().name, etag="", actor=SALES_MANAGER)
        with self.database.writer_engine.begin() as connection:
            tx = SlaTx(connection, self.archive, now=self.now)
            (answer,) = reassess(self.archive, tx, [request], now=self.now)
        return answer


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.agree(some_terms(a_promise(steps=(WARN_AT_HALF,)), pause_reasons=(HOLIDAY, AUDIT)))
    desk.submit()
    desk.assign()
    return desk


def at(hour: float) -> Any:
    return MONDAY_NINE + timedelta(hours=hour)


def test_a_paused_clock_is_due_later_by_the_time_that_it_stood_still(desk: Desk) -> None:
    desk.now = at(1)
    assert desk.say().outcome is Outcome.PAUSED
    desk.now = at(3)
    resumed = desk.say(resumes=True)

    assert (resumed.outcome, resumed.due_time, resumed.original_due_time) == (Outcome.RUNNING, at(6), at(4))
    assert desk.said() == [
        "ClockStarted",
        "ClockPaused",
        "ClockPauseDecided",
        "ClockResumed",
        "ClockPauseDecided",
    ]


def test_who_paused_it_and_for_what_is_in_the_log(desk: Desk) -> None:
    desk.say("AUDIT", by=MARKETING_MANAGER)

    said = dict(desk.log())["ClockPauseDecided"]
    assert (said.reason_code, said.principal, said.resumed) == ("AUDIT", MARKETING_MANAGER, False)


def test_a_paused_clock_is_not_missed(desk: Desk) -> None:
    desk.now = at(1)
    desk.say()
    desk.now = at(8)
    desk.sweep()

    assert desk.clock().outcome is Outcome.PAUSED


def test_the_cap_of_a_reason_ends_a_pause_by_itself(desk: Desk) -> None:
    desk.now = at(1)
    desk.say("AUDIT", by=MARKETING_MANAGER)
    desk.now = at(2) + timedelta(seconds=1)
    desk.sweep()

    # One hour of standing still: due at two instead of one.
    assert (desk.clock().outcome, desk.clock().due_time) == (Outcome.RUNNING, at(5))


@pytest.mark.parametrize(
    ("by", "code"), [(REP, "BUYER_AWAY"), (SALES_MANAGER, "AUDIT"), (OTHER_REP, "AUDIT")]
)
def test_who_may_not_grant_a_reason_pauses_nothing(desk: Desk, by: str, code: str) -> None:
    assert isinstance(desk.say(code, by=by), NotYours)
    assert desk.clock().outcome is Outcome.RUNNING


def test_the_owner_may_let_a_clock_run_on_and_a_stranger_may_not(desk: Desk) -> None:
    desk.say()
    desk.advance(hours=1)

    assert isinstance(desk.say(by=OTHER_REP, resumes=True), NotYours)
    assert desk.say(by=REP, resumes=True).outcome is Outcome.RUNNING


def test_a_reason_that_the_agreement_does_not_know_is_refused_with_those_it_knows(desk: Desk) -> None:
    refused = desk.say("LUNCH")

    assert isinstance(refused, PauseReasonUnknown)
    assert refused.known == ("BUYER_AWAY", "AUDIT")


def test_a_clock_past_due_cannot_be_paused(desk: Desk) -> None:
    desk.now = at(4) + timedelta(seconds=1)
    desk.sweep()

    assert isinstance(desk.say(), StateForbids)


def test_saying_it_again_changes_nothing(desk: Desk) -> None:
    first = desk.say()
    desk.advance(hours=1)

    assert desk.say() == first
    assert desk.said().count("ClockPauseDecided") == 1


def test_who_looked_at_an_older_state_is_refused(desk: Desk) -> None:
    assert isinstance(desk.say(etag="0"), EtagStale)


def test_a_pause_outlives_a_restart(desk: Desk) -> None:
    desk.now = at(1)
    desk.say()
    desk.restart()
    desk.now = at(2)
    assert desk.say(resumes=True).due_time == at(5)


# Measured anew.


def test_a_later_version_moves_no_running_clock_until_somebody_says_so(desk: Desk) -> None:
    desk.now = at(1)
    desk.agree(some_terms(a_promise(target=6, steps=(WARN_AT_HALF,)), pause_reasons=(HOLIDAY, AUDIT)))
    desk.sweep()
    assert desk.clock().due_time == at(4)

    after = desk.reassess()

    assert (after.due_time, after.target, after.agreement_version[-1]) == (at(6), hours(6), "2")
    assert desk.clock() == after
    said = dict(desk.log())["ClockReassessed"]
    assert (said.principal, said.previous_agreement_version[-1]) == (SALES_MANAGER, "1")
    assert said.previous_due_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo) == at(4)


def test_a_reassessed_clock_is_missed_at_its_new_due_instant(desk: Desk) -> None:
    desk.now = at(1)
    desk.agree(some_terms(a_promise(target=6), pause_reasons=(HOLIDAY,)))
    desk.reassess()
    desk.now = at(5)
    desk.sweep()
    assert desk.clock().outcome is Outcome.RUNNING
    desk.now = at(6) + timedelta(seconds=1)
    desk.sweep()

    assert desk.clock().breach_time == at(6)


def test_a_clock_past_due_by_the_version_in_force_is_missed_then_and_there(desk: Desk) -> None:
    desk.now = at(3)
    desk.agree(some_terms(a_promise(target=2)))

    after = desk.reassess()

    assert (after.outcome, after.breach_time) == (Outcome.BREACHED, at(2))


def test_what_has_its_verdict_is_not_measured_anew(desk: Desk) -> None:
    desk.follow_up()

    assert isinstance(desk.reassess(), StateForbids)


def test_a_clock_is_moved_to_the_newest_version_of_its_calendar(desk: Desk) -> None:
    desk.now = at(1)
    closed_in_the_morning = Calendar.of("Asia/Seoul", {"mon": [["09:00", "11:00"], ["13:00", "18:00"]]})
    newest = desk.make_calendar(closed_in_the_morning)

    after = desk.reassess()

    # Two of four hours until eleven, the others from one o'clock on.
    assert (after.due_time, after.calendar_version) == (at(6), newest)
    desk.now = at(5)
    desk.sweep()
    assert desk.clock().outcome is Outcome.RUNNING
    desk.now = at(7)
    desk.sweep()
    assert desk.clock().breach_time == at(6)
    (state,) = states(desk).values()
    assert state.due_time == at(6)


def test_a_moved_clock_keeps_what_it_was_moved_to_whatever_else_is_learned(desk: Desk) -> None:
    desk.now = at(1)
    desk.agree(some_terms(a_promise(target=6)))
    desk.reassess()
    desk.agree(some_terms(a_promise(target=8)))
    desk.restart()
    desk.assign(to=OTHER_REP)

    assert (desk.clock().due_time, desk.clock().agreement_version[-1]) == (at(6), "2")
    desk.reassess()
    assert (desk.clock().due_time, desk.clock().agreement_version[-1]) == (at(8), "3")


def states(desk: Desk) -> Any:
    clocks = desk.clocks()
    with desk.database.reading() as connection:
        return states_of(connection, desk.archive, clocks, as_of=desk.now)
