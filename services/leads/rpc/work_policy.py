"""Who may do what around handoffs: one line per RPC of the services beside LeadService."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["WORK_POLICY"]

_PLAYBOOK: Final = "/smarketing.api.leads.v1.PlaybookService"
_DISPUTE: Final = "/smarketing.api.leads.v1.DisputeService"

_WORK: Final = "/smarketing.api.leads.v1.WorkService"

_SALES: Final = (
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.SALES_MANAGER,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
)
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
    f"{_WORK}/RecordReply": Allow(*_SALES, *_MARKETING, mutation=True),
    f"{_WORK}/SetNextAction": Allow(*_SALES, mutation=True),
    f"{_WORK}/ListNextActions": Allow(*_SALES, Role.OPERATOR),
    f"{_WORK}/UpdateOpportunity": Allow(*_SALES, mutation=True),
    f"{_WORK}/RecordMilestone": Allow(*_SALES, mutation=True),
    f"{_WORK}/ListOpportunityChanges": _EVERYBODY,
    f"{_WORK}/RecordFeedback": Allow(*_SALES, mutation=True),
    f"{_WORK}/SetFeedbackStatus": Allow(*_MARKETING, mutation=True),
    f"{_WORK}/ListFeedback": Allow(*Role),
    f"{_WORK}/ListTimeline": _EVERYBODY,
}
