"""Routing for all inputs: the bound that is proved, and who can take a handoff against a plain reading.

`make prove` runs these at full count.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.leads.domain.desk import Case, Desk, Plan
from services.leads.domain.directory import Directory, Person, Role, RoutingMember, RoutingRule
from services.leads.domain.open_work import OpenWork
from services.leads.domain.routing import ABLE, CHOSEN, Ground, letters_of
from services.leads.domain.routing_rules import Needs, Traits
from services.leads.domain.turns import TURN, Pool, shares_of
from tests.builders.leads import QUEUE, TEAM, TENANT, a_directory

MORE = int(os.environ.get("PROVE", "1"))
checked = settings(max_examples=100 * MORE, deadline=None)

NAMES = [f"p{number}" for number in range(8)]
PEOPLE = [f"{TENANT}/people/{name}" for name in NAMES]
TERRITORIES = ("", "kr", "kr.seoul", "de")
LANGUAGES = ("", "ko", "pt", "pt-br")
CALENDAR = f"{TENANT}/calendars/office"

A_DAY = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 1000), min_size=1)
"""Who can take a handoff, with what weight: both change from one handoff to the next."""


def turn(pool: Pool, weights: dict[str, int]) -> str:
    people = list(weights)
    able = [pool.balance(person) for person in people]
    return people[pool.give(able, shares_of(list(weights.values())))]


@checked
@given(st.lists(A_DAY, max_size=150))
def test_whoever_is_away_and_however_weights_change_nobody_is_more_than_half_of_the_others_off(
    days: list[dict[str, int]],
) -> None:
    pool = Pool()
    had: Counter[str] = Counter()
    due: dict[str, Fraction] = {}
    for weights in days:
        had[turn(pool, weights)] += 1
        for person, weight in weights.items():
            due[person] = due.get(person, Fraction(0)) + Fraction(weight, sum(weights.values()))

        bound = Fraction(len(due) - 1, 2)
        assert pool.bound == bound
        # To the part: the accounts never leave the bound, not by rounding either.
        assert pool.largest_deviation <= bound
        assert sum(balance.owed for balance in pool.balances().values()) == 0

    for person, exact in due.items():
        # A turn is shared in whole parts: what rounding leaves of it is less than a part for each person.
        assert abs(had[person] - exact) <= bound + Fraction(len(days) * len(due), TURN)
        assert pool.balance(person).turns == had[person]


@checked
@given(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 1000), min_size=2), st.integers(1, 200))
def test_as_long_as_everybody_is_there_nobody_is_a_full_turn_ahead(
    weights: dict[str, int], turns: int
) -> None:
    pool = Pool()
    had = Counter(turn(pool, weights) for _ in range(turns))

    for person, weight in weights.items():
        assert had[person] - Fraction(weight * turns, sum(weights.values())) < 1 + Fraction(turns, TURN)


@dataclass(frozen=True, kw_only=True)
class Rep:
    weight: int
    inactive: bool
    skilled: bool
    territories: tuple[str, ...]
    languages: tuple[str, ...]
    capacity: int
    hours: bool


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A handoff, and how the world is when it comes."""

    territory: str
    language: str
    tried: frozenset[int]
    cooling: frozenset[int]
    away: frozenset[int]
    closed: bool
    finished: frozenset[int]
    """Who closes one of their handoffs before."""


PLACES = st.frozensets(st.integers(0, 7), max_size=3)
REP = st.builds(
    Rep,
    weight=st.integers(1, 20),
    inactive=st.sampled_from([False, False, False, True]),
    skilled=st.sampled_from([True, True, True, False]),
    territories=st.sampled_from([(), ("kr",), ("kr.seoul",), ("de",), ("kr", "de")]),
    languages=st.sampled_from([(), ("ko",), ("pt",), ("pt-BR",), ("ko", "pt-PT")]),
    capacity=st.sampled_from([0, 1, 2, 5]),
    hours=st.booleans(),
)
ARRIVAL = st.builds(
    Arrival,
    territory=st.sampled_from(TERRITORIES),
    language=st.sampled_from(LANGUAGES),
    tried=st.frozensets(st.integers(0, 7), max_size=2),
    cooling=st.frozensets(st.integers(0, 7), max_size=2),
    away=PLACES,
    closed=st.booleans(),
    finished=PLACES,
)


