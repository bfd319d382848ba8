"""What merging refuses, as callers see it; the service's table asks here."""

from typing import Final

import grpc

from services.leads.domain.distinctions import LeadsDistinguished, LeadsMergedAlready, LeadsNotDistinguished
from services.leads.domain.merging import BothConverted, KeepOtherLead, LeadAlreadyMerged, LeadNotMerged
from smarketing.server.errors import Refusal

__all__ = ["identity_refusal_of"]

_FORBIDDEN: Final = grpc.StatusCode.FAILED_PRECONDITION


def identity_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only merging has; None for any other."""
    match error:
        case LeadAlreadyMerged(lead=lead):
            return Refusal(
                _FORBIDDEN,
                "LEAD_ALREADY_MERGED",
                f"{error}; name the lead as which it is known, or take that merge back.",
                {"lead": lead},
            )
        case LeadNotMerged(lead=lead):
            return Refusal(
                _FORBIDDEN, "LEAD_NOT_MERGED", f"{error}; there is nothing to take back.", {"lead": lead}
            )
        case LeadsDistinguished(lead=lead, other_lead=other):
            return Refusal(
                _FORBIDDEN,
                "LEADS_DISTINGUISHED",
                f"{error}; withdraw that first, with WithdrawDistinction.",
                {"lead": lead, "other_lead": other},
            )
        case LeadsNotDistinguished(lead=lead, other_lead=other):
            return Refusal(
                _FORBIDDEN,
                "LEADS_NOT_DISTINGUISHED",
                f"{error}; name the two leads of which it was said.",
                {"lead": lead, "other_lead": other},
            )
        case LeadsMergedAlready(lead=lead, other_lead=other):
            return Refusal(
                _FORBIDDEN,
                "LEADS_MERGED",
                f"{error}; take the merge back first, with UnmergeLeads.",
                {"lead": lead, "other_lead": other},
            )
        case KeepOtherLead(lead=lead):
            return Refusal(
                _FORBIDDEN,
                "KEEP_OTHER_LEAD",
                f"{error}; keep that lead, and merge the other into it.",
                {"lead": lead},
            )
        case BothConverted(lead=lead):
            return Refusal(
                _FORBIDDEN, "BOTH_CONVERTED", f"{error}; close one of the two first.", {"lead": lead}
            )
        case _:
            return None
