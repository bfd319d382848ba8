"""The library's own table: what went wrong below a use case → the refusal its caller gets."""

from datetime import timedelta

import grpc

from smarketing.names import NameInvalid
from smarketing.server.errors import Refusal, field_invalid
from smarketing.sql.errors import (
    ReadersBusy,
    StorageCorrupt,
    StorageFull,
    StorageUnavailable,
    WriterBusy,
    WriterClosed,
)

__all__ = [
    "deadline_exceeded",
    "library_refusal_of",
    "reader_too_slow",
    "request_too_large",
    "storage_unavailable",
]

_SOON = timedelta(milliseconds=250)
_LATER = timedelta(seconds=2)


def library_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal for an error of the library; `None` for an error that is nobody's answer."""
    match error:
        case Refusal():
            return error
        case NameInvalid(field=field, expected=expected):
            return field_invalid(field, f"a name of the form {expected}")
        case WriterBusy() | ReadersBusy():
            return _exhausted("STORAGE_BUSY", "Too many calls wait for storage; come again shortly.", _SOON)
        case StorageFull():
            return _exhausted("STORAGE_FULL", "Storage is full; tell your operator, then try again.", _LATER)
        case StorageUnavailable():
            return storage_unavailable()
        case WriterClosed():
            return _unavailable("SERVER_DRAINING", "This server is stopping; try again.")
        case StorageCorrupt():
            return Refusal(
                grpc.StatusCode.DATA_LOSS,
                "STORAGE_CORRUPT",
                "Storage is damaged; your operator must restore it.",
            )
        case _:
            return None


def storage_unavailable() -> Refusal:
    """Return the refusal of a call that storage does not answer at present."""
    return _unavailable("STORAGE_UNAVAILABLE", "Storage does not answer; try again with the same request_id.")


def deadline_exceeded() -> Refusal:
    """Return the refusal of a call that took longer than its caller, or this server, waits."""
    return Refusal(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        "The answer took too long; repeat the call with the same request_id to learn what became of it.",
    )


def request_too_large(max_bytes: int) -> Refusal:
    """Return the refusal of a message over the limit."""
    return _refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
        f"A request may have {max_bytes} bytes; send less at once.",
        {"max_bytes": str(max_bytes)},
    )


def reader_too_slow() -> Refusal:
    """Return the refusal of a stream whose reader does not read."""
    return _refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "READER_TOO_SLOW", "Read faster, or connect again and resume.", {}
    )


def _refusal(code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str]) -> Refusal:
    return Refusal(code, reason, message, metadata)


def _exhausted(reason: str, message: str, delay: timedelta) -> Refusal:
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, message, retry_delay=delay)


def _unavailable(reason: str, message: str) -> Refusal:
    return Refusal(grpc.StatusCode.UNAVAILABLE, reason, message, retry_delay=_SOON)