def company(reps: list[Rep]) -> Directory:
    base = a_directory(max_offers=20)
    people = tuple(
        Person(
            name=name,
            roles=frozenset({Role.SALES_REP}),
            team=TEAM,
            inactive=rep.inactive,
            skills=("skill",) if rep.skilled else (),
            territories=rep.territories,
            languages=rep.languages,
            capacity=rep.capacity,
        )
        for name, rep in zip(PEOPLE, reps, strict=False)
    )
    members = tuple(
        RoutingMember(person=name, weight=rep.weight, calendar=CALENDAR if rep.hours else "")
        for name, rep in zip(PEOPLE, reps, strict=False)
    )
    needs = Needs(skills=("skill",), territory=True, language=True)
    rule = RoutingRule(rule_id="all", members=members, needs=needs)
    return replace(base, people=people, routing=replace(base.routing, rules=(rule,)))


def can_take(place: int, rep: Rep, arrival: Arrival, work: Counter[int]) -> bool:
    """The rule as one would say it, without any of the desk's short cuts."""
    covers = not arrival.territory or any(
        arrival.territory == own or arrival.territory.startswith(f"{own}.") for own in rep.territories
    )
    spoken = [each.lower() for each in rep.languages]
    speaks = not arrival.language or any(
        f"{arrival.language}-".startswith(f"{own}-") or f"{own}-".startswith(f"{arrival.language}-")
        for own in spoken
    )
    here = place not in arrival.away and not (arrival.closed and rep.hours)
    asked_before = place in arrival.tried or place in arrival.cooling
    has_room = not rep.capacity or work[place] < rep.capacity
    return not rep.inactive and rep.skilled and covers and speaks and here and not asked_before and has_room


@checked
@given(st.lists(REP, min_size=1, max_size=8), st.lists(ARRIVAL, min_size=1, max_size=60))
def test_those_who_can_and_they_alone_share_the_turns_and_nobody_able_means_the_queue(
    reps: list[Rep], arrivals: list[Arrival]
) -> None:
    plan, pool, work = Plan(company(reps)), Pool(), OpenWork(lambda _: {})
    counted: Counter[int] = Counter()
    desks: dict[tuple[frozenset[int], bool], Desk] = {}
    for arrival in arrivals:
        for place in arrival.finished:
            if counted[place]:
                counted[place] -= 1
                work.add(PEOPLE[place], -1)
        instant = (arrival.away, arrival.closed)
        if instant not in desks:
            desks = {instant: a_desk_now(plan, pool, work, arrival)}
        placement = desks[instant].decide(
            Case(
                traits=Traits(territory=arrival.territory, language=arrival.language),
                tried=[PEOPLE[place] for place in sorted(arrival.tried)],
                cooling_off=[PEOPLE[place] for place in arrival.cooling],
            )
        )

        able = [place for place, rep in enumerate(reps) if can_take(place, rep, arrival, counted)]
        assert placement is not None
        letters = letters_of(placement.decision.candidates)
        assert [place for place, letter in enumerate(letters) if letter in {ABLE, CHOSEN}] == able
        assert placement.is_queue is (not able)
        if placement.is_queue:
            assert (placement.assignee, placement.decision.ground) == (QUEUE, Ground.NOBODY_ELIGIBLE)
        else:
            chosen = PEOPLE.index(placement.assignee)
            assert chosen in able
            assert letters[chosen] == CHOSEN
            counted[chosen] += 1
            work.add(placement.assignee)
        assert pool.largest_deviation <= pool.bound


def a_desk_now(plan: Plan, pool: Pool, work: OpenWork, arrival: Arrival) -> Desk:
    return Desk(
        plan,
        pool_of=lambda _: pool,
        work=work,
        on_leave={PEOPLE[place] for place in arrival.away},
        is_open=lambda _: not arrival.closed,
    )
