"""What exceptions and budgets refuse, as callers see it; the service's table asks here."""

import grpc

from services.sla.domain.exceptions import ExceptionInvalid, ExceptionTooLate
from smarketing.server.errors import Refusal, field_invalid

__all__ = ["exception_refusal_of"]


def exception_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only these have; None for any other."""
    match error:
        case ExceptionInvalid(field=field, reason=reason):
            return field_invalid(field, reason)
        case ExceptionTooLate(latest=latest):
            return Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "EXCEPTION_TOO_LATE",
                f"An exception could be asked for until {latest.isoformat()}; the miss stands.",
                {"latest_time": latest.isoformat()},
            )
        case _:
            return None
