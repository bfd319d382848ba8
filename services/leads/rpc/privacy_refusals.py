"""What people's rights refuse, as callers see it; the service's table asks here."""

import grpc

from services.leads.domain.privacy import LeadErased, LeadSuppressed, SubjectAmbiguous
from smarketing.server.errors import Refusal

__all__ = ["privacy_refusal_of"]


def privacy_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only people's rights have; None for any other."""
    forbidden = grpc.StatusCode.FAILED_PRECONDITION
    match error:
        case LeadErased(name=name):
            return Refusal(
                forbidden, "LEAD_ERASED", f"{name} was erased; nothing can be kept of it.", {"name": name}
            )
        case LeadSuppressed():
            return Refusal(
                forbidden,
                "LEAD_SUPPRESSED",
                "This person was erased and must not be submitted again; take them off the sender's list.",
            )
        case SubjectAmbiguous(leads=leads):
            return Refusal(
                forbidden,
                "SUBJECT_AMBIGUOUS",
                f"{len(leads)} leads match; name the lead, or set `all_matches` when all are meant.",
                {"count": str(len(leads)), "leads": " ".join(leads[:10])},
            )
        case _:
            return None
