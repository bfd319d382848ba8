"""What pausing refuses, as callers see it; the service's table asks here."""

from services.sla.domain.pausing import PauseReasonUnknown
from smarketing.server.errors import Refusal, field_invalid

__all__ = ["clock_refusal_of"]


def clock_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only these have; None for any other."""
    match error:
        case PauseReasonUnknown(known=known):
            reasons = ", ".join(known) or "none"
            return field_invalid(
                "reason_code", f"a reason of the clock's agreement: {reasons}", reason="PAUSE_REASON_UNKNOWN"
            )
        case _:
            return None
