"""Who may do what: one line per RPC; a missing line stops the start."""

from typing import Final

from services.leads.rpc.directory_policy import DIRECTORY_POLICY
from services.leads.rpc.identity_policy import IDENTITY_POLICY
from services.leads.rpc.intake_policy import INTAKE_POLICY
from services.leads.rpc.privacy_policy import PRIVACY_POLICY
from services.leads.rpc.routing_policy import ROUTING_POLICY
from services.leads.rpc.scoring_policy import SCORING_POLICY
from services.leads.rpc.tenancy_policy import TENANCY_POLICY
from services.leads.rpc.work_policy import WORK_POLICY
from smarketing.server.audit_servicer import AUDIT_POLICY
from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["LEADS_POLICY", "POLICY", "SEE_EVERY_LEAD", "SEE_PERSONAL_DATA"]

_LEADS: Final = "/smarketing.api.leads.v1.LeadService"
_LOG: Final = "/smarketing.api.eventlog.v1.EventLogService"

_MARKETING: Final = (Role.MARKETING_SPECIALIST, Role.MARKETING_MANAGER)
_SALES: Final = (
    Role.SALES_REP,
    Role.SALES_SPECIALIST,
    Role.SALES_MANAGER,
    Role.ACCOUNT_MANAGER,
    Role.CUSTOMER_SUCCESS,
)
_ONLOOKERS: Final = (Role.LEADERSHIP, Role.AUDITOR, Role.OPERATOR, Role.SERVICE)
_LOG_READERS: Final = (Role.SERVICE, Role.OPERATOR, Role.AUDITOR)

SEE_EVERY_LEAD: Final = frozenset({*_MARKETING, Role.SALES_MANAGER})
"""Roles whose holders see the personal data of every lead; others in sales see their own teams'."""

SEE_PERSONAL_DATA: Final = frozenset({*_SALES, *_MARKETING})
"""Personal data is for those who call the lead, and those who sent it."""

_PERSONAL: Final = Allow(*SEE_PERSONAL_DATA)
_IMPERSONAL: Final = Allow(*_SALES, *_MARKETING, *_ONLOOKERS)
_WORK: Final = Allow(*_SALES, mutation=True)
_INTAKE: Final = Allow(*_MARKETING, Role.OPERATOR, mutation=True)

LEADS_POLICY: Final[Policy] = {
    f"{_LEADS}/SubmitLead": _INTAKE,
    f"{_LEADS}/SubmitLeads": _INTAKE,
    # What another system knows of anybody's handoffs: for systems, and people who answer for all of them.
    f"{_LEADS}/RecordOutcomes": Allow(
        *_SALES, Role.OPERATOR, people=(Role.SALES_MANAGER, Role.OPERATOR), mutation=True
    ),
    f"{_LEADS}/GetLead": _PERSONAL,
    f"{_LEADS}/GetHandoff": _IMPERSONAL,
    f"{_LEADS}/ListHandoffs": _IMPERSONAL,
    f"{_LEADS}/ListOffers": Allow(*_SALES, Role.OPERATOR),
    f"{_LEADS}/WatchOffers": Allow(*_SALES, Role.OPERATOR),
    f"{_LEADS}/ListFollowUps": _IMPERSONAL,
    f"{_LEADS}/GetOpportunity": _IMPERSONAL,
    f"{_LEADS}/ListReasonCodes": _IMPERSONAL,
    f"{_LEADS}/ClaimOffer": Allow(*_SALES, mutation=True, tenant_from="queue"),
    f"{_LEADS}/AcceptOffer": _WORK,
    f"{_LEADS}/DeclineOffer": _WORK,
    f"{_LEADS}/RejectOffer": _WORK,
    f"{_LEADS}/ReassignHandoff": Allow(Role.SALES_MANAGER, Role.OPERATOR, mutation=True),
    f"{_LEADS}/LogFollowUp": _WORK,
    f"{_LEADS}/LogFollowUps": _WORK,
    f"{_LEADS}/QualifyHandoff": _WORK,
    f"{_LEADS}/DisqualifyHandoff": _WORK,
    f"{_LEADS}/RecycleHandoff": _WORK,
    # Whether a handoff counts at all is neither party's to say.
    f"{_LEADS}/VoidHandoff": Allow(Role.OPERATOR, mutation=True),
    f"{_LEADS}/ConvertHandoff": _WORK,
    f"{_LEADS}/CloseOpportunity": _WORK,
    f"{_LEADS}/ReopenOpportunity": _WORK,
}

POLICY: Final[Policy] = {
    **LEADS_POLICY,
    **DIRECTORY_POLICY,
    **IDENTITY_POLICY,
    **INTAKE_POLICY,
    **ROUTING_POLICY,
    **SCORING_POLICY,
    **PRIVACY_POLICY,
    **TENANCY_POLICY,
    **WORK_POLICY,
    **AUDIT_POLICY,
    "/smarketing.api.leads.v1.LeadSearchService/FindLeads": _PERSONAL,
    f"{_LOG}/ReadEvents": Allow(*_LOG_READERS),
    f"{_LOG}/WatchEvents": Allow(*_LOG_READERS, tenant_from="start.parent"),
}
