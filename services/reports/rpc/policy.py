"""Who may ask what: one line per RPC."""

from typing import Final

from services.reports.rpc.input_policy import INPUT_POLICY
from smarketing.server.audit_servicer import AUDIT_POLICY
from smarketing.server.auth import Caller, Role
from smarketing.server.policy import Allow, Policy

__all__ = ["POLICY", "own_side_of"]

_SERVICE: Final = "/smarketing.api.reports.v1.ReportService"
_LOG: Final = "/smarketing.api.eventlog.v1.EventLogService"

_BOTH_SIDES: Final = frozenset(
    {
        Role.LEADERSHIP,
        Role.MARKETING_MANAGER,
        Role.SALES_MANAGER,
        Role.AUDITOR,
        Role.OPERATOR,
        Role.SERVICE,
    }
)
_OWN_SIDE: Final = frozenset(
    {
        Role.MARKETING_SPECIALIST,
        Role.SALES_REP,
        Role.SALES_SPECIALIST,
        Role.ACCOUNT_MANAGER,
        Role.CUSTOMER_SUCCESS,
    }
)
_READERS: Final = _BOTH_SIDES | _OWN_SIDE

POLICY: Final[Policy] = {
    f"{_SERVICE}/ListKpis": Allow(*_READERS, Role.PRODUCT_READER),
    f"{_SERVICE}/QueryKpi": Allow(*_READERS),
    f"{_SERVICE}/GetScorecard": Allow(*_READERS),
    f"{_SERVICE}/GetFunnel": Allow(*_READERS),
    f"{_SERVICE}/GetCompliance": Allow(*_READERS),
    f"{_SERVICE}/GetResponseTimes": Allow(*_READERS),
    f"{_SERVICE}/GetLeadQuality": Allow(*_READERS),
    f"{_SERVICE}/GetRoi": Allow(*_READERS),
    f"{_SERVICE}/GetPipeline": Allow(*_READERS),
    f"{_SERVICE}/GetForecast": Allow(*_READERS),
    f"{_LOG}/ReadEvents": Allow(Role.AUDITOR, Role.OPERATOR, Role.SERVICE),
    f"{_LOG}/WatchEvents": Allow(Role.AUDITOR, Role.OPERATOR, Role.SERVICE, tenant_from="start.parent"),
    **INPUT_POLICY,
    **AUDIT_POLICY,
}


def own_side_of(caller: Caller) -> str:
    """Return the only party whose promises the caller sees; empty for those who see both.

    The funnel and response times are shared: they are everybody's, whoever asks.
    """
    return "" if caller.roles & _BOTH_SIDES else caller.party.lower() or "none"
