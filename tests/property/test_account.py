"""Every moment of a handoff is somebody's, and they add up: a month of handoffs, each clock explained."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from services.sla.domain.account import SIDES, PartKind, account
from services.sla.domain.agreement import (
    AgreementVersion,
    Attempts,
    CommitmentKind,
    Party,
    TimeBasis,
)
from services.sla.domain.clock import evaluate
from services.sla.domain.timeline import Fact, FactKind, Timeline
from tests.builders.sla import a_calendar, a_commitment, a_fact, an_agreement, at, calendars

MORE = int(os.environ.get("PROVE", "1"))
HANDOFFS = 150 * MORE
START = at("2026-03-01T00:00:00+09:00")
KINDS = [
    kind
    for kind in CommitmentKind
    if kind.value
    in {
        "ROUTE",
        "ACCEPT",
        "FIRST_FOLLOW_UP",
        "FRESHNESS",
        "ATTEMPTS",
        "DISPOSITION",
        "FEEDBACK",
        "DISPUTE_ANSWER",
        "REVIEW",
        "NURTURE_RETURN",
    }
]
MARKETINGS = {CommitmentKind.FRESHNESS, CommitmentKind.NURTURE_RETURN}
OFFICES = calendars(
    night=a_calendar("America/New_York", {"sun": [["22:00", "06:00"]], "mon": [["00:00", "24:00"]]})
)


def agreement(basis: TimeBasis) -> AgreementVersion:
    """Return an agreement that promises one thing of every kind."""
    return an_agreement(
        *(
            a_commitment(
                kind,
                basis=basis,
                rungs=(),
                party=Party.MARKETING
                if kind in MARKETINGS
                else Party.SYSTEM
                if kind is CommitmentKind.ROUTE
                else Party.SALES,
                attempts=Attempts(count=3) if kind is CommitmentKind.ATTEMPTS else None,
            )
            for kind in KINDS
        )
    )


def a_life(dice: random.Random) -> list[Fact]:
    """Make up a handoff's life, down to the microsecond; it need make no sense."""
    now = START + timedelta(microseconds=dice.randrange(30 * 86_400_000_000))
    team = dice.choice([None, "night"])
    facts = [a_fact(FactKind.INQUIRED, now)] if dice.random() < 0.8 else []
    told_once = (FactKind.INQUIRED, FactKind.EXCUSED, FactKind.APPROVED, FactKind.UNITED)
    pool = [kind for kind in FactKind if kind not in told_once]
    usual = [FactKind.SUBMITTED, FactKind.OFFERED, FactKind.ACCEPTED, FactKind.FOLLOW_UP, FactKind.QUALIFIED]
    for extra in dice.choices([*pool, FactKind.PAUSED], k=dice.randrange(10)):
        usual.insert(dice.randrange(1, len(usual) + 1), extra)
    for kind in usual:
        now += timedelta(microseconds=dice.randrange(dice.choice([1, 3_600_000_000, 200_000_000_000])))
        facts.append(
            a_fact(
                kind,
                now,
                reason=dice.choice(["buyer_asked", "short", "unknown"]),
                team=team,
                person="kim",
                until=now + timedelta(days=3) if kind is FactKind.RECYCLED else None,
            )
        )
    return [replace(fact, position=place + 1) for place, fact in enumerate(facts)]


def lives() -> Iterator[tuple[AgreementVersion, Timeline, datetime]]:
    dice = random.Random(4)
    for number in range(HANDOFFS):
        timeline = Timeline(handoff=f"tenants/t/leads/{number}/handoffs/1", facts=tuple(a_life(dice)))
        as_of = START + timedelta(microseconds=dice.randrange(40 * 86_400_000_000))
        yield agreement(dice.choice(list(TimeBasis))), timeline, as_of


def test_for_every_clock_of_a_month_the_parts_add_up_to_the_microsecond() -> None:
    seen: dict[CommitmentKind, int] = dict.fromkeys(KINDS, 0)
    kinds: set[PartKind] = set()
    for terms, timeline, as_of in lives():
        inquired = next((fact for fact in timeline.facts if fact.kind is FactKind.INQUIRED), None)
        for state in evaluate(terms, OFFICES, timeline, as_of):
            parts = account(terms, OFFICES, timeline, state, as_of)
            seen[state.kind] += 1
            kinds |= {part.kind for part in parts}

            assert parts[0].start_time == (inquired.occur_time if inquired else parts[0].event.occur_time)
            assert parts[-1].end_time == as_of
            assert all(one.end_time == other.start_time for one, other in pairwise(parts))
            assert all(part.start_time < part.end_time for part in parts)
            lengths = sum((part.end_time - part.start_time for part in parts), timedelta())
            assert lengths == as_of - parts[0].start_time
            assert all(part.side == SIDES.get(part.kind, part.side) for part in parts)
            assert {part.side for part in parts} <= {"MARKETING", "SALES", "SYSTEM", "BUYER", "NONE"}
    assert all(seen.values()), seen
    assert kinds == set(PartKind)


def test_what_a_clock_counted_is_what_the_account_calls_neither_closed_nor_paused_nor_over() -> None:
    compared = 0
    for terms, timeline, as_of in lives():
        for state in evaluate(terms, OFFICES, timeline, as_of):
            parts = account(terms, OFFICES, timeline, state, as_of)
            within = [
                (
                    part.kind,
                    min(part.end_time, state.end_time or as_of) - max(part.start_time, state.start_time),
                )
                for part in parts
                if part.end_time > state.start_time and part.start_time < (state.end_time or as_of)
            ]
            if any(kind is PartKind.SOURCE_LAG for kind, _ in within):
                # Marketing answers for its nights too, whichever hours the clock has.
                continue
            idle = (PartKind.CLOSED, PartKind.PAUSED, PartKind.SETTLED)
            counted = sum((length for kind, length in within if kind not in idle), timedelta())
            assert counted == timedelta(microseconds=state.elapsed.microseconds), state.key
            compared += 1
    assert compared > HANDOFFS
