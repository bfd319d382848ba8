"""Who may ask what would have been: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["BACKTEST_POLICY"]

_SERVICE: Final = "/smarketing.api.sla.v1.BacktestService"
# Whoever negotiates an agreement, and whoever looks over their shoulders. Reps are compared there by name.
_NEGOTIATORS: Final = (
    Role.MARKETING_MANAGER,
    Role.SALES_MANAGER,
    Role.LEADERSHIP,
    Role.AUDITOR,
    Role.OPERATOR,
)

BACKTEST_POLICY: Final[Policy] = {
    f"{_SERVICE}/BacktestAgreement": Allow(*_NEGOTIATORS),
    f"{_SERVICE}/ForecastBreaches": Allow(*_NEGOTIATORS),
}
