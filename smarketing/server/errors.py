"""Refusals: the one shape in which a caller learns that the answer is no, and why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

__all__ = [
    "ERROR_DOMAIN",
    "FieldViolation",
    "Refusal",
    "RefusalOf",
    "field_invalid",
    "internal",
    "trailers_of",
]

ERROR_DOMAIN = "smarketing"

# Trailers travel in one header block that clients cap at 8 KiB: a refusal says the first faults, not all.
_VIOLATIONS_SHOWN = 20
_TEXT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that cannot be taken."""

    field: str
    """Path from the request: `lead.emails[2]`."""
    description: str
    """What a right value looks like; never the value itself."""


class Refusal(Exception):
    """An answer of "no" with a code, a stable reason and the words' values as metadata.

    `message` says what to do next; each changing word in it stands in `metadata` too.
    `retry_delay` tells clients, in `RetryInfo` and the pushback trailer, when to come again.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        field_violations: Sequence[FieldViolation] = (),
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata: Mapping[str, str] = metadata or {}
        self.field_violations = tuple(field_violations)
        self.retry_delay = retry_delay

    def __repr__(self) -> str:
        return f"Refusal({self.code.name}, {self.reason}, {self.message!r})"


RefusalOf = Callable[[Exception], Refusal | None]
"""A service's table from domain error to refusal; `None` for an error that is not in it."""


def field_invalid(field: str, description: str, *, reason: str = "FIELD_INVALID") -> Refusal:
    """Return the refusal of one field, with `BadRequest` beside `ErrorInfo`."""
    return Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        reason,
        f"Correct `{field}`: {description}.",
        {"field": field},
        field_violations=[FieldViolation(field, description)],
    )


def internal(error_id: str) -> Refusal:
    """Return the refusal for an error of ours: a fixed text and the id under which it was logged."""
    return Refusal(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"Something failed on our side; give error id {error_id} to your operator.",
        {"error_id": error_id},
    )


def trailers_of(refusal: Refusal) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata that carries `google.rpc.Status`, and pushback when there is a delay."""
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
    status.details.extend(_packed(detail) for detail in _details(refusal))
    trailers: tuple[tuple[str, str | bytes], ...] = (("grpc-status-details-bin", status.SerializeToString()),)
    if refusal.retry_delay is None:
        return trailers
    pushback_ms = max(0, round(refusal.retry_delay.total_seconds() * 1000))
    return (*trailers, ("grpc-retry-pushback-ms", str(pushback_ms)))


def _details(refusal: Refusal) -> Iterator[Message]:
    metadata = {key: value[:_TEXT_CHARACTERS] for key, value in refusal.metadata.items()}
    yield error_details_pb2.ErrorInfo(reason=refusal.reason, domain=ERROR_DOMAIN, metadata=metadata)
    if refusal.field_violations:
        yield error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(
                    field=violation.field[:_TEXT_CHARACTERS],
                    description=violation.description[:_TEXT_CHARACTERS],
                    reason=refusal.reason,
                )
                for violation in refusal.field_violations[:_VIOLATIONS_SHOWN]
            ]
        )
    if refusal.retry_delay is not None:
        delay = Duration()
        delay.FromTimedelta(refusal.retry_delay)
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
