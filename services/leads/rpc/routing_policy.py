"""Who may look at routing: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["ROUTING_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.RoutingService"

ROUTING_POLICY: Final[Policy] = {
    f"{_SERVICE}/PreviewRouting": Allow(Role.SALES_MANAGER, Role.MARKETING_MANAGER, Role.OPERATOR),
    f"{_SERVICE}/GetRoutingLoad": Allow(
        Role.SALES_MANAGER, Role.MARKETING_MANAGER, Role.LEADERSHIP, Role.OPERATOR, Role.AUDITOR
    ),
}
