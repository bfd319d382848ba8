from collections.abc import Sequence
from datetime import datetime

from services.sla.domain.agreement import AgreementVersion, CommitmentKind, Rung
from services.sla.domain.clock import evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.events import BreachRetracted, ClockEvent, ClockStarted, LateStopRecorded, RungFired
from services.sla.domain.recording import RecordedClock, changes, record
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars

HOUR = BusinessTime.of(hours=1)
ACCEPT = an_agreement(a_commitment(CommitmentKind.ACCEPT, rungs=()))
FOLLOW_UP = an_agreement(a_commitment(rungs=()))
LADDER = an_agreement(
    a_commitment(
        rungs=(Rung(id="half", percent=50), Rung(id="due", percent=100), Rung(id="after", offset=HOUR))
    )
)


class Engine:
    """Evaluates and records as the live engine does, and says in short what was new."""

    def __init__(self, agreement: AgreementVersion = FOLLOW_UP) -> None:
        self.agreement = agreement
        self.facts: list[Fact] = []
        self.records: list[RecordedClock] = []
        self.events: Sequence[ClockEvent] = ()

    def learn(self, kind: FactKind, time: str, **changed: object) -> "Engine":
        self.facts.append(a_fact(kind, mon(time), position=len(self.facts) + 1, **changed))
        return self

    def sweep(self, time: str) -> list[tuple[str, str]]:
        states = evaluate(self.agreement, calendars(), a_timeline(*self.facts), mon(time))
        self.events = changes(self.records, states)
        self.records = record(self.records, self.events)
        assert changes(self.records, states) == []
        return [(type(event).__name__, clock_of(event.occur_time)) for event in self.events]


def mon(text: str) -> datetime:
    day, _, time = text.rpartition(" ")
    return at(f"2026-09-{day or '21'}T{time}:00+09:00")


def clock_of(time: datetime) -> str:
    return f"{(time - mon('00:00')).total_seconds() / 3600:g}h"


def rungs(engine: Engine) -> list[tuple[str, bool]]:
    return [(event.rung, event.is_delivered) for event in engine.events if isinstance(event, RungFired)]


def test_a_clock_starts_once_and_pins_its_versions():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00")

    assert engine.sweep("10:00") == [("ClockStarted", "10h")]
    (started,) = engine.events
    assert isinstance(started, ClockStarted)
    assert (started.due_time, started.agreement_version, started.calendar) == (mon("14:00"), 1, "office")
    assert engine.sweep("11:00") == []


def test_a_breach_is_at_due_however_late_it_is_found_out():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00")

    assert engine.sweep("22 17:00") == [("ClockStarted", "10h"), ("ClockBreached", "14h")]
    assert engine.sweep("23 17:00") == []


def test_nothing_is_breached_at_the_due_instant_itself():
    assert Engine().learn(FactKind.ACCEPTED, "10:00").sweep("14:00") == [("ClockStarted", "10h")]


def test_a_late_stop_records_how_late_and_clears_nothing():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00")
    engine.sweep("15:00")

    assert engine.learn(FactKind.FOLLOW_UP, "16:00").sweep("17:00") == [("LateStopRecorded", "16h")]
    assert isinstance(engine.events[0], LateStopRecorded)
    assert engine.events[0].late_by == HOUR * 2
    assert engine.records[0].outcome is Outcome.BREACHED


def test_evidence_that_came_late_of_something_in_time_retracts_the_breach_once():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00")
    engine.sweep("15:00")
    engine.learn(FactKind.FOLLOW_UP, "13:00", record_time=mon("16:00"))

    assert engine.sweep("16:00") == [("BreachRetracted", "14h"), ("ClockMet", "13h")]
    assert isinstance(engine.events[0], BreachRetracted)
    assert engine.sweep("17:00") == []
    assert engine.records[0].breach_time is None


def test_a_met_clock_stays_met_whatever_is_learned_but_a_reopening():
    engine = Engine().learn(FactKind.ACCEPTED, "12:00").learn(FactKind.FOLLOW_UP, "15:00")
    engine.sweep("15:00")

    engine.learn(FactKind.ACCEPTED, "09:00", record_time=mon("16:00"))
    assert engine.sweep("16:00") == []
    assert engine.records[0].outcome is Outcome.MET


def test_nothing_changes_void():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00").learn(FactKind.VOIDED, "12:00")
    engine.sweep("12:00")

    engine.learn(FactKind.FOLLOW_UP, "11:00", record_time=mon("13:00"))
    assert engine.sweep("13:00") == []
    assert engine.records[0].outcome is Outcome.VOID


