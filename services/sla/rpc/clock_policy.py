"""Who may ask for clocks to stand still: one line per RPC, for the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["CLOCK_POLICY"]

_SERVICE: Final = "/smarketing.api.sla.v1.ClockService"
_ASKING: Final = (
    Role.MARKETING_MANAGER,
    Role.SALES_MANAGER,
    Role.MARKETING_SPECIALIST,
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
    Role.LEADERSHIP,
)

CLOCK_POLICY: Final[Policy] = {
    # Besides, only whom the agreement names for the reason: the use case looks.
    f"{_SERVICE}/PauseClock": Allow(*_ASKING, mutation=True),
    f"{_SERVICE}/ResumeClock": Allow(*_ASKING, mutation=True),
    f"{_SERVICE}/ReassessClock": Allow(
        Role.MARKETING_MANAGER, Role.SALES_MANAGER, Role.OPERATOR, mutation=True
    ),
}
