"""Who may do what about scores: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["SCORING_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.ScoringService"
_MARKETING: Final = (Role.MARKETING_SPECIALIST, Role.MARKETING_MANAGER)
_EVERYBODY: Final = Allow(*(role for role in Role if role is not Role.PRODUCT_READER))

SCORING_POLICY: Final[Policy] = {
    f"{_SERVICE}/ProposeScoreModel": Allow(Role.MARKETING_MANAGER, Role.OPERATOR, mutation=True),
    f"{_SERVICE}/ActivateScoreModel": Allow(Role.MARKETING_MANAGER, Role.OPERATOR, mutation=True),
    f"{_SERVICE}/GetScoreModel": _EVERYBODY,
    f"{_SERVICE}/ListScoreModels": _EVERYBODY,
    f"{_SERVICE}/ScoreLead": _EVERYBODY,
    f"{_SERVICE}/RecordBehaviours": Allow(*_MARKETING, Role.OPERATOR, mutation=True),
    # It takes both parties: marketing proposes what sales puts in force.
    f"{_SERVICE}/ProposeMqlDefinition": Allow(Role.MARKETING_MANAGER, Role.OPERATOR, mutation=True),
    f"{_SERVICE}/ActivateMqlDefinition": Allow(Role.SALES_MANAGER, Role.OPERATOR, mutation=True),
    f"{_SERVICE}/GetMqlDefinition": _EVERYBODY,
    f"{_SERVICE}/ListMqlDefinitions": _EVERYBODY,
}
