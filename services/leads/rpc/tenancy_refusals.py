"""What tenants, leavers and tokens refuse, as callers see it; the service's table asks here."""

from typing import Final

import grpc

from services.leads.domain.tenancy import LeadQuotaExceeded, SuccessorMissing, TenantExists, TokenEnded
from smarketing.server.errors import Refusal

__all__ = ["tenancy_refusal_of"]

_FORBIDDEN: Final = grpc.StatusCode.FAILED_PRECONDITION


def tenancy_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only these have; None for any other."""
    match error:
        case TenantExists(name=name):
            return Refusal(
                grpc.StatusCode.ALREADY_EXISTS,
                "TENANT_EXISTS",
                f"{name} is there already; read it, or take another id.",
                {"name": name},
            )
        case TokenEnded(name=name):
            return Refusal(
                _FORBIDDEN, "TOKEN_ENDED", f"{name} works no longer; issue another instead.", {"name": name}
            )
        case SuccessorMissing(handoff=handoff):
            return Refusal(
                _FORBIDDEN,
                "SUCCESSOR_MISSING",
                f"Nobody can own {handoff}; name a person as `assignee`, or give the team a manager.",
                {"handoff": handoff},
            )
        case LeadQuotaExceeded(free_again=free_again):
            return Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "TENANT_QUOTA_EXCEEDED",
                "Your organisation has handed over as many leads today as agreed; come again tomorrow.",
                retry_delay=free_again,
            )
        case _:
            return None
