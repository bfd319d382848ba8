"""The algebra of clocks: a tick-by-tick model beside the course, and laws that hold of every history."""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.domain.agreement import AgreementVersion, CommitmentKind, Rung
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.condition import Attributes
from services.sla.domain.course import Mark, Outcome, Step, instant_of, run, typed_intervals
from services.sla.domain.events import ClockBreached, ClockEvent, RungFired
from services.sla.domain.recording import RecordedClock, changes, record
from services.sla.domain.timeline import Fact, FactKind, Timeline
from smarketing.businesstime import BusinessTime, Calendar, Openings, Window, to_us
from tests.builders.sla import a_commitment, a_fact, an_agreement, at, calendars

# `make prove` raises this: the number of times more examples than in everyday runs.
MORE = int(os.environ.get("PROVE", "1"))
checked = settings(max_examples=100 * MORE, deadline=None)

ORIGIN = at("2026-09-21T00:00:00+00:00")
START_US = to_us(ORIGIN)
TICK = 900_000_000
TICKS = 200


@st.composite
def mazes(draw: st.DrawFn) -> tuple[Openings, list[bool]]:
    """A calendar on quarters of an hour, and whether each tick from the origin is open."""
    edges = sorted(draw(st.sets(st.integers(0, 95), min_size=2, max_size=8)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    week = tuple(
        tuple(Window(a * 900, b * 900) for a, b in pairs) if draw(st.booleans()) or day == 0 else ()
        for day in range(7)
    )
    openings = Openings(Calendar(zone="Etc/UTC", hours=week))
    opened = [
        any(window.opens <= tick % 96 * 900 < window.closes for window in week[tick // 96 % 7])
        for tick in range(TICKS)
    ]
    return openings, opened


MARKS = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.sampled_from([Step.START, Step.START, Step.STOP, Step.REOPEN, Step.PAUSE, Step.RESUME, Step.EXIT]),
        st.integers(0, 1),
    ),
    max_size=12,
).map(lambda marks: sorted(marks, key=lambda mark: mark[0]))


class Model:
    """A clock that is walked through tick by tick, with a counter instead of arithmetic."""

    def __init__(self, target: int) -> None:
        self.left, self.elapsed, self.paused = target, 0, 0
        self.due: int | None = None
        self.outcome: Outcome | None = None
        self.held: set[int] = set()
        self.holds = False
        self.is_gap = False

    def mark(self, step: Step, key: int, tick: int) -> None:
        if self.outcome in (Outcome.BREACHED, Outcome.VOID) and self.is_gap:
            return
        if step is Step.PAUSE:
            self.held.add(key)
        elif step is Step.RESUME:
            self.held.discard(key)
        elif step is Step.START and self.outcome is None:
            self.outcome = Outcome.RUNNING
            self.due = tick if self.left == 0 else None
        elif step in (Step.STOP, Step.EXIT) and self.outcome is not None and not self.is_gap:
            in_time = Outcome.MET if step is Step.STOP else Outcome.VOID
            self.outcome = Outcome.BREACHED if self.outcome is Outcome.BREACHED else in_time
            self.is_gap = True
            self.held.clear()
        elif step is Step.REOPEN and self.outcome is Outcome.MET and self.is_gap:
            self.outcome, self.is_gap = Outcome.RUNNING, False
            if self.due is not None and tick > self.due:
                self.outcome = Outcome.BREACHED

    def pass_tick(self, tick: int, is_open: bool) -> None:
        """Let the time from this tick to the next one pass."""
        if self.outcome is None or (self.is_gap and self.outcome is not Outcome.MET):
            return
        if self.due is not None and not self.is_gap:
            self.outcome = Outcome.BREACHED
        if self.held or self.is_gap:
            self.paused += is_open
        elif is_open:
            self.elapsed += 1
            self.left -= 1
            if self.left == 0:
                self.due = tick + 1


def modelled(
    target: int, marks: Sequence[tuple[int, Step, int]], opened: Sequence[bool], as_of: int
) -> Model:
    model = Model(target)
    settled = (0, 0)
    for tick in range(as_of + 1):
        for when, step, key in marks:
            if when == tick:
                was_gap = model.is_gap
                model.mark(step, key, tick)
                if model.is_gap and not was_gap:
                    # What passes after a stop belongs to the clock only if the stop is undone.
                    settled = (model.elapsed, model.paused)
        if tick < as_of:
            model.pass_tick(tick, opened[tick])
    if model.is_gap:
        model.elapsed, model.paused = settled
    elif model.outcome is Outcome.RUNNING and model.held and model.due is None:
        model.outcome = Outcome.PAUSED
    return model


@settings(checked, max_examples=400 * MORE)
@given(mazes(), st.integers(0, 40), MARKS, st.integers(0, 150))
def test_the_course_of_a_clock_is_the_one_walked_through_tick_by_tick(maze, target, marks, as_of):
    openings, opened = maze
    given_marks = [Mark(START_US + tick * TICK, step, key) for tick, step, key in marks]

    course = run(openings, target * TICK, given_marks, START_US + as_of * TICK)
    model = modelled(target, marks, opened, as_of)
    if course is None:
        assert model.outcome is None
        return
    assert (course.outcome, course.elapsed, course.paused) == (
        model.outcome,
        model.elapsed * TICK,
        model.paused * TICK,
    )
    if model.due is not None:
        assert course.due == START_US + model.due * TICK


@checked
@given(mazes(), st.integers(0, 40), MARKS, st.integers(0, 150))
def test_every_moment_of_a_clock_is_counted_paused_or_closed_and_they_add_up(maze, target, marks, as_of):
    openings, _ = maze
    given_marks = [Mark(START_US + tick * TICK, step, key) for tick, step, key in marks]
    course = run(openings, target * TICK, given_marks, START_US + as_of * TICK)
    if course is None:
        return

    lengths: dict[str, int] = {"COUNTED": 0, "PAUSED": 0, "CLOSED": 0}
    pieces = typed_intervals(course, openings)
    for kind, start, end in pieces:
        lengths[kind.value] += end - start
    assert sum(lengths.values()) == course.end - course.start
    assert (lengths["COUNTED"], lengths["PAUSED"]) == (course.elapsed, course.paused)
    assert course.elapsed + course.remaining == target * TICK
    assert [piece[2] for piece in pieces[:-1]] == [piece[1] for piece in pieces[1:]]
    assert instant_of(course, openings, target * TICK, target * TICK) == course.due


@checked
@given(mazes(), st.integers(0, 40), MARKS, st.integers(0, 120), st.integers(0, 150))
def test_a_pause_of_no_length_changes_nothing(maze, target, marks, moment, as_of):
    openings, _ = maze
    now = START_US + as_of * TICK
    given_marks = [Mark(START_US + tick * TICK, step, key) for tick, step, key in marks]
    when = START_US + moment * TICK
    behind = sum(mark.at <= when for mark in given_marks)
    with_pause = [
        *given_marks[:behind],
        Mark(when, Step.PAUSE, "none"),
        Mark(when, Step.RESUME, "none"),
        *given_marks[behind:],
    ]

    assert run(openings, target * TICK, with_pause, now) == run(openings, target * TICK, given_marks, now)


KINDS = st.sampled_from(
    [
        FactKind.OFFERED,
        FactKind.OFFERED,
        FactKind.OFFER_ENDED,
        FactKind.ACCEPTED,
        FactKind.ASSIGNED,
        FactKind.REJECTED,
        FactKind.FOLLOW_UP,
        FactKind.PAUSED,
        FactKind.RESUMED,
        FactKind.CLOSED,
        FactKind.VOIDED,
        FactKind.DISPUTE_OVERTURNED,
        FactKind.EXCUSED,
    ]
)
RUNGS = (
    Rung(id="half", percent=50),
    Rung(id="due", percent=100),
    Rung(id="after", offset=BusinessTime.of(hours=1)),
)
AGREEMENT = an_agreement(*(a_commitment(kind, rungs=RUNGS) for kind in CommitmentKind))


@st.composite
def stories(draw: st.DrawFn) -> tuple[Fact, ...]:
    """The facts of a handoff, each recorded when it happened, within three days of its submission."""
    facts = [a_fact(FactKind.SUBMITTED, ORIGIN, position=1, attributes=Attributes(score=50))]
    for position in range(2, draw(st.integers(2, 12))):
        kind = draw(KINDS)
        minute = draw(st.integers(0, 3 * 96)) * 15
        changes: dict[str, object] = {}
        if kind in (FactKind.PAUSED, FactKind.RESUMED):
            changes["reason"] = draw(st.sampled_from(["buyer_asked", "short"]))
        if kind is FactKind.EXCUSED:
            changes["commitment"] = draw(st.sampled_from(["accept", "first_follow_up"]))
        facts.append(a_fact(kind, ORIGIN + timedelta(minutes=minute), position=position, **changes))
    return tuple(facts)


def decided(
    facts: Sequence[Fact], minutes: int, agreement: AgreementVersion = AGREEMENT
) -> tuple[ClockState, ...]:
    timeline = Timeline(handoff="tenants/t/leads/1/handoffs/1", facts=tuple(facts))
    return evaluate(agreement, calendars(), timeline, ORIGIN + timedelta(minutes=minutes))


def late(facts: Sequence[Fact], delays: Sequence[int]) -> list[Fact]:
    return [
        replace(fact, record_time=fact.occur_time + timedelta(minutes=delay))
        for fact, delay in zip(facts, delays, strict=False)
    ]


@checked
@given(stories(), st.integers(0, 10**6), st.integers(0, 5000))
def test_the_order_and_the_number_of_arrivals_make_no_difference(facts, seed, minutes):
    shuffled = [*facts, *facts[:3]]
    random.Random(seed).shuffle(shuffled)

    assert decided(facts, minutes) == decided(shuffled, minutes)


@checked
@given(stories(), st.integers(0, 20_000))
def test_without_a_new_fact_a_decided_clock_stays_decided(facts, more):
    after_all = 3 * 96 * 15
    settled = (Outcome.MET, Outcome.VOID, Outcome.BREACHED, Outcome.EXCUSED)

    for before, later in zip(decided(facts, after_all), decided(facts, after_all + more), strict=True):
        if before.outcome in settled:
            assert (before.outcome, before.due_time, before.breach_time, before.stop_time) == (
                later.outcome,
                later.due_time,
                later.breach_time,
                later.stop_time,
            )


@checked
@given(stories(), st.integers(0, 5000))
def test_nothing_changes_before_the_next_instant(facts, minutes):
    now = ORIGIN + timedelta(minutes=minutes)
    timeline = Timeline(handoff="h", facts=facts)
    before = {state.key: state for state in evaluate(AGREEMENT, calendars(), timeline, now)}

    for key, state in before.items():
        until = (state.next_instant or now + timedelta(days=400)) - timedelta(microseconds=1)
        later = {each.key: each for each in evaluate(AGREEMENT, calendars(), timeline, until)}[key]
        assert (state.outcome, state.cycle, [rung.is_passed for rung in state.rungs]) == (
            later.outcome,
            later.cycle,
            [rung.is_passed for rung in later.rungs],
        )


def swept(facts: Sequence[Fact], minutes: Sequence[int]) -> tuple[list[ClockEvent], list[RecordedClock]]:
    """Sweep at these instants, each time with what is recorded by then."""
    log: list[ClockEvent] = []
    records: list[RecordedClock] = []
    for minute in minutes:
        known = [fact for fact in facts if fact.record_time <= ORIGIN + timedelta(minutes=minute)]
        found = changes(records, decided(known, minute))
        records = record(records, found)
        log += found
    return log, records


def without_delivery(events: Sequence[ClockEvent]) -> list[str]:
    """What happened, in an order of its own, whoever was told."""
    return sorted(
        repr(replace(event, is_delivered=False) if isinstance(event, RungFired) else event)
        for event in events
    )


@checked
@given(stories(), st.sets(st.integers(0, 6000), max_size=8))
def test_many_sweeps_record_what_one_sweep_at_the_end_records_each_once(facts, sweeps):
    log, records = swept(facts, [*sorted(sweeps), 6001])
    at_once, at_the_end = swept(facts, [6001])

    assert {each.key: each for each in records} == {each.key: each for each in at_the_end}
    assert without_delivery(log) == without_delivery(at_once)
    assert len(set(without_delivery(log))) == len(log)


@checked
@given(
    stories(),
    st.lists(st.integers(0, 900), min_size=12, max_size=12),
    st.sets(st.integers(0, 7000), max_size=8),
)
def test_with_facts_that_come_late_no_rung_fires_twice_and_only_a_recorded_breach_is_retracted(
    facts, delays, sweeps
):
    log, records = swept(late(facts, delays), [*sorted(sweeps), 7001])

    fired = [(event.clock, event.rung) for event in log if isinstance(event, RungFired)]
    assert len(set(fired)) == len(fired)
    for each in records:
        names = [type(event).__name__ for event in log if event.clock == each.key]
        assert names[0] == "ClockStarted"
        assert names.count("ClockStarted") == 1
        assert 0 <= names.count("ClockBreached") - names.count("BreachRetracted") <= 1
        breaches = [e.cycle for e in log if e.clock == each.key and isinstance(e, ClockBreached)]
        assert len(set(breaches)) == len(breaches)
        assert (each.breach_time is not None) == (
            names.count("ClockBreached") > names.count("BreachRetracted")
        )
