"""What intake refuses, as callers see it; the service's table asks here."""

import grpc

from services.leads.domain.intake import MappingUnknown, SourceUnknown, SystemUnknown, WriteBackUnknown
from smarketing.delivery import AddressForbidden
from smarketing.server.errors import Refusal, field_invalid

__all__ = ["intake_refusal_of"]


def intake_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only intake has; None for any other."""
    match error:
        case SourceUnknown(name=name):
            return _missing("SOURCE_UNKNOWN", name, "list the tenant's sources")
        case WriteBackUnknown(name=name):
            return _missing("WRITE_BACK_UNKNOWN", name, "list the tenant's write-backs")
        case MappingUnknown(known=known):
            return field_invalid("source.mapping", f"one of {', '.join(known)}", reason="MAPPING_UNKNOWN")
        case SystemUnknown():
            return field_invalid(
                "source.system", "an active system of the directory", reason="SYSTEM_UNKNOWN"
            )
        case AddressForbidden(why=why):
            return field_invalid("url", why, reason="WEBHOOK_ADDRESS_FORBIDDEN")
        case _:
            return None


def _missing(reason: str, name: str, advice: str) -> Refusal:
    return Refusal(grpc.StatusCode.NOT_FOUND, reason, f"There is no {name}; {advice}.", {"name": name})
