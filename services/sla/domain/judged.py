"""A budget as judged at an instant, with all that it was judged by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.sla.domain.accord import Accord
from services.sla.domain.budget import Budget, BudgetPolicy, BudgetState, Counts
from services.sla.domain.consequence import BudgetTrigger, Consequence, following
from services.sla.domain.terms import Promise

__all__ = ["Judged"]

_TRIGGERS: Final = {
    BudgetState.WARN: BudgetTrigger.WARN,
    BudgetState.EXHAUSTED: BudgetTrigger.EXHAUSTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One commitment's budget; `next_time` is when it could be judged otherwise though nothing happens."""

    accord: Accord
    promise: Promise
    policy: BudgetPolicy
    counts: Counts
    budget: Budget
    as_of: datetime
    next_time: datetime | None

    @property
    def consequences(self) -> tuple[Consequence, ...]:
        """What the parties agreed to do in this state."""
        trigger = _TRIGGERS.get(self.budget.state)
        return following(self.promise.consequences, budget=trigger) if trigger else ()
