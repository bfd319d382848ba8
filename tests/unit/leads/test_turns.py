"""Whose turn it is: shares by weight, fair to who was away, within the bound that is proved."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from services.leads.domain.turns import TURN, Pool, shares_of


def turn(pool: Pool, weights: dict[str, int]) -> str:
    people = list(weights)
    able = [pool.balance(person) for person in people]
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


def test_the_bound_is_reached_so_no_smaller_one_could_be_promised() -> None:
    pool = Pool()

    turn(pool, {"a": 1, "b": 1})

    assert pool.largest_deviation == pool.bound == Fraction(1, 2)


def test_turns_survive_being_written_down() -> None:
    pool = Pool()
    for _ in range(5):
        turn(pool, {"a": 3, "b": 2, "c": 1})
    copy = Pool({person: (each.turns, each.owed) for person, each in pool.balances().items()})

    assert [turn(copy, {"a": 3, "b": 2, "c": 1}) for _ in range(7)] == [
        turn(pool, {"a": 3, "b": 2, "c": 1}) for _ in range(7)
    ]
