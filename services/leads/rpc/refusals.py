"""The one table: what this domain refuses → code, reason, and what to do next."""

from collections.abc import Callable
from typing import Any, Final

import grpc
from google.rpc import status_pb2

from services.leads.domain import errors
from services.leads.rpc.directory_refusals import directory_refusal_of
from services.leads.rpc.identity_refusals import identity_refusal_of
from services.leads.rpc.intake_refusals import intake_refusal_of
from services.leads.rpc.privacy_refusals import privacy_refusal_of
from services.leads.rpc.scoring_refusals import scoring_refusal_of
from services.leads.rpc.tenancy_refusals import tenancy_refusal_of
from services.leads.rpc.work_refusals import work_refusal_of
from smarketing.eventlog.refusals import log_refusal_of
from smarketing.server.errors import FieldViolation, Refusal, field_invalid, trailers_of
from smarketing.server.policy import permission_denied
from smarketing.server.refusals import library_refusal_of

__all__ = ["reason_of", "refusal_of", "status_of"]

_INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
_FORBIDDEN: Final = grpc.StatusCode.FAILED_PRECONDITION


def refusal_of(error: Exception) -> Refusal | None:
    """Return the refusal of an error; None for one that is nobody's answer."""
    surrounding = work_refusal_of(error)
    if surrounding is not None:
        return surrounding
    for kind in type(error).__mro__:
        refuse = _TABLE.get(kind)
        if refuse is not None:
            return refuse(error)
    return (
        privacy_refusal_of(error)
        or scoring_refusal_of(error)
        or tenancy_refusal_of(error)
        or directory_refusal_of(error)
        or identity_refusal_of(error)
        or intake_refusal_of(error)
        or log_refusal_of(error)
        or library_refusal_of(error)
    )


def reason_of(error: Exception) -> str:
    """Return the reason under which a refusal is audited."""
    refusal = refusal_of(error)
    return "INTERNAL" if refusal is None else refusal.reason


def status_of(error: Exception) -> status_pb2.Status:
    """Return a refusal as it stands inside a batch's results.

    Raises:
        Exception: `error` itself, when it is nobody's answer.
    """
    refusal = refusal_of(error)
    if refusal is None:
        raise error
    return status_pb2.Status.FromString(trailers_of(refusal)[0][1])


def _submission(error: errors.SubmissionInvalid) -> Refusal:
    first = error.faults[0]
    return Refusal(
        _INVALID,
        "SUBMISSION_INVALID",
        f"Correct `{first.field}` of the submission: {first.description}.",
        {"field": f"submission.{first.field}", "description": first.description},
        field_violations=[
            FieldViolation(f"submission.{fault.field}", fault.description) for fault in error.faults
        ],
    )


def _field(reason: str) -> Callable[[errors.FieldFault], Refusal]:
    return lambda error: field_invalid(error.field, error.description, reason=reason)


def _filter(error: errors.FilterInvalid) -> Refusal:
    return Refusal(
        _INVALID,
        "FILTER_INVALID",
        f"Correct `filter` {error.description}.",
        {"field": error.field, "position": str(error.position), "expected": error.expected},
        field_violations=[FieldViolation(error.field, error.description)],
    )


def _missing(reason: str, advice: str) -> Callable[[errors.NotFound], Refusal]:
    def refuse(error: errors.NotFound) -> Refusal:
        message = f"There is no {error.name}; {advice}."
        return Refusal(grpc.StatusCode.NOT_FOUND, reason, message, {"name": error.name})

    return refuse


def _offer(reason: str, advice: str) -> Callable[[errors.OfferClosed], Refusal]:
    def refuse(error: errors.OfferClosed) -> Refusal:
        metadata = {"handoff": error.handoff, "etag": error.etag}
        return Refusal(_FORBIDDEN, reason, f"{advice} ({error.handoff}, etag {error.etag}).", metadata)

    return refuse


def _state(error: errors.StateForbids) -> Refusal:
    metadata = {"handoff": error.handoff, "state": error.state, "etag": error.etag}
    message = f"{error.handoff} is {error.state} (etag {error.etag}); read it again and decide anew."
    return Refusal(_FORBIDDEN, "STATE_FORBIDS", message, metadata)


def _stale(error: errors.EtagStale) -> Refusal:
    message = f"{error.name} has etag {error.etag}; read it again and decide anew."
    metadata = {"name": error.name, "etag": error.etag}
    return Refusal(grpc.StatusCode.ABORTED, "ETAG_STALE", message, metadata)


def _not_your_offer(error: errors.NotYours) -> Refusal:
    del error
    message = "This offer is to somebody else, or does not exist."
    return Refusal(grpc.StatusCode.PERMISSION_DENIED, "NOT_YOUR_OFFER", message)


_TABLE: Final[dict[type, Callable[[Any], Refusal]]] = {
    errors.SubmissionInvalid: _submission,
    errors.TenantUnknown: _missing("TENANT_UNKNOWN", "apply its directory first"),
    errors.LeadUnknown: _missing("LEAD_UNKNOWN", "check the name"),
    errors.HandoffUnknown: _missing("HANDOFF_UNKNOWN", "check the name"),
    errors.OfferUnknown: _missing("OFFER_UNKNOWN", "read the handoff for its present offer"),
    errors.OpportunityUnknown: _missing("OPPORTUNITY_UNKNOWN", "check the name"),
    errors.SubmissionUnknown: _missing("SUBMISSION_UNKNOWN", "submit the lead before its outcome"),
    errors.QueueEmpty: _missing("QUEUE_EMPTY", "it has nothing waiting; come again later"),
    errors.FieldInvalid: _field("FIELD_INVALID"),
    errors.ReasonCodeUnknown: _field("REASON_CODE_UNKNOWN"),
    errors.EvidenceRequired: _field("EVIDENCE_REQUIRED"),
    errors.TimeInFuture: _field("TIME_IN_FUTURE"),
    errors.AssigneeUnknown: _field("ASSIGNEE_UNKNOWN"),
    errors.FilterInvalid: _filter,
    errors.OrderUnknown: _field("ORDER_BY_INVALID"),
    errors.NotYourOffer: _not_your_offer,
    errors.NotYours: lambda _: permission_denied(),
    errors.OfferTaken: _offer("OFFER_TAKEN", "Somebody else accepted first"),
    errors.OfferExpired: _offer("OFFER_EXPIRED", "The offer's time ran out"),
    errors.OfferEnded: _offer("OFFER_ENDED", "The offer is over; read the handoff for its present one"),
    errors.FencingTokenStale: _offer(
        "FENCING_TOKEN_STALE", "The fencing token is another offer's; read the handoff again"
    ),
    errors.StateForbids: _state,
    errors.EtagStale: _stale,
}
