"""Who may see marketing's periods: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["PERIOD_POLICY"]

_SERVICE: Final = "/smarketing.api.sla.v1.PeriodService"
# Money, and the whole of a department's work: not everybody's.
_READERS: Final = (
    Role.MARKETING_MANAGER,
    Role.MARKETING_SPECIALIST,
    Role.SALES_MANAGER,
    Role.LEADERSHIP,
    Role.AUDITOR,
    Role.OPERATOR,
    Role.SERVICE,
)

PERIOD_POLICY: Final[Policy] = {
    f"{_SERVICE}/GetMarketingPeriod": Allow(*_READERS, tenant_from="agreement"),
    f"{_SERVICE}/ListMarketingPeriods": Allow(*_READERS),
}
