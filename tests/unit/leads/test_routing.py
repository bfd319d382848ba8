"""Who is offered the next handoff, and that nobody gets more than their share."""

from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from services.leads.domain.directory import RoutingMember
from services.leads.domain.routing import TURN, Reason, next_turn, route, to_fallback
from tests.builders.leads import ANNA, BEN, CARA, QUEUE, REPS, a_directory


def members(weights: dict[str, int]) -> list[RoutingMember]:
    return [RoutingMember(person=person, weight=weight) for person, weight in weights.items()]


def test_equal_reps_take_turns_in_the_order_of_the_rule() -> None:
    credits_: dict[tuple[str, str], int] = {}

    turns = [next_turn("all", members(dict.fromkeys(REPS, 1)), credits_) for _ in range(6)]

    assert turns == [ANNA, BEN, CARA, ANNA, BEN, CARA]


def test_a_heavier_rep_is_offered_more_but_not_all_at_once() -> None:
    credits_: dict[tuple[str, str], int] = {}

    turns = [next_turn("all", members({ANNA: 2, BEN: 1}), credits_) for _ in range(9)]

    assert Counter(turns) == {ANNA: 6, BEN: 3}
    assert [ANNA, ANNA, ANNA] not in [turns[i : i + 3] for i in range(7)]


def test_who_comes_back_from_leave_is_not_flooded() -> None:
    credits_: dict[tuple[str, str], int] = {}
    for _ in range(100):
        next_turn("all", members({BEN: 1, CARA: 1}), credits_)

    turns = [next_turn("all", members(dict.fromkeys(REPS, 1)), credits_) for _ in range(9)]

    assert Counter(turns) == dict.fromkeys(REPS, 3)


def test_who_was_owed_a_turn_when_they_left_has_it_when_they_come_back() -> None:
    credits_: dict[tuple[str, str], int] = {}
    everybody, others = members({ANNA: 1, BEN: 1}), members({ANNA: 1})
    assert next_turn("all", everybody, credits_) == ANNA
    for _ in range(50):
        next_turn("all", others, credits_)

    assert next_turn("all", everybody, credits_) == BEN


@settings(max_examples=200)
@given(
    weights=st.lists(st.integers(1, 1000), min_size=2, max_size=8),
    absences=st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=120),
)
def test_whoever_was_away_nobody_is_more_than_n_less_one_turns_off_their_share(
    weights: list[int], absences: list[set[int]]
) -> None:
    people = [f"p{number}" for number in range(len(weights))]
    credits_: dict[tuple[str, str], int] = {}
    had: Counter[str] = Counter()
    share: dict[str, Fraction] = dict.fromkeys(people, Fraction(0))
    for away in absences:
        here = {p: w for i, (p, w) in enumerate(zip(people, weights, strict=True)) if i not in away}
        if here:
            had[next_turn("all", members(here), credits_)] += 1
            total = sum(here.values())
            for person, weight in here.items():
                share[person] += Fraction(weight, total)

    # A turn is handed out in whole parts: at most one part for each pick is lost to rounding.
    rounding = Fraction(len(absences), TURN) * len(people)
    for person in people:
        assert abs(had[person] - share[person]) <= len(people) - 1 + rounding


@settings(max_examples=200)
@given(weights=st.lists(st.integers(1, 1000), min_size=2, max_size=8), picks=st.integers(1, 200))
def test_as_long_as_everybody_is_there_nobody_is_a_full_turn_ahead(weights: list[int], picks: int) -> None:
    people = {f"p{number}": weight for number, weight in enumerate(weights)}
    credits_: dict[tuple[str, str], int] = {}
    had = Counter(next_turn("all", members(people), credits_) for _ in range(picks))

    for person, weight in people.items():
        assert had[person] - Fraction(weight, sum(weights)) * picks < 1 + Fraction(picks, TURN)


def test_who_is_on_leave_gone_or_was_asked_before_is_passed_over_with_the_reason() -> None:
    directory = a_directory(inactive=[BEN])

    placement = route(directory, {}, on_leave={CARA}, tried=[ANNA])

    assert placement is not None
    assert placement.assignee == QUEUE
    assert {(other.person, other.reason) for other in placement.decision.passed_over} == {
        (ANNA, Reason.ALREADY_OFFERED),
        (BEN, Reason.INACTIVE),
        (CARA, Reason.ON_LEAVE),
    }


def test_after_as_many_offers_as_agreed_it_goes_to_the_queue() -> None:
    placement = route(a_directory(max_offers=2), {}, on_leave=(), tried=[ANNA, BEN])

    assert placement is not None
    assert placement.is_queue


def test_without_any_rule_there_is_still_the_fallback_queue() -> None:
    directory = a_directory(with_rule=False)

    assert route(directory, {}, on_leave=(), tried=()) == to_fallback(directory)


def test_a_decision_says_by_which_version_and_rule_it_was_made() -> None:
    placement = route(a_directory(), {}, on_leave=(), tried=())

    assert placement is not None
    assert (placement.decision.routing_version, placement.decision.rule_id) == (1, "all")
