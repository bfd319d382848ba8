"""What people's rights refuse, as callers see it; the service's table asks here."""

from typing import Final

import grpc

from services.leads.domain.privacy import LeadErased, LeadSuppressed, SubjectAmbiguous
from smarketing.server.errors import Refusal

__all__ = ["privacy_refusal_of"]

_FORBIDDEN: Final = grpc.StatusCode.FAILED_PRECONDITION


def privacy_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only people's rights have; None for any other."""
    match error:
        case LeadErased(name=name):
            return Refusal(
                _FORBIDDEN, "LEAD_ERASED", f"{name} was erased; nothing can be kept of it.", {"name": name}
            )
        case LeadSuppressed():
            return Refusal(
                _FORBIDDEN,
                "LEAD_SUPPRESSED",
                "This person was erased and must not be submitted again; take them off the sender's list.",
            )
        case SubjectAmbiguous(leads=leads):
            return Refusal(
                _FORBIDDEN,
                "SUBJECT_AMBIGUOUS",
                f"{len(leads)} leads match; name the lead, or set `all_matches` when all are meant.",
                {"count": str(len(leads)), "leads": " ".join(leads[:10])},
            )
        case _:
            return None
