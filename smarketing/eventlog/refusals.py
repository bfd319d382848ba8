"""What the log refuses to record → the refusal its caller gets."""

import grpc

from smarketing.eventlog.outbox import MAX_PAYLOAD_BYTES, EventTooLarge
from smarketing.server.errors import Refusal

__all__ = ["log_refusal_of"]


def log_refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal for an error of appending; `None` for an error that is nobody's answer."""
    if not isinstance(error, EventTooLarge):
        return None
    metadata = {
        "subject": error.subject,
        "size_bytes": str(error.size_bytes),
        "max_bytes": str(MAX_PAYLOAD_BYTES),
    }
    return Refusal(
        grpc.StatusCode.INVALID_ARGUMENT,
        "EVENT_TOO_LARGE",
        f"What would be recorded of {error.subject} has {error.size_bytes} bytes, and may have "
        f"{MAX_PAYLOAD_BYTES}; shorten its texts and lists.",
        metadata,
    )
