"""The only place that reads the time or makes an id; everyone else is given `now`."""

import time
import uuid
from datetime import UTC, datetime

from smarketing.chance import random_bytes

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
"""Two characters at once: arithmetic on long numbers is what an id costs."""


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC, with microseconds."""
    return datetime.now(tz=UTC)


def monotonic() -> float:
    """Return seconds of a clock that never steps back, for waiting and measuring."""
    return time.monotonic()


def new_uuid() -> str:
    """Return a random UUID (version 4), as a `request_id` wants it."""
    return str(uuid.uuid4())


def new_id() -> str:
    """Return an id for a resource: 26 characters, sortable by the millisecond it was made in.

    48 bits of time and 82 of chance, in lower-case Crockford base 32, so that ids made
    one after the other lie side by side in an index.
    """
    chance = int.from_bytes(random_bytes(11), "big") >> 6
    number = (time.time_ns() // 1_000_000) << 82 | chance
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
