"""What the directory refuses, as callers see it; the service's table asks here."""

import grpc

from services.leads.domain.directory_errors import DirectoryInvalid, PrincipalUnknown, TokenUnknown
from smarketing.server.errors import FieldViolation, Refusal

__all__ = ["directory_refusal_of"]


def directory_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only the directory has; None for any other."""
    match error:
        case DirectoryInvalid(faults=faults):
            first = faults[0]
            return Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "DIRECTORY_INVALID",
                f"Correct the directory in {len(faults)} places, first `{first.path}`: {first.description}.",
                {
                    "fault_count": str(len(faults)),
                    "field": f"directory.{first.path}",
                    "description": first.description,
                },
                field_violations=[
                    FieldViolation(f"directory.{fault.path}", fault.description) for fault in faults
                ],
            )
        case PrincipalUnknown(name=name):
            return _not_found("PRINCIPAL_UNKNOWN", f"{name} is nobody active; apply a directory first.", name)
        case TokenUnknown(name=name):
            return _not_found("TOKEN_UNKNOWN", f"There is no {name}; list the principal's tokens.", name)
        case _:
            return None


def _not_found(reason: str, message: str, name: str) -> Refusal:
    return Refusal(grpc.StatusCode.NOT_FOUND, reason, message, {"name": name})
