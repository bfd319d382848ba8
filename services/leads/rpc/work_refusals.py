"""What the services beside LeadService refuse, as callers see it; the service's table asks here."""

import grpc

from services.leads.domain import errors
from smarketing.server.errors import FieldViolation, Refusal

__all__ = ["work_refusal_of"]

_FORBIDDEN = grpc.StatusCode.FAILED_PRECONDITION


def work_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error about what surrounds handoffs; None for any other."""
    match error:
        case errors.PlaybookInvalid():
            return _playbook(error)
        case errors.DisputeUnknown(name=name):
            message = f"There is no {name}: the rejection was never disputed."
            return Refusal(grpc.StatusCode.NOT_FOUND, "DISPUTE_UNKNOWN", message, {"name": name})
        case errors.FeedbackUnknown(name=name):
            message = f"There is no {name}; check the name."
            return Refusal(grpc.StatusCode.NOT_FOUND, "FEEDBACK_UNKNOWN", message, {"name": name})
        case errors.DisputeFinal(name=name, state=state):
            message = f"{name} is {state}: a rejection is disputed once, and a dispute answered once."
            return Refusal(_FORBIDDEN, "DISPUTE_FINAL", message, {"name": name, "state": state})
        case errors.DisputeWindowClosed(handoff=handoff, until=until):
            told = until.isoformat()
            message = f"The rejection of {handoff} is final: it could be disputed until {told}."
            return Refusal(_FORBIDDEN, "DISPUTE_WINDOW_CLOSED", message, {"handoff": handoff, "until": told})
        case errors.NotYourDispute(answerer=answerer):
            message = f"This dispute is for {answerer} to answer."
            return Refusal(
                grpc.StatusCode.PERMISSION_DENIED, "NOT_YOUR_DISPUTE", message, {"answerer": answerer}
            )
        case _:
            return None


def _playbook(error: errors.PlaybookInvalid) -> Refusal:
    first = error.faults[0]
    return Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "PLAYBOOK_INVALID",
        f"Correct `{first.field}` of the playbook: it {first.description}.",
        {"field": f"playbook.{first.field}", "description": first.description},
        field_violations=[
            FieldViolation(f"playbook.{fault.field}", fault.description) for fault in error.faults
        ],
    )
