"""Who may ask about agreements in use: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["AGREEMENT_POLICY"]

_SERVICE: Final = "/smarketing.api.sla.v1.AgreementService"

AGREEMENT_POLICY: Final[Policy] = {
    # Whoever may see the clock.
    f"{_SERVICE}/GetResponsibility": Allow(
        Role.MARKETING_MANAGER,
        Role.SALES_MANAGER,
        Role.MARKETING_SPECIALIST,
        Role.SALES_REP,
        Role.SALES_SPECIALIST,
        Role.ACCOUNT_MANAGER,
        Role.CUSTOMER_SUCCESS,
        Role.LEADERSHIP,
        Role.AUDITOR,
        Role.OPERATOR,
        Role.SERVICE,
    ),
    # Whoever negotiates an agreement, and whoever looks over their shoulders.
    f"{_SERVICE}/ProposeTargets": Allow(
        Role.MARKETING_MANAGER, Role.SALES_MANAGER, Role.LEADERSHIP, Role.AUDITOR, Role.OPERATOR
    ),
}
