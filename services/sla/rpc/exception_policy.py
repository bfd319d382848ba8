"""Who may ask for exceptions and answer them, and see budgets: one line per RPC, for the service's policy."""

from typing import Final

from services.sla.domain.agreement import Party
from smarketing.server.auth import Caller, Role
from smarketing.server.policy import Allow, Policy

__all__ = ["EXCEPTION_POLICY", "asks_for"]

_EXCEPTIONS: Final = "/smarketing.api.sla.v1.ExceptionService"
_BUDGETS: Final = "/smarketing.api.sla.v1.BudgetService"

_MANAGERS: Final = (Role.MARKETING_MANAGER, Role.SALES_MANAGER)
_WORKERS: Final = (
    Role.MARKETING_SPECIALIST,
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
)
_ONLOOKERS: Final = (Role.LEADERSHIP, Role.AUDITOR, Role.OPERATOR, Role.SERVICE)

EXCEPTION_POLICY: Final[Policy] = {
    f"{_EXCEPTIONS}/RequestException": Allow(*_MANAGERS, *_WORKERS, mutation=True),
    # Besides, only the other party's: the use case looks whose manager it is.
    f"{_EXCEPTIONS}/ApproveException": Allow(*_MANAGERS, mutation=True),
    f"{_EXCEPTIONS}/DeclineException": Allow(*_MANAGERS, mutation=True),
    f"{_EXCEPTIONS}/GetException": Allow(*_MANAGERS, *_WORKERS, *_ONLOOKERS),
    f"{_EXCEPTIONS}/ListExceptions": Allow(*_MANAGERS, *_WORKERS, *_ONLOOKERS),
    f"{_EXCEPTIONS}/CountExceptions": Allow(*_MANAGERS, *_WORKERS, *_ONLOOKERS),
    f"{_BUDGETS}/GetBudget": Allow(*_MANAGERS, *_WORKERS, *_ONLOOKERS, tenant_from="agreement"),
    f"{_BUDGETS}/ListBudgets": Allow(*_MANAGERS, *_WORKERS, *_ONLOOKERS),
}

_SIDES: Final = {
    Party.MARKETING: frozenset({Role.MARKETING_SPECIALIST, Role.MARKETING_MANAGER}),
    Party.SALES: frozenset(
        {
            Role.SALES_REP,
            Role.SALES_SPECIALIST,
            Role.ACCOUNT_MANAGER,
            Role.CUSTOMER_SUCCESS,
            Role.SALES_MANAGER,
        }
    ),
}


def asks_for(caller: Caller) -> tuple[Party, ...]:
    """Return the sides for which the caller can ask for an exception."""
    return tuple(party for party, roles in _SIDES.items() if caller.roles & roles)
