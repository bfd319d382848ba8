"""Budgets as they are shown, and as the log tells of them."""

from fractions import Fraction

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import TimeBasis
from services.sla.domain.budget import BudgetState
from services.sla.domain.consequence import Consequence
from services.sla.domain.judged import Judged
from services.sla.domain.terms import Promise
from services.sla.wire.agreements import basis_value, party_values
from services.sla.wire.clauses import consequence_message
from services.sla.wire.instants import duration, stamp
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.names import AGREEMENT

__all__ = ["budget_message", "budget_state_changed", "consequence_due"]


def budget_message(judged: Judged) -> budgetspb.Budget:
    """Return a budget as it is shown; what is not defined is left out."""
    accord, promise, budget = judged.accord, judged.promise, judged.budget
    left = budget.time_to_exhaustion
    return budgetspb.Budget(
        agreement=AGREEMENT.build(accord.tenant, accord.agreement),
        agreement_version=accord.name,
        commitment_id=promise.id,
        parties=party_values(promise.parties),
        basis=basis_value(promise.basis or TimeBasis.BUSINESS),
        objective_basis_points=promise.objective_basis_points,
        state=_state(budget.state),
        consequences=map(consequence_message, judged.consequences),
        burning_fast=budget.is_burning_fast,
        burning_slowly=budget.is_burning_slowly,
        window_duration=duration(judged.policy.window),
        settled_count=judged.counts.window.settled,
        breached_count=judged.counts.window.breached,
        remaining_ratio=_number(budget.remaining),
        remaining_so_far_ratio=_number(budget.remaining_so_far),
        fast_burn_rate=_number(budget.fast_burn),
        slow_burn_rate=_number(budget.slow_burn),
        exhaustion_duration=None if left is None else duration(left),
        as_of_time=stamp(judged.as_of),
    )


def budget_state_changed(judged: Judged, earlier: BudgetState) -> budgetspb.BudgetStateChanged:
    """Return the event of a budget that got into another state."""
    return budgetspb.BudgetStateChanged(budget=budget_message(judged), earlier_state=_state(earlier))


def consequence_due(accord: Accord, promise: Promise, each: Consequence) -> slaeventspb.ConsequenceDue:
    """Return the event by which something is to be done because of a budget."""
    return slaeventspb.ConsequenceDue(
        agreement_version=accord.name,
        commitment_id=promise.id,
        parties=party_values(promise.parties),
        consequence=consequence_message(each),
    )


def _state(state: BudgetState) -> budgetspb.Budget.State.ValueType:
    return budgetspb.Budget.State.Value(f"STATE_{state.value}")


def _number(ratio: Fraction | None) -> float | None:
    return None if ratio is None else float(ratio)
