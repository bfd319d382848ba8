"""However much of the leads log is read at once, the same clocks come of it, and the same is said of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from services.sla.domain.agreement import CommitmentKind, Party
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from services.sla.store import schema
from services.sla.store.due import next_due
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from tests.builders.sla_engine import (
    HANDOFF,
    MONDAY_NINE,
    OTHER_REP,
    REP,
    SALES,
    Engine,
    a_promise,
    some_terms,
)
from tests.builders.sla_month import MONTH, Month, terms_of_the_month

_HANDOFFS = 12


def a_log(seed: int, *, is_prompt: bool) -> list[eventlogpb.Event]:
    month = Month(seed, _HANDOFFS, is_prompt=is_prompt)
    month.play()
    return month.events


def read(batches: Sequence[Sequence[eventlogpb.Event]]) -> Engine:
    """Read a month's log, each batch when its last event was recorded, and look at what is due between."""
    engine = Engine()
    engine.agree(terms_of_the_month())
    for batch in batches:
        pass_time(engine, batch[-1].record_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo), of=batch)
        engine.deliver(batch)
    pass_time(engine, MONDAY_NINE + MONTH)
    return engine


def pass_time(engine: Engine, until: datetime, *, of: Sequence[eventlogpb.Event] = ()) -> None:
    """Look at what falls due until an instant; nothing is called missed before the log is read until then."""
    first = of[0].record_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo) if of else until
    while True:
        with engine.database.reading() as connection:
            due = next_due(connection)
        if due is None or due > first:
            break
        engine.now = max(engine.now, due)
        if not engine.sweep():
            break
    engine.now = max(engine.now, until)


def in_batches(events: Sequence[eventlogpb.Event], *, of_about: int, seed: int) -> Iterator[list[Any]]:
    dice, at = Random(seed), 0
    while at < len(events):
        size = dice.randint(1, 2 * of_about - 1)
        yield list(events[at : at + size])
        at += size


def course(clock: Clock) -> Clock:
    """Return a clock without what hangs on when it was looked at."""
    return replace(clock, generation=0, detect_time=None, fired=())


def courses(engine: Engine) -> list[Clock]:
    return sorted(map(course, engine.clocks()), key=lambda clock: clock.id)


def said(engine: Engine) -> Counter[tuple[Any, ...]]:
    """Count what the log says of clocks, each with its instant and with whose it is."""
    table = schema.eventlog_tables.event_log
    found: Counter[tuple[Any, ...]] = Counter()
    with engine.database.reading() as connection:
        for row in connection.execute(select(table)):
            kind = row.payload_type.rsplit(".", 1)[1]
            if kind.startswith("Clock") or kind in {"BreachRetracted", "RungFired"}:
                # That somebody else has it now is said once for all who had it between two readings.
                message: Any = getattr(slaeventspb, kind).FromString(row.payload)
                clock = message.clock
                mark = (clock.clock, clock.cycle, clock.owner, clock.team, getattr(message, "rung_id", ""))
                found[kind, *mark, row.occur_time] += kind != "ClockReassigned"
    return +found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_batches_of_a_log_give_the_same_clocks_with_their_owners_and_say_the_same_of_them(
    seed: int,
) -> None:
    events = a_log(seed, is_prompt=True)
    one_by_one = read([[event] for event in events])

    clocks, log = courses(one_by_one), said(one_by_one)
    assert {OTHER_REP, REP, ""} <= {clock.owner for clock in clocks}
    assert {"ClockBreached", "ClockMet", "ClockStoppedLate", "RungFired"} <= {kind for kind, *_ in log}
    for of_about in (3, 20, len(events)):
        together = read(list(in_batches(events, of_about=of_about, seed=seed)))
        assert courses(together) == clocks
        assert said(together) == log


@pytest.mark.parametrize("seed", [4, 5])
def test_any_batches_give_the_same_clocks_where_evidence_comes_late_as_well(seed: int) -> None:
    """What was found and taken back on the way is said by whoever was there alone."""
    events = a_log(seed, is_prompt=False)
    one_by_one = read([[event] for event in events])

    assert "BreachRetracted" in one_by_one.said()
    for of_about in (3, len(events)):
        assert courses(read(list(in_batches(events, of_about=of_about, seed=seed)))) == courses(one_by_one)


