"""Laws that hold of every kind of clock, whatever happens to a handoff, merges and verdicts included."""

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.domain.agreement import AgreementVersion, Attempts, CommitmentKind, Party, Rung
from services.sla.domain.clock import ClockState, evaluate
from services.sla.domain.course import Outcome
from services.sla.domain.events import BreachRetracted, ClockBreached, ClockEvent, ClockStarted, RungFired
from services.sla.domain.recording import RecordedClock, changes, record
from services.sla.domain.timeline import Fact, FactKind, Timeline
from tests.builders.sla import a_commitment, a_fact, an_agreement, at, calendars

# `make prove` raises this: the number of times more examples than in everyday runs.
MORE = int(os.environ.get("PROVE", "1"))
checked = settings(max_examples=100 * MORE, deadline=None)

ORIGIN = at("2026-09-21T00:00:00+00:00")
OTHER = "tenants/t/leads/2/handoffs/1"
KINDS = [
    CommitmentKind.ROUTE,
    CommitmentKind.ACCEPT,
    CommitmentKind.FIRST_FOLLOW_UP,
    CommitmentKind.ATTEMPTS,
    CommitmentKind.DISPOSITION,
    CommitmentKind.FEEDBACK,
    CommitmentKind.DISPUTE_ANSWER,
    CommitmentKind.REVIEW,
    CommitmentKind.NURTURE_RETURN,
]
TOLD = [
    FactKind.SUBMITTED,
    FactKind.OFFERED,
    FactKind.OFFER_ENDED,
    FactKind.ACCEPTED,
    FactKind.ASSIGNED,
    FactKind.FOLLOW_UP,
    FactKind.FOLLOW_UP,
    FactKind.CONTACTED,
    FactKind.REJECTED,
    FactKind.EVIDENCED,
    FactKind.DISPUTED,
    FactKind.DISPUTE_UPHELD,
    FactKind.DISPUTE_OVERTURNED,
    FactKind.QUALIFIED,
    FactKind.CONVERTED,
    FactKind.REVIEWED,
    FactKind.CLOSED,
    FactKind.REOPENED,
    FactKind.RECYCLED,
    FactKind.REQUALIFIED,
    FactKind.VOIDED,
    FactKind.RESTORED,
    FactKind.PAUSED,
    FactKind.RESUMED,
]
SHARED = [FactKind.SUBMITTED, FactKind.OFFERED, FactKind.ASSIGNED, FactKind.FOLLOW_UP]


def agreement() -> AgreementVersion:
    """Return an agreement that promises one thing of every kind, with a rung before due and one at it."""
    return an_agreement(
        *(
            a_commitment(
                kind,
                party=Party.MARKETING if kind is CommitmentKind.NURTURE_RETURN else Party.SALES,
                rungs=(Rung(id="half", percent=50), Rung(id="due", percent=100)),
                attempts=Attempts(count=2, spacing=timedelta(minutes=30))
                if kind is CommitmentKind.ATTEMPTS
                else None,
            )
            for kind in KINDS
        ),
        back_date_days=30,
    )


AGREEMENT = agreement()


@st.composite
def lives(draw: st.DrawFn) -> tuple[Fact, ...]:
    """What happened to a handoff within three days, in any order that a sender can think of."""
    own = draw(st.lists(st.tuples(st.integers(0, 4000), st.sampled_from(TOLD)), min_size=1, max_size=10))
    facts = [
        a_fact(kind, _at(minute), number + 1, reason="buyer_asked")
        for number, (minute, kind) in enumerate(own)
    ]
    if draw(st.booleans()):
        theirs = draw(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(SHARED)), max_size=4))
        united = draw(st.integers(0, 4000))
        facts += [
            a_fact(kind, _at(min(minute, united)), 100 + number, source=OTHER)
            for number, (minute, kind) in enumerate(theirs)
        ]
        facts.append(a_fact(FactKind.UNITED, _at(united), 200, source=OTHER))
        if draw(st.booleans()):
            parted = united + draw(st.integers(0, 2000))
            facts.append(a_fact(FactKind.SEPARATED, _at(parted), 201, source=OTHER))
    return tuple(facts)


