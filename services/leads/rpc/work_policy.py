"""Who may do what around handoffs: one line per RPC of the services beside LeadService."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["WORK_POLICY"]

_PLAYBOOK: Final = "/smarketing.api.leads.v1.PlaybookService"
_DISPUTE: Final = "/smarketing.api.leads.v1.DisputeService"

_MARKETING: Final = (Role.MARKETING_SPECIALIST, Role.MARKETING_MANAGER)
_EVERYBODY: Final = Allow(*(role for role in Role if role is not Role.PRODUCT_READER))

WORK_POLICY: Final[Policy] = {
    f"{_PLAYBOOK}/GetPlaybook": _EVERYBODY,
    f"{_PLAYBOOK}/ApplyPlaybook": Allow(Role.OPERATOR, mutation=True),
    # The other party's word: sales never disputes its own rejections.
    f"{_DISPUTE}/DisputeRejection": Allow(*_MARKETING, mutation=True),
    f"{_DISPUTE}/ResolveDispute": Allow(Role.SALES_MANAGER, Role.LEADERSHIP, mutation=True),
    f"{_DISPUTE}/GetDispute": _EVERYBODY,
    f"{_DISPUTE}/ListDisputes": _EVERYBODY,
}