def offered(engine: Engine, to: str) -> eventlogpb.Event:
    return engine.event(HANDOFF, leadeventspb.HandoffOffered(handoff=HANDOFF, assignee=to, team=SALES))


def assigned(engine: Engine, to: str) -> eventlogpb.Event:
    return engine.event(HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=to, team=SALES))


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.agree(some_terms(a_promise(), a_promise(CommitmentKind.ACCEPT, target=2)))
    engine.submit()
    return engine


def of_kind(engine: Engine, kind: CommitmentKind) -> Clock:
    (clock,) = (each for each in engine.clocks() if each.kind is kind)
    return clock


def test_an_offer_that_was_accepted_is_answered_for_by_whoever_had_it_and_not_by_who_has_it_since(
    engine: Engine,
) -> None:
    events = [offered(engine, REP)]
    engine.advance(hours=1)
    events.append(assigned(engine, OTHER_REP))
    engine.deliver(events)

    assert of_kind(engine, CommitmentKind.ACCEPT).owner == REP
    assert of_kind(engine, CommitmentKind.FIRST_FOLLOW_UP).owner == OTHER_REP


def test_the_time_until_it_is_routed_is_shown_to_those_to_whom_it_went_and_what_was_before_to_nobody() -> (
    None
):
    engine = Engine()
    of_marketing = a_promise(CommitmentKind.FRESHNESS, parties=(Party.MARKETING,))
    engine.agree(some_terms(a_promise(CommitmentKind.ROUTE), of_marketing))
    payload = leadeventspb.HandoffSubmitted(handoff=HANDOFF)
    payload.qualification.inquire_time.FromDatetime(engine.now)
    engine.deliver([engine.event(HANDOFF, payload), offered(engine, REP)])

    route, freshness = (of_kind(engine, kind) for kind in (CommitmentKind.ROUTE, CommitmentKind.FRESHNESS))
    assert (route.owner, route.team) == (REP, SALES)
    assert (freshness.outcome, freshness.owner, freshness.team) == (Outcome.MET, "", "")


@pytest.mark.parametrize(("hours", "owner"), [(3.0, OTHER_REP), (4.0, OTHER_REP), (4.5, REP)])
def test_a_miss_stays_with_whoever_had_the_handoff_when_it_was_due(
    engine: Engine, hours: float, owner: str
) -> None:
    """Four hours from nine; given on before, at that very instant, or after."""
    engine.assign(to=REP)
    events = []
    engine.advance(hours=hours)
    events.append(assigned(engine, OTHER_REP))
    engine.now = MONDAY_NINE + timedelta(hours=6)
    payload = leadeventspb.HandoffDisqualified(handoff=HANDOFF, reason_code="NO_NEED")
    events.append(engine.event(HANDOFF, payload))
    engine.deliver(events)

    clock = of_kind(engine, CommitmentKind.FIRST_FOLLOW_UP)
    assert (clock.outcome, clock.owner) == (Outcome.BREACHED, owner)
    assert [p.clock.owner for kind, p in engine.log() if kind == "ClockBreached"] == [owner]


def test_who_gets_what_was_missed_has_to_do_it_and_does_not_answer_for_the_miss(engine: Engine) -> None:
    engine.assign(to=REP)
    engine.advance(hours=5)
    engine.sweep()
    engine.assign(to=OTHER_REP)
    # While nobody has done it, it is among what the new owner has to do.
    assert of_kind(engine, CommitmentKind.FIRST_FOLLOW_UP).owner == OTHER_REP
    engine.advance(hours=1)
    engine.follow_up(by=OTHER_REP)

    assert of_kind(engine, CommitmentKind.FIRST_FOLLOW_UP).owner == REP
    of_miss = {p.clock.owner for kind, p in engine.log() if kind in {"ClockBreached", "ClockStoppedLate"}}
    assert of_miss == {REP}
    assert "ClockReassigned" not in engine.said()


def test_an_assignment_that_becomes_known_late_still_says_whose_the_miss_is(engine: Engine) -> None:
    engine.assign(to=REP)
    engine.advance(hours=5)
    engine.sweep()
    engine.advance(hours=1)
    engine.follow_up()
    payload = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=OTHER_REP, team=SALES)
    engine.tell(HANDOFF, payload, at=MONDAY_NINE + timedelta(hours=2))

    assert of_kind(engine, CommitmentKind.FIRST_FOLLOW_UP).owner == OTHER_REP
