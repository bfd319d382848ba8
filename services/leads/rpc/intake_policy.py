"""Who may connect sources: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["INTAKE_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.IntakeService"
_KEEPERS: Final = (Role.MARKETING_MANAGER, Role.OPERATOR)
_CHANGE: Final = Allow(*_KEEPERS, mutation=True)
_READ: Final = Allow(*_KEEPERS)

INTAKE_POLICY: Final[Policy] = {
    f"{_SERVICE}/CreateSource": _CHANGE,
    f"{_SERVICE}/ListSources": _READ,
    f"{_SERVICE}/RotateSourceSecret": _CHANGE,
    f"{_SERVICE}/DeleteSource": _CHANGE,
    f"{_SERVICE}/ListSetAside": _READ,
    f"{_SERVICE}/ReplaySetAside": _CHANGE,
    f"{_SERVICE}/CreateWriteBack": _CHANGE,
    f"{_SERVICE}/ListWriteBacks": _READ,
    f"{_SERVICE}/DeleteWriteBack": _CHANGE,
    f"{_SERVICE}/ReplayWriteBack": _CHANGE,
    f"{_SERVICE}/GetIntakeRules": _READ,
    f"{_SERVICE}/ApplyIntakeRules": _CHANGE,
}