def test_pauses_are_told_of_when_they_begin_and_end_each_once():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00").learn(FactKind.PAUSED, "11:00", reason="buyer_asked")

    assert engine.sweep("11:30") == [("ClockStarted", "10h"), ("ClockPaused", "11h")]
    assert engine.learn(FactKind.RESUMED, "12:00").sweep("12:30") == [("ClockResumed", "12h")]
    engine.learn(FactKind.PAUSED, "13:00", reason="buyer_asked").learn(FactKind.FOLLOW_UP, "13:30")
    assert engine.sweep("14:00") == [("ClockPaused", "13h"), ("ClockResumed", "13.5h"), ("ClockMet", "13.5h")]


def test_a_pause_that_turns_out_to_be_none_is_ended_where_it_began():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00").learn(FactKind.PAUSED, "11:00", reason="buyer_asked")
    engine.sweep("11:30")

    engine.learn(FactKind.RESUMED, "11:00", record_time=mon("12:00"))
    assert engine.sweep("12:00") == [("ClockResumed", "11h")]
    assert engine.records[0].outcome is Outcome.RUNNING


def test_a_reopening_begins_the_next_cycle_of_a_met_clock():
    engine = Engine(ACCEPT).learn(FactKind.OFFERED, "10:00").learn(FactKind.REJECTED, "11:00")
    engine.sweep("12:00")

    assert engine.learn(FactKind.DISPUTE_OVERTURNED, "13:00").sweep("13:30") == [("ClockReopened", "13h")]
    assert [event.cycle for event in engine.events] == [2]
    assert engine.sweep("17:30") == [("ClockBreached", "16h")]
    assert (engine.records[0].cycle, engine.records[0].outcome) == (2, Outcome.BREACHED)


def test_a_reopening_found_together_with_its_stop_is_told_after_it():
    engine = Engine(ACCEPT).learn(FactKind.OFFERED, "10:00").learn(FactKind.REJECTED, "11:00")
    engine.learn(FactKind.DISPUTE_OVERTURNED, "13:00")

    assert engine.sweep("13:30") == [("ClockStarted", "10h"), ("ClockMet", "11h"), ("ClockReopened", "13h")]


def test_each_rung_fires_once_when_its_instant_has_come():
    engine = Engine(LADDER).learn(FactKind.ACCEPTED, "10:00")
    fired = []
    for time in ("11:59", "12:00", "13:00", "14:00", "14:01", "15:00", "17:00"):
        engine.sweep(time)
        fired.append(rungs(engine))

    assert fired == [[], [("half", True)], [], [("due", True)], [], [("after", True)], []]


def test_of_rungs_found_past_together_all_are_recorded_in_order_and_only_the_highest_is_delivered():
    engine = Engine(LADDER).learn(FactKind.ACCEPTED, "10:00")
    engine.sweep("16:00")

    assert rungs(engine) == [("half", False), ("due", False), ("after", True)]


def test_nobody_is_told_of_history_nor_of_what_is_already_done():
    history = Engine(LADDER).learn(FactKind.ACCEPTED, "10:00", is_history=True)
    done = Engine(LADDER).learn(FactKind.ACCEPTED, "10:00").learn(FactKind.FOLLOW_UP, "13:00")
    history.sweep("16:00")
    done.sweep("16:00")

    assert rungs(history) == [("half", False), ("due", False), ("after", False)]
    assert rungs(done) == [("half", False)]


def test_a_rung_that_fired_stays_fired_when_a_late_pause_moves_it():
    engine = Engine(LADDER).learn(FactKind.ACCEPTED, "10:00")
    engine.sweep("12:00")
    engine.learn(FactKind.PAUSED, "11:00", reason="buyer_asked", record_time=mon("12:10"))
    engine.learn(FactKind.RESUMED, "12:10")
    engine.sweep("13:10")

    assert rungs(engine) == []
    assert engine.records[0].fired == {"half"}


def test_an_excuse_follows_the_breach_and_evidence_in_time_still_retracts_it():
    engine = Engine().learn(FactKind.ACCEPTED, "10:00")
    engine.learn(FactKind.EXCUSED, "13:00", commitment="first_follow_up")

    assert engine.sweep("15:00") == [
        ("ClockStarted", "10h"),
        ("ClockBreached", "14h"),
        ("BreachExcused", "14h"),
    ]
    engine.learn(FactKind.FOLLOW_UP, "13:00", record_time=mon("16:00"))
    assert engine.sweep("16:00") == [("BreachRetracted", "14h"), ("ClockMet", "13h")]
