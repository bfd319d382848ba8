"""Error budgets as the sla log says they stand; reports decides nothing about them."""

from typing import NamedTuple

from services.reports.domain.periods import Micros

__all__ = ["BudgetSaid", "PayoutDue"]


class BudgetSaid(NamedTuple):
    """A budget when it last got into another state; also the row in which it is kept."""

    budget: str
    """Agreement and commitment."""
    tenant: str
    agreement: str
    commitment_id: str
    parties: str
    """As in a clock: `,marketing,sales,`."""
    state: str
    settled_count: int
    breached_count: int
    remaining_ratio: float | None
    fast_burn_rate: float | None
    slow_burn_rate: float | None
    exhaustion: Micros | None
    """How long the rest lasts, in the commitment's own time; None when nothing burns."""
    as_of_time: Micros
    objective_basis_points: int | None = None
    burning_fast: bool | None = None
    """Whether the fast alert held."""
    burning_slowly: bool | None = None


class PayoutDue(NamedTuple):
    """A consequence on payouts fell due; also the row in which it is kept."""

    payout: str
    """What set it off: the version, the commitment, the consequence, the clock, the instant."""
    tenant: str
    agreement: str
    commitment_id: str
    parties: str
    """As in a clock: `,marketing,sales,`."""
    percent: int
    """By how much payouts are multiplied."""
    due_time: Micros
