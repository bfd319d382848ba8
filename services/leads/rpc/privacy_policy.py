"""Who may see to people's rights: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["PRIVACY_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.PrivacyService"
_GUARDIANS: Final = (Role.OPERATOR, Role.MARKETING_MANAGER)
# Who talks to the lead hears what they agree to.
_WITNESSES: Final = (
    *_GUARDIANS,
    Role.MARKETING_SPECIALIST,
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.SALES_MANAGER,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
)

PRIVACY_POLICY: Final[Policy] = {
    f"{_SERVICE}/EraseSubject": Allow(*_GUARDIANS, mutation=True),
    f"{_SERVICE}/ExportSubject": Allow(*_GUARDIANS),
    f"{_SERVICE}/RecordConsent": Allow(*_WITNESSES, mutation=True),
    f"{_SERVICE}/ListConsents": Allow(*_GUARDIANS),
    f"{_SERVICE}/GetPrivacySettings": Allow(*_GUARDIANS, Role.AUDITOR),
    f"{_SERVICE}/UpdatePrivacySettings": Allow(Role.OPERATOR, mutation=True),
}
