"""Who may ask what: one line per RPC."""

from typing import Final

from services.sla.domain.agreement import Party
from services.sla.rpc.agreement_policy import AGREEMENT_POLICY
from services.sla.rpc.backtest_policy import BACKTEST_POLICY
from services.sla.rpc.calendar_policy import CALENDAR_POLICY
from services.sla.rpc.clock_policy import CLOCK_POLICY
from services.sla.rpc.exception_policy import EXCEPTION_POLICY
from services.sla.rpc.period_policy import PERIOD_POLICY
from smarketing.server.audit_servicer import AUDIT_POLICY
from smarketing.server.auth import Caller, Role
from smarketing.server.policy import Allow, Policy

__all__ = ["POLICY", "only_for", "parties_of", "party_seen", "sees_all", "sees_groups"]

_SERVICE: Final = "/smarketing.api.sla.v1.SlaService"
_LOG: Final = "/smarketing.api.eventlog.v1.EventLogService"

_MANAGERS: Final = (Role.MARKETING_MANAGER, Role.SALES_MANAGER)
_WORKERS: Final = (
    Role.MARKETING_SPECIALIST,
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
)
_READERS: Final = (*_MANAGERS, *_WORKERS, Role.LEADERSHIP, Role.AUDITOR, Role.OPERATOR, Role.SERVICE)
_KEEPERS: Final = (*_MANAGERS, Role.OPERATOR)
_DEALERS: Final = (*_MANAGERS, *_WORKERS, Role.LEADERSHIP)

POLICY: Final[Policy] = {
    f"{_SERVICE}/ProposeAgreement": Allow(*_MANAGERS, mutation=True),
    f"{_SERVICE}/AcceptAgreement": Allow(*_MANAGERS, mutation=True),
    f"{_SERVICE}/ActivateAgreement": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/GetAgreementVersion": Allow(*_READERS),
    f"{_SERVICE}/ListAgreementVersions": Allow(*_READERS),
    f"{_SERVICE}/CreateCalendarVersion": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/GetCalendarVersion": Allow(*_READERS),
    f"{_SERVICE}/ListCalendarVersions": Allow(*_READERS),
    f"{_SERVICE}/CreateLeave": Allow(*_KEEPERS, *_WORKERS, mutation=True),
    f"{_SERVICE}/CancelLeave": Allow(*_KEEPERS, *_WORKERS, mutation=True),
    f"{_SERVICE}/ListLeave": Allow(*_READERS),
    f"{_SERVICE}/GetClock": Allow(*_READERS),
    f"{_SERVICE}/ListClocks": Allow(*_READERS),
    f"{_SERVICE}/ExplainClock": Allow(*_READERS),
    f"{_SERVICE}/GetAlert": Allow(*_READERS),
    f"{_SERVICE}/ListAlerts": Allow(*_READERS),
    f"{_SERVICE}/AcknowledgeAlert": Allow(*_DEALERS, mutation=True),
    f"{_SERVICE}/ResolveAlert": Allow(*_DEALERS, mutation=True),
    f"{_SERVICE}/SnoozeAlert": Allow(*_DEALERS, mutation=True),
    f"{_SERVICE}/SetAlertChannel": Allow(*_KEEPERS, *_WORKERS, Role.LEADERSHIP, mutation=True),
    f"{_SERVICE}/DeleteAlertChannel": Allow(*_KEEPERS, *_WORKERS, Role.LEADERSHIP, mutation=True),
    f"{_SERVICE}/ListAlertChannels": Allow(*_KEEPERS, *_WORKERS, Role.LEADERSHIP),
    f"{_SERVICE}/CreateWebhookEndpoint": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/DeleteWebhookEndpoint": Allow(*_KEEPERS, mutation=True),
    f"{_SERVICE}/ListWebhookEndpoints": Allow(*_KEEPERS),
    f"{_LOG}/ReadEvents": Allow(Role.AUDITOR, Role.OPERATOR, Role.SERVICE),
    f"{_LOG}/WatchEvents": Allow(Role.AUDITOR, Role.OPERATOR, Role.SERVICE, tenant_from="start.parent"),
    **AGREEMENT_POLICY,
    **BACKTEST_POLICY,
    **CALENDAR_POLICY,
    **CLOCK_POLICY,
    **EXCEPTION_POLICY,
    **PERIOD_POLICY,
    **AUDIT_POLICY,
}

_SPEAKS_FOR: Final = {Role.MARKETING_MANAGER: Party.MARKETING, Role.SALES_MANAGER: Party.SALES}


def parties_of(caller: Caller) -> tuple[Party, ...]:
    """Return the parties that the caller speaks for; somebody who manages both sides gives both words."""
    return tuple(party for role, party in _SPEAKS_FOR.items() if role in caller.roles)


def only_for(caller: Caller) -> str | None:
    """Return the one person for whom the caller may speak; None for those who may for anybody."""
    return None if caller.roles & {*_KEEPERS, Role.LEADERSHIP} else caller.actor


def sees_all(caller: Caller) -> bool:
    """Tell whether the caller sees every clock and alert of the tenant."""
    return bool(caller.roles & {Role.LEADERSHIP, Role.AUDITOR, Role.OPERATOR, Role.SERVICE})


def sees_groups(caller: Caller) -> bool:
    """Tell whether the caller sees what their teams and queues have, and not their own alone."""
    return bool(caller.roles & {*_MANAGERS})


def party_seen(caller: Caller) -> str:
    """Return the party whose promises the caller sees whoever holds the handoff; empty for none."""
    # The handoffs that marketing's promises are measured on are held by sales.
    return Party.MARKETING.value if Role.MARKETING_MANAGER in caller.roles else ""
