"""The error budget of a commitment: how much of what may be missed is used up, how fast, and what follows.

Ratios are exact fractions until they are shown. Windows are amounts of the commitment's own time: open time
of the agreement's calendar, or wall time where the promise is in wall time.
"""

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from math import comb
from typing import Final

from services.sla.domain.agreement import TimeBasis
from smarketing.businesstime import BusinessTime

__all__ = [
    "FAST_SHARE",
    "FAST_WINDOW",
    "WINDOW",
    "Budget",
    "BudgetPolicy",
    "BudgetState",
    "BurnPair",
    "Count",
    "Counts",
    "burn_threshold",
    "burn_threshold_is_reachable",
    "default_policy",
    "is_improbable",
    "judge",
]

_BASIS_POINTS: Final = 10_000
_NOTHING: Final = BusinessTime()
_DAY: Final = BusinessTime.of(hours=24)

WINDOW: Final = BusinessTime.of(hours=160)
FAST_WINDOW: Final = BusinessTime.of(hours=8)
FAST_SHARE: Final = 1_000
"""What holds where the agreement says nothing; the share is a tenth, in basis points."""


class BudgetState(Enum):
    """Where a budget stands."""

    OK = "OK"
    WARN = "WARN"
    """It burns faster than agreed."""
    EXHAUSTED = "EXHAUSTED"
    """Nothing more may be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnPair:
    """A long window that must burn, and a short one that must still burn, at a threshold."""

    long: BusinessTime
    short: BusinessTime
    threshold: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """By what a budget is judged.

    `minimum_settled`: with fewer in the long window, the exact binomial rule stands in for the ratios.
    """

    window: BusinessTime
    fast: BurnPair
    slow: BurnPair
    minimum_settled: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Clocks that fell due in a window, kept or missed, and those of them missed; no excused or void ones."""

    settled: int = 0
    breached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The five windows that end at one instant; `elapsed` is how much of the budget's window was measured."""

    window: Count = Count()
    fast_long: Count = Count()
    fast_short: Count = Count()
    slow_long: Count = Count()
    slow_short: Count = Count()
    elapsed: BusinessTime = _NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget as judged. What has no denominator is None, never zero.

    `remaining` takes what is expected to be settled in the full window for the whole, `remaining_so_far` what
    was settled until now; both may be negative. `time_to_exhaustion` goes by the slow alert's long window.
    """

    state: BudgetState
    is_burning_fast: bool
    is_burning_slowly: bool
    remaining: Fraction | None
    remaining_so_far: Fraction | None
    fast_burn: Fraction | None
    slow_burn: Fraction | None
    time_to_exhaustion: BusinessTime | None


def burn_threshold(*, share_basis_points: int, window: BusinessTime, long: BusinessTime) -> Fraction:
    """Return the burn rate that uses up a share of the budget of `window` within `long`."""
    return Fraction(share_basis_points, _BASIS_POINTS) * Fraction(window.microseconds, long.microseconds)


def burn_threshold_is_reachable(objective_basis_points: int, threshold: Fraction) -> bool:
    """Tell whether an alert at this burn rate can ever fire: with all missed the rate is 1 / (1 - objective).

    A threshold equal to that is refused too: it would take that not one clock is met.
    """
    return threshold * (_BASIS_POINTS - objective_basis_points) < _BASIS_POINTS


def default_policy(basis: TimeBasis, business_day: BusinessTime) -> BudgetPolicy:
    """Return what holds where the agreement says nothing.

    160 hours; a tenth of the budget within 8 hours, still going on in the last 40 minutes; or all of it, at
    the pace of five days and of the last one. Days of a promise in wall time have 24 hours.
    """
    day = _DAY if basis is TimeBasis.WALL else business_day
    return BudgetPolicy(
        window=WINDOW,
        fast=BurnPair(
            long=FAST_WINDOW,
            short=BusinessTime.of(minutes=40),
            threshold=burn_threshold(share_basis_points=FAST_SHARE, window=WINDOW, long=FAST_WINDOW),
        ),
        slow=BurnPair(long=day * 5, short=day, threshold=Fraction(1)),
    )


def is_improbable(count: Count, objective_basis_points: int) -> bool:
    """Tell whether chance brings so many misses less than once in a hundred times while the promise is kept.

    Exact: the upper tail of the binomial distribution, in whole numbers.
    """
    bad = _BASIS_POINTS - objective_basis_points
    good, n = objective_basis_points, count.settled
    whole: int = _BASIS_POINTS**n
    term: int = comb(n, count.breached) * bad**count.breached * good ** (n - count.breached)
    tail = 0
    for misses in range(count.breached, n + 1):
        tail += term
        if 100 * tail >= whole:
            return False
        # Each term from the one before it: worked out anew, thousands of clocks would take minutes.
        term = term * bad * (n - misses) // (good * (misses + 1))
    return True


def judge(policy: BudgetPolicy, objective_basis_points: int, counts: Counts) -> Budget:
    """Return the budget of a commitment: a pure function of what is agreed and of what was counted."""
    allowed = Fraction(_BASIS_POINTS - objective_basis_points, _BASIS_POINTS)
    so_far = _remaining(counts.window, allowed, Fraction(1))
    expected = _remaining(counts.window, allowed, _grown(policy.window, counts.elapsed))
    fast = _fires(policy, policy.fast, counts.fast_long, counts.fast_short, objective_basis_points)
    slow = _fires(policy, policy.slow, counts.slow_long, counts.slow_short, objective_basis_points)
    is_certain = counts.window.settled >= policy.minimum_settled or is_improbable(
        counts.window, objective_basis_points
    )
    state = BudgetState.WARN if fast or slow else BudgetState.OK
    if expected is not None and expected <= 0 and is_certain:
        state = BudgetState.EXHAUSTED
    slow_burn = _burn(counts.slow_long, allowed)
    return Budget(
        state=state,
        is_burning_fast=fast,
        is_burning_slowly=slow,
        remaining=expected,
        remaining_so_far=so_far,
        fast_burn=_burn(counts.fast_long, allowed),
        slow_burn=slow_burn,
        time_to_exhaustion=_time_left(policy.window, expected, slow_burn),
    )


def _remaining(count: Count, allowed: Fraction, grown: Fraction) -> Fraction | None:
    if count.settled == 0:
        return None
    return 1 - count.breached / (allowed * count.settled * grown)


def _grown(window: BusinessTime, elapsed: BusinessTime) -> Fraction:
    """Return by how much the number settled will have grown at the window's end, at the pace so far."""
    if not BusinessTime() < elapsed < window:
        return Fraction(1)
    return Fraction(window.microseconds, elapsed.microseconds)


def _burn(count: Count, allowed: Fraction) -> Fraction | None:
    return Fraction(count.breached, count.settled) / allowed if count.settled else None


def _fires(
    policy: BudgetPolicy, pair: BurnPair, long: Count, short: Count, objective_basis_points: int
) -> bool:
    if long.settled < policy.minimum_settled:
        return is_improbable(long, objective_basis_points)
    allowed = Fraction(_BASIS_POINTS - objective_basis_points, _BASIS_POINTS)
    burns = (_burn(long, allowed), _burn(short, allowed))
    return all(burn is not None and burn >= pair.threshold for burn in burns)


def _time_left(
    window: BusinessTime, remaining: Fraction | None, burn: Fraction | None
) -> BusinessTime | None:
    """Return how much of its own time the budget lasts at this pace; at 1 it is used up in one window."""
    if remaining is None or not burn:
        return None
    return BusinessTime(int(max(remaining, Fraction(0)) * window.microseconds / burn))
