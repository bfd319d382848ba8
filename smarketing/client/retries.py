"""When to ask again, how long to wait before, and when to stop."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import grpc

from smarketing import wallclock
from smarketing.client.errors import CallError

__all__ = ["Patience", "RetryBudget", "RetryPolicy"]

_BUDGET_TOKENS = 10.0
_TOKENS_PER_SUCCESS = 0.1

# An error without a reason was not said by a service of ours but by the road to it: a stream that a
# dying process or a proxy cut is known under several codes.
_CUT = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})


def _chance() -> float:
    return secrets.randbelow(1_000_000) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a call is repeated."""

    attempts: int = 4
    """Of one unary call, the first included; those that met a server which stops are not counted out."""
    first_delay: timedelta = timedelta(milliseconds=100)
    """Before the first repetition; each later one doubles."""
    longest_delay: timedelta = timedelta(seconds=2)
    """Of a unary call; a stream waits up to twice as long before it connects again."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Waits so many seconds."""
    chance: Callable[[], float] = _chance
    """Draws from [0, 1)."""

    def delay_seconds(self, failures: int, *, stretch: int = 1) -> float:
        """Return how long to wait after so many failures in a row: between half and the whole of the step."""
        step = min(
            self.longest_delay.total_seconds() * stretch,
            self.first_delay.total_seconds() * float(1 << min(failures - 1, 30)),
        )
        return step * (0.5 + self.chance() / 2)


class RetryBudget:
    """Stops repetitions from multiplying the load of a service that is down.

    Each failure takes a token, each success gives back a tenth; with half or less left nothing is repeated.
    """

    def __init__(self, tokens: float = _BUDGET_TOKENS) -> None:
        self._most = tokens
        self._tokens = tokens

    def succeeded(self) -> None:
        """Count a success."""
        self._tokens = min(self._most, self._tokens + _TOKENS_PER_SUCCESS)

    def failed(self) -> bool:
        """Count a failure; return whether it may be repeated."""
        self._tokens = max(0.0, self._tokens - 1)
        return self._tokens > self._most / 2


class Patience:
    """Decides for one long stream whether and when it connects again."""

    def __init__(self, policy: RetryPolicy, limit: timedelta | None) -> None:
        self._policy = policy
        self._limit = limit
        self._failures = 0
        self._since = wallclock.monotonic()

    def progressed(self) -> None:
        """Say that the stream moved on: the next failure is a first one again."""
        self._failures = 0
        self._since = wallclock.monotonic()

    async def rest(self, error: CallError) -> None:
        """Wait before the next connection.

        Raises:
            CallError: the given one, when connecting again cannot help, or the limit has passed.
        """
        if not _was_cut(error):
            raise error
        waited = wallclock.monotonic() - self._since
        if self._limit is not None and waited > self._limit.total_seconds():
            raise error
        self._failures += 1
        delay = self._policy.delay_seconds(self._failures, stretch=2)
        if error.retry_delay is not None:
            delay = max(delay, error.retry_delay.total_seconds())
        await self._policy.sleep(delay)


def _was_cut(error: CallError) -> bool:
    if error.code is grpc.StatusCode.UNAVAILABLE:
        return True
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return error.retry_delay is not None or error.reason == "READER_TOO_SLOW"
    return not error.reason and error.code in _CUT
