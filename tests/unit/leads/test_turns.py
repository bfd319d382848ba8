"""Whose turn it is: shares by weight, fair to who was away, within the bound that is proved."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.leads.domain.turns import TURN, Pool, shares_of

PEOPLE = [f"p{number}" for number in range(8)]


def turn(pool: Pool, weights: dict[str, int]) -> str:
    people = list(weights)
    able = [pool.account(person) for person in people]
    return people[pool.give(able, shares_of(list(weights.values())))]


def test_equal_reps_take_turns_in_the_order_of_the_rule() -> None:
    pool = Pool()

    assert [turn(pool, {"a": 1, "b": 1, "c": 1}) for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_a_heavier_rep_is_offered_more_but_not_all_at_once() -> None:
    pool = Pool()

    turns = [turn(pool, {"a": 2, "b": 1}) for _ in range(9)]

    assert Counter(turns) == {"a": 6, "b": 3}
    assert ["a", "a", "a"] not in [turns[at : at + 3] for at in range(7)]


def test_who_comes_back_from_leave_is_not_flooded() -> None:
    pool = Pool()
    for _ in range(100):
        turn(pool, {"b": 1, "c": 1})

    turns = [turn(pool, {"a": 1, "b": 1, "c": 1}) for _ in range(9)]

    assert Counter(turns) == {"a": 3, "b": 3, "c": 3}


def test_who_was_owed_a_turn_when_they_left_has_it_when_they_come_back() -> None:
    pool = Pool()
    assert turn(pool, {"a": 1, "b": 1}) == "a"
    for _ in range(50):
        turn(pool, {"a": 1})

    assert turn(pool, {"a": 1, "b": 1}) == "b"


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=50))
def test_shares_are_never_more_than_one_turn_and_each_is_within_a_part_of_its_own(weights: list[int]) -> None:
    shares = shares_of(weights)

    assert TURN - len(weights) < sum(shares) <= TURN
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= Fraction(weight * TURN, sum(weights)) - share < 1


A_DAY = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 1000), min_size=1)
"""Who can take a handoff, with what weight: both change from one handoff to the next."""


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
        assert sum(account.owed for account in pool.accounts().values()) == 0

    for person, exact in due.items():
        # A turn is shared in whole parts: what rounding leaves of it is less than a part for each person.
        assert abs(had[person] - exact) <= bound + Fraction(len(days) * len(due), TURN)
        assert pool.account(person).turns == had[person]


def test_the_bound_is_reached_so_no_smaller_one_could_be_promised() -> None:
    pool = Pool()

    turn(pool, {"a": 1, "b": 1})

    assert pool.largest_deviation == pool.bound == Fraction(1, 2)


@given(
    st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 1000), min_size=2),
    st.integers(1, 200),
)
def test_as_long_as_everybody_is_there_nobody_is_a_full_turn_ahead(
    weights: dict[str, int], turns: int
) -> None:
    pool = Pool()
    had = Counter(turn(pool, weights) for _ in range(turns))

    for person, weight in weights.items():
        assert had[person] - Fraction(weight * turns, sum(weights.values())) < 1 + Fraction(turns, TURN)


def test_turns_survive_being_written_down() -> None:
    pool = Pool()
    for _ in range(5):
        turn(pool, {"a": 3, "b": 2, "c": 1})
    copy = Pool({person: (each.turns, each.owed) for person, each in pool.accounts().items()})

    assert [turn(copy, {"a": 3, "b": 2, "c": 1}) for _ in range(7)] == [
        turn(pool, {"a": 3, "b": 2, "c": 1}) for _ in range(7)
    ]
