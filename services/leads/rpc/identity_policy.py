"""Who may say who is who: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["IDENTITY_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.IdentityService"
# It moves the figures of both parties: for who answers for one of them, and the operator.
_DECIDERS: Final = (Role.MARKETING_MANAGER, Role.SALES_MANAGER, Role.OPERATOR)

IDENTITY_POLICY: Final[Policy] = {
    f"{_SERVICE}/ListPossibleDuplicates": Allow(*_DECIDERS),
    f"{_SERVICE}/ListDistinctions": Allow(*_DECIDERS),
    f"{_SERVICE}/DistinguishLeads": Allow(*_DECIDERS, mutation=True),
    f"{_SERVICE}/WithdrawDistinction": Allow(*_DECIDERS, mutation=True),
    f"{_SERVICE}/MergeLeads": Allow(*_DECIDERS, mutation=True),
    f"{_SERVICE}/UnmergeLeads": Allow(*_DECIDERS, mutation=True),
}
