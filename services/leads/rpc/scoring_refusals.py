"""What scoring refuses, as callers see it; the service's table asks here."""

from collections.abc import Sequence

import grpc

from services.leads.domain.errors import Fault
from services.leads.domain.scoring_errors import (
    MqlDefinitionInvalid,
    MqlDefinitionUnknown,
    ScoreModelInvalid,
    ScoreModelUnknown,
)
from smarketing.server.errors import FieldViolation, Refusal

__all__ = ["scoring_refusal_of"]

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_MISSING = grpc.StatusCode.NOT_FOUND


def scoring_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error that only scoring has; None for any other."""
    match error:
        case ScoreModelUnknown(name=name):
            message = f"There is no {name}; list the tenant's score models, or activate one."
            return Refusal(_MISSING, "SCORE_MODEL_UNKNOWN", message, {"name": name})
        case MqlDefinitionUnknown(name=name):
            message = f"There is no {name}; list the tenant's MQL definitions."
            return Refusal(_MISSING, "MQL_DEFINITION_UNKNOWN", message, {"name": name})
        case ScoreModelInvalid(faults=faults):
            first = faults[0]
            return Refusal(
                _INVALID,
                "SCORE_MODEL_INVALID",
                f"Correct `{first.field}` of the score model: it {first.description}.",
                {"field": f"score_model.{first.field}", "description": first.description},
                field_violations=_violations("score_model", faults),
            )
        case MqlDefinitionInvalid(faults=faults):
            first = faults[0]
            return Refusal(
                _INVALID,
                "MQL_DEFINITION_INVALID",
                f"Correct `{first.field}` of the MQL definition: it {first.description}.",
                {"field": f"mql_definition.{first.field}", "description": first.description},
                field_violations=_violations("mql_definition", faults),
            )
        case _:
            return None


def _violations(of: str, faults: Sequence[Fault]) -> list[FieldViolation]:
    return [FieldViolation(f"{of}.{fault.field}", fault.description) for fault in faults]
