"""What a caller catches: every failed call as an error with a code, a reason and fields.

CallError
├── RefusedError      the service understood and said no: correct the request, or look again
├── DeniedError       it does not know the caller, or the caller may not do this
└── UnavailableError  it could not answer: down, overloaded, slow or failing; try again later
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "CallError",
    "DeniedError",
    "FieldViolation",
    "RefusedError",
    "UnavailableError",
    "error_of",
    "error_of_status",
]

_STATUS_TRAILER = "grpc-status-details-bin"
_PUSHBACK_TRAILER = "grpc-retry-pushback-ms"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DENIALS = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_FAILURES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that was not taken."""

    field: str
    """Path from the request: `submission.contact.email`."""
    description: str
    """What a right value looks like."""


class CallError(Exception):
    """A call that was not answered with a result."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        field_violations: Sequence[FieldViolation] = (),
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """The gRPC status."""
        self.reason = reason
        """The stable reason of `docs/errors.md`; empty when the error did not come from a service of ours."""
        self.message = message
        """What to do next, for people."""
        self.metadata: Mapping[str, str] = metadata or {}
        """The changing words of the message, by name."""
        self.field_violations = tuple(field_violations)
        """The fields at fault."""
        self.retry_delay = retry_delay
        """When the service wants to be asked again; `None` when it does not say."""

    def __str__(self) -> str:
        return f"{self.reason or self.code.name}: {self.message}"


class RefusedError(CallError):
    """A rule said no; repeating the call unchanged gets the same answer."""


class DeniedError(CallError):
    """The caller is not known, or may not do this."""


class UnavailableError(CallError):
    """The service could not answer; the call may or may not have taken effect, and may be repeated."""


def error_of(error: grpc.aio.AioRpcError) -> CallError:
    """Return the typed error of a failed call."""
    status = status_pb2.Status()
    pushback: timedelta | None = None
    for key, value in error.trailing_metadata() or ():
        if key == _STATUS_TRAILER and isinstance(value, bytes):
            status = _parsed(value)
        elif key == _PUSHBACK_TRAILER:
            pushback = _pushback_of(value)
    return _typed(error.code(), error.details() or "", status, pushback)


def error_of_status(status: status_pb2.Status) -> CallError:
    """Return the typed error of one refused item of a batch."""
    return _typed(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status, None)


def _typed(
    code: grpc.StatusCode, message: str, status: status_pb2.Status, pushback: timedelta | None
) -> CallError:
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, bad_request, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    delay = retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else pushback
    return _class_of(code, delay)(
        code,
        info.reason,
        message,
        metadata=dict(info.metadata),
        field_violations=_violations(bad_request.field_violations),
        retry_delay=delay,
    )


def _class_of(code: grpc.StatusCode, delay: timedelta | None) -> type[CallError]:
    if code in _DENIALS:
        return DeniedError
    # Exhausted with a delay is overload; without one it is a limit of the product, such as a full owner.
    overloaded = code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay is not None
    return UnavailableError if overloaded or code in _FAILURES else RefusedError


def _violations(
    violations: Iterable[error_details_pb2.BadRequest.FieldViolation],
) -> tuple[FieldViolation, ...]:
    return tuple(FieldViolation(violation.field, violation.description) for violation in violations)


def _parsed(value: bytes) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(value)
    except Exception:  # noqa: BLE001 - a proxy's broken trailer must not hide the error it came with
        return status_pb2.Status()


def _pushback_of(value: str | bytes) -> timedelta | None:
    try:
        milliseconds = int(value)
    except ValueError:
        return None
    return timedelta(milliseconds=milliseconds) if milliseconds >= 0 else None