def _at(minute: int) -> datetime:
    return ORIGIN + timedelta(minutes=minute)


def decided(facts: Sequence[Fact], at: datetime) -> tuple[ClockState, ...]:
    timeline = Timeline(handoff="tenants/t/leads/1/handoffs/1", facts=tuple(facts))
    return evaluate(AGREEMENT, calendars(), timeline, at)


def swept(facts: Sequence[Fact], minutes: Sequence[int]) -> tuple[list[ClockEvent], list[RecordedClock]]:
    """Look at these instants, each time with what is recorded by then."""
    log: list[ClockEvent] = []
    records: list[RecordedClock] = []
    for minute in minutes:
        known = [fact for fact in facts if fact.record_time <= _at(minute)]
        found = changes(records, decided(known, _at(minute)))
        records = record(records, found)
        log += found
    return log, records


@checked
@given(lives(), st.integers(0, 10**6), st.integers(0, 6000))
def test_the_order_and_the_number_of_arrivals_make_no_difference(facts, seed, minute):
    shuffled = [*facts, *facts[:3]]
    random.Random(seed).shuffle(shuffled)

    assert decided(facts, _at(minute)) == decided(shuffled, _at(minute))


@checked
@given(lives(), st.integers(0, 6000))
def test_every_clock_is_known_by_what_started_it(facts, minute):
    states = decided(facts, _at(minute))

    assert len({state.key for state in states}) == len(states)


@checked
@given(lives(), st.integers(0, 6000))
def test_nothing_changes_before_the_next_instant(facts, minute):
    now = _at(minute)
    before = {state.key: state for state in decided(facts, now)}

    for key, state in before.items():
        until = (state.next_instant or now + timedelta(days=300)) - timedelta(microseconds=1)
        later = {each.key: each for each in decided(facts, until)}[key]
        assert (state.outcome, state.cycle) == (later.outcome, later.cycle)


@checked
@given(lives(), st.sets(st.integers(0, 6000), max_size=8))
def test_whenever_it_is_looked_at_a_clock_has_one_verdict_a_cycle_and_ends_as_it_is_evaluated(facts, looks):
    log, records = swept(facts, [*sorted(looks), 6001])

    said = [
        (event.clock, event.cycle, type(event).__name__, getattr(event, "rung", ""))
        for event in log
        if type(event).__name__ not in ("ClockPaused", "ClockResumed")
    ]
    assert len(set(said)) == len(said)
    final = {state.key: state for state in decided(facts, _at(6001))}
    assert {each.key for each in records} == final.keys()
    is_merged = any(fact.source for fact in facts)
    for each in records:
        # A merge changes nothing that was said before it; without one the record is the evaluation.
        kept = is_merged and each.outcome in (Outcome.MET, Outcome.VOID, Outcome.BREACHED)
        assert kept or (each.outcome, each.cycle) == (final[each.key].outcome, final[each.key].cycle)


@checked
@given(
    lives(),
    st.lists(st.integers(0, 900), min_size=20, max_size=20),
    st.sets(st.integers(0, 7000), max_size=8),
)
def test_whatever_comes_late_no_rung_fires_twice_and_no_clock_is_missed_twice_without_a_retraction(
    facts, delays, looks
):
    late = [
        replace(fact, record_time=fact.occur_time + timedelta(minutes=delay))
        for fact, delay in zip(facts, delays, strict=False)
    ]
    log, records = swept(late, [*sorted(looks), 7001])

    fired = [(event.clock, event.rung) for event in log if isinstance(event, RungFired)]
    assert len(set(fired)) == len(fired)
    for each in records:
        events = [event for event in log if event.clock == each.key]
        assert [type(event) for event in events].count(ClockStarted) == 1
        misses = sum(isinstance(event, ClockBreached) for event in events)
        taken_back = sum(isinstance(event, BreachRetracted) for event in events)
        assert 0 <= misses - taken_back <= 1
