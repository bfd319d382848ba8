"""Error budgets: what is left, how fast it goes, and when that is said."""

from fractions import Fraction

import pytest

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.budget import (
    Budget,
    BudgetState,
    Count,
    Counts,
    burn_threshold,
    burn_threshold_is_reachable,
    default_policy,
    is_improbable,
    judge,
)
from smarketing.businesstime import BusinessTime

NINE_HOURS = BusinessTime.of(hours=9)
POLICY = default_policy(TimeBasis.BUSINESS, NINE_HOURS)
NINETY = 9_000
ALL_OF_IT = POLICY.window


def judged(
    *, objective: int = NINETY, elapsed: BusinessTime = ALL_OF_IT, **windows: tuple[int, int]
) -> Budget:
    counts = {name: Count(settled=settled, breached=bad) for name, (settled, bad) in windows.items()}
    return judge(POLICY, objective, Counts(**counts, elapsed=elapsed))


@pytest.mark.parametrize(
    ("objective", "threshold", "can_fire"),
    [
        # The largest burn is 1 / (1 - s): 5.0, 6.7, 10, 14.39, 20 and 100.
        (8_000, "14.4", False),
        (8_000, "6", False),
        (8_500, "14.4", False),
        (8_500, "6", True),
        (9_000, "14.4", False),
        (9_000, "6", True),
        (9_305, "14.4", False),
        (9_500, "14.4", True),
        (9_900, "14.4", True),
        # Exactly the largest is as good as never.
        (9_000, "10", False),
        (9_000, "9.99", True),
    ],
)
def test_a_threshold_that_cannot_fire_at_the_objective_is_known_beforehand(
    objective: int, threshold: str, can_fire: bool
) -> None:
    assert burn_threshold_is_reachable(objective, Fraction(threshold)) is can_fire


def test_a_tenth_of_the_budget_of_160_hours_within_8_is_a_burn_of_two() -> None:
    window, long = BusinessTime.of(hours=160), BusinessTime.of(hours=8)

    assert burn_threshold(share_basis_points=1_000, window=window, long=long) == 2


@pytest.mark.parametrize(("settled", "misses"), [(5, 3), (10, 5), (20, 7), (50, 11)])
def test_with_few_clocks_the_exact_binomial_rule_says_how_many_misses_are_no_chance(
    settled: int, misses: int
) -> None:
    assert is_improbable(Count(settled=settled, breached=misses), NINETY)
    assert not is_improbable(Count(settled=settled, breached=misses - 1), NINETY)


def test_a_budget_without_a_settled_clock_has_no_ratio_and_nothing_to_say() -> None:
    budget = judged()

    assert budget == Budget(
        state=BudgetState.OK,
        is_burning_fast=False,
        is_burning_slowly=False,
        remaining=None,
        remaining_so_far=None,
        fast_burn=None,
        slow_burn=None,
        time_to_exhaustion=None,
    )


def test_half_of_what_may_be_missed_leaves_half_of_the_budget() -> None:
    # Of 200 clocks at 90 % twenty may be missed.
    assert judged(window=(200, 10)).remaining == Fraction(1, 2)


def test_early_in_the_window_the_whole_is_what_the_pace_so_far_leads_to() -> None:
    # A quarter of the window gone with 50 settled: 200 are expected, of which 20 may be missed.
    early = judged(window=(50, 5), elapsed=BusinessTime.of(hours=40))

    assert early.remaining == Fraction(15, 20)
    assert early.remaining_so_far == 0
    assert early.state is BudgetState.OK


def test_a_fast_burn_warns_only_while_the_short_window_burns_too() -> None:
    # 20 % missed at 90 % is a burn of two, the threshold.
    going_on = judged(window=(1000, 30), fast_long=(40, 8), fast_short=(5, 1))
    over = judged(window=(1000, 30), fast_long=(40, 8), fast_short=(5, 0))
    silent = judged(window=(1000, 30), fast_long=(40, 8))
    slower = judged(window=(1000, 30), fast_long=(40, 7), fast_short=(5, 1))

    assert going_on.state is BudgetState.WARN
    assert going_on.fast_burn == 2
    assert [each.state for each in (over, silent, slower)] == [BudgetState.OK] * 3


def test_a_slow_burn_that_would_use_up_all_of_it_warns() -> None:
    # At a burn of one the budget is gone at the window's end and not before.
    warned = judged(window=(1000, 30), slow_long=(100, 10), slow_short=(30, 3))

    assert warned.state is BudgetState.WARN
    assert warned.is_burning_slowly
    assert not warned.is_burning_fast


def test_three_of_three_missed_on_a_quiet_day_warn_and_two_of_three_do_not() -> None:
    # By chance two or three of three are missed in 2.8 %, all three in 0.1 % of cases.
    assert judged(fast_long=(3, 2)).state is BudgetState.OK
    assert judged(fast_long=(3, 3)).state is BudgetState.WARN


def test_a_budget_overspent_by_a_single_miss_of_a_single_clock_is_not_called_exhausted() -> None:
    single = judged(window=(1, 1))
    many = judged(window=(30, 4))

    # One of one is ten times what may be missed, but one chance in ten.
    assert (single.remaining, single.state) == (Fraction(-9), BudgetState.OK)
    assert many.state is BudgetState.EXHAUSTED


def test_exhaustion_is_as_far_off_as_the_rest_lasts_at_the_pace_of_five_days() -> None:
    # Half is left; a burn of two would use up all of it in half the window of 160 hours.
    budget = judged(window=(200, 10), slow_long=(50, 10))

    assert budget.time_to_exhaustion == BusinessTime.of(hours=40)
    assert judged(window=(200, 10), slow_long=(50, 0)).time_to_exhaustion is None
    assert judged(window=(200, 40), slow_long=(50, 10)).time_to_exhaustion == BusinessTime()


def test_days_of_the_slow_alert_are_those_of_the_calendar_or_of_the_wall() -> None:
    assert POLICY.slow.long == BusinessTime.of(hours=45)
    assert default_policy(TimeBasis.WALL, NINE_HOURS).slow.short == BusinessTime.of(hours=24)
