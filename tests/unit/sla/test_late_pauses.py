"""A pause that is learned of only after the breach it would have prevented."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from services.sla.domain.agreement import AgreementVersion, Party, Rung, TimeBasis
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.events import ClockBreached, ClockMet, ClockReopened, ClockVoided
from services.sla.domain.holders import Holders
from services.sla.domain.recorded import Advance, Clock, Setting, advance, begin
from services.sla.domain.timeline import Fact, FactKind
from smarketing.businesstime import BusinessTime
from tests.builders.sla import a_commitment, a_fact, a_timeline, an_agreement, at, calendars

AGREEMENT = an_agreement(
    a_commitment(rungs=(Rung(id="half", percent=50), Rung(id="due", percent=100))),
    name="tenants/t/agreements/main/versions/1",
)
"""Four hours to the first follow-up, in an office that opens at nine."""


def mon(time: str) -> datetime:
    return at(f"2026-09-21T{time}:00+09:00")


class Kept:
    """One clock from ten o'clock, kept as the service keeps it; each look notes what was new."""

    def __init__(self, agreement: AgreementVersion = AGREEMENT) -> None:
        self.agreement = agreement
        self.facts: list[Fact] = []
        self.clock: Clock | None = None
        self.changes: list[Advance] = []
        self.learn(FactKind.ACCEPTED, "10:00")

    def learn(self, kind: FactKind, time: str, **changed: object) -> None:
        self.facts.append(a_fact(kind, mon(time), position=len(self.facts) + 1, **changed))

    def learn_of_a_pause(self, start: str, end: str | None = None) -> None:
        self.learn(FactKind.PAUSED, start, reason="buyer_asked")
        if end is not None:
            self.learn(FactKind.RESUMED, end, reason="buyer_asked")

    def look(self, time: str) -> list[tuple[str, int]]:
        (state,) = evaluate(self.agreement, calendars(), a_timeline(*self.facts), mon(time))
        change = self._decided(state, mon(time))
        if change is None:
            return []
        self.clock = change.clock
        self.changes.append(change)
        again = self._decided(state, mon(time))
        assert again is None
        return [(type(each).__name__, getattr(each, "cycle", 0)) for each in change.happenings]

    def _decided(self, state: ClockState, now: datetime) -> Advance | None:
        setting = Setting(Holders(), enforced=True, as_of=now, now=now)
        if self.clock is None:
            return begin(_blank(state), state, setting)
        return advance(self.clock, state, setting)

    def verdicts(self) -> Counter[int]:
        """Count the verdicts of each cycle."""
        return Counter(
            each.cycle
            for change in self.changes
            for each in change.happenings
            if isinstance(each, ClockMet | ClockBreached | ClockVoided)
        )


def _blank(state: ClockState) -> Clock:
    return Clock(
        tenant="t",
        id="c",
        handoff=state.key.handoff,
        agreement="main",
        agreement_version="tenants/t/agreements/main/versions/1",
        calendar_version="tenants/t/calendars/office/versions/1",
        commitment_id=state.key.commitment,
        kind=state.kind,
        basis=TimeBasis.BUSINESS,
        parties=(Party.SALES,),
        target=state.target,
        start_time=state.start_time,
        original_due_time=state.original_due_time,
        due_time=state.original_due_time,
        elapsed=BusinessTime(),
        paused=BusinessTime(),
    )


def breached_at_two() -> Kept:
    kept = Kept()
    kept.look("14:30")
    assert kept.clock is not None
    assert kept.clock.breach_time == mon("14:00")
    return kept


def test_a_breach_that_a_late_pause_undoes_is_taken_back_and_the_clock_runs_on_as_its_next_cycle() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("11:00", "12:00")

    said = kept.look("14:40")
    assert said[:2] == [("BreachRetracted", 1), ("ClockReopened", 2)]
    assert kept.clock is not None
    assert (kept.clock.outcome, kept.clock.cycle, kept.clock.due_time, kept.clock.breach_time) == (
        Outcome.RUNNING,
        2,
        mon("15:00"),
        None,
    )


def test_a_clock_that_breaches_again_after_a_late_pause_does_so_in_another_cycle_and_tells_it() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("11:00", "12:00")
    kept.look("14:40")

    assert kept.look("15:10") == [("ClockBreached", 2)]
    assert kept.verdicts() == {1: 1, 2: 1}
    assert kept.clock is not None
    assert (kept.clock.breach_time, kept.clock.detect_time) == (mon("15:00"), mon("15:10"))
    tell = kept.changes[-1].tell
    assert tell is not None
    assert tell.missed


def test_when_the_pause_is_learned_of_makes_no_difference_to_the_breach_that_stands() -> None:
    between, after_both = breached_at_two(), breached_at_two()
    for kept in (between, after_both):
        kept.learn_of_a_pause("11:00", "12:00")
    between.look("14:40")
    between.look("16:00")
    said = after_both.look("16:00")

    verdicts = [each for each in said if each[0] not in {"ClockPaused", "ClockResumed"}]
    assert verdicts == [("BreachRetracted", 1), ("ClockReopened", 2), ("ClockBreached", 2)]
    assert between.clock is not None
    assert after_both.clock is not None
    assert replace(between.clock, generation=0) == replace(after_both.clock, generation=0)


def test_a_follow_up_within_the_time_that_a_late_pause_gives_meets_the_next_cycle() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("11:00", "12:00")
    kept.look("14:40")
    kept.learn(FactKind.FOLLOW_UP, "14:50", person="rep")

    assert kept.look("14:50") == [("ClockMet", 2)]
    assert kept.look("17:00") == []


def test_a_follow_up_that_the_pause_puts_in_time_takes_the_breach_back_and_no_cycle_begins() -> None:
    kept = breached_at_two()
    kept.learn(FactKind.FOLLOW_UP, "14:50", person="rep")
    assert kept.look("14:50") == [("LateStopRecorded", 1)]
    kept.learn_of_a_pause("11:00", "12:00")

    kinds = [type(each) for change in kept.changes for each in change.happenings]
    assert ("BreachRetracted", 1) in kept.look("15:00")
    assert ClockReopened not in kinds
    assert kept.clock is not None
    assert (kept.clock.outcome, kept.clock.cycle) == (Outcome.MET, 1)


def test_two_late_pauses_take_back_two_breaches_of_two_cycles() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("11:00", "12:00")
    kept.look("15:10")
    kept.learn_of_a_pause("12:30", "13:30")
    kept.look("15:20")
    kept.look("16:10")

    assert kept.verdicts() == {1: 1, 2: 1, 3: 1}
    assert kept.clock is not None
    assert kept.clock.breach_time == mon("16:00")


def test_a_pause_that_began_before_due_and_goes_on_takes_the_breach_back_until_it_ends() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("13:00")
    kept.look("14:40")
    assert kept.clock is not None
    assert (kept.clock.outcome, kept.clock.cycle) == (Outcome.PAUSED, 2)
    kept.learn(FactKind.RESUMED, "15:00", reason="buyer_asked")
    kept.look("16:30")

    assert kept.clock.breach_time == mon("16:00")
    assert kept.verdicts() == {1: 1, 2: 1}


def test_a_pause_learned_of_late_that_began_at_due_or_later_takes_nothing_back() -> None:
    kept = breached_at_two()
    kept.learn_of_a_pause("14:00", "14:20")

    assert "BreachRetracted" not in [name for name, _ in kept.look("14:40")]
    assert kept.clock is not None
    assert kept.clock.breach_time == mon("14:00")
