"""By what an error budget is judged, as the parties wrote it, and what of that can never happen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.budget import (
    FAST_SHARE,
    FAST_WINDOW,
    WINDOW,
    BudgetPolicy,
    BurnPair,
    burn_threshold,
    burn_threshold_is_reachable,
    default_policy,
)
from services.sla.domain.fault import Fault
from smarketing.businesstime import BusinessTime

_BASIS_POINTS: Final = 10_000
_NOTHING: Final = BusinessTime()
_LONGEST: Final = BusinessTime.of(hours=24 * 366)
_MOST_SETTLED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """The windows of a budget and its alerts; what is zero was not written."""

    window: BusinessTime = _NOTHING
    fast_share: int = 0
    """Basis points."""
    fast_window: BusinessTime = _NOTHING
    slow_window: BusinessTime = _NOTHING
    least_settled: int = 0

    def burn(self) -> Fraction:
        """Return the burn rate at which the fast alert fires: it uses up its share within its window."""
        return burn_threshold(
            share_basis_points=self.fast_share or FAST_SHARE,
            window=self.window or WINDOW,
            long=self.fast_window or FAST_WINDOW,
        )


def policy_of(terms: BudgetTerms | None, basis: TimeBasis, business_day: BusinessTime) -> BudgetPolicy:
    """Return by what a budget is judged: as written, and by the defaults where nothing was."""
    default = default_policy(basis, business_day)
    if terms is None:
        return default
    fast, slow = terms.fast_window or FAST_WINDOW, terms.slow_window or default.slow.long
    return replace(
        default,
        window=terms.window or default.window,
        fast=BurnPair(long=fast, short=BusinessTime(fast.microseconds // 12), threshold=terms.burn()),
        slow=BurnPair(
            long=slow, short=BusinessTime(slow.microseconds // 5), threshold=default.slow.threshold
        ),
        minimum_settled=terms.least_settled or default.minimum_settled,
    )


def faults_of_budget(terms: BudgetTerms | None, objective_basis_points: int, path: str) -> Iterator[Fault]:
    """Yield what cannot be agreed to, alerts that can never fire at this objective among it."""
    terms = terms or BudgetTerms()
    is_readable = True
    for name, window in (
        ("budget_window", terms.window),
        ("fast_window", terms.fast_window),
        ("slow_window", terms.slow_window),
    ):
        if not _NOTHING <= window <= _LONGEST:
            is_readable = False
            yield Fault(path=f"{path}.{name}", description="more than nothing, and no more than 366 days")
    if not 0 <= terms.fast_share <= _BASIS_POINTS:
        is_readable = False
        yield Fault(path=f"{path}.fast_share_basis_points", description="1 to 10,000 basis points")
    if not 0 <= terms.least_settled <= _MOST_SETTLED:
        yield Fault(path=f"{path}.minimum_settled", description=f"1 to {_MOST_SETTLED}")
    if is_readable:
        yield from _faults_of_alerts(terms, objective_basis_points, path)


def _faults_of_alerts(terms: BudgetTerms, objective_basis_points: int, path: str) -> Iterator[Fault]:
    window = terms.window or WINDOW
    for name, each in (("fast_window", terms.fast_window or FAST_WINDOW), ("slow_window", terms.slow_window)):
        if each >= window:
            yield Fault(path=f"{path}.{name}", description="shorter than the budget's own window")
    allowed = _BASIS_POINTS - objective_basis_points
    burn = terms.burn()
    # With nothing met the burn is 1 / (1 - objective), and no burn is higher.
    if 0 < allowed < _BASIS_POINTS and not burn_threshold_is_reachable(objective_basis_points, burn):
        most = Fraction(_BASIS_POINTS, allowed)
        yield Fault(
            path=f"{path}.fast_share_basis_points",
            description=(
                f"the fast alert waits for a burn of {float(burn):.2f}, and at this objective none is above "
                f"{float(most):.2f}: take a smaller share or a longer window"
            ),
        )
