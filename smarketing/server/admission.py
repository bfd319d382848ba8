"""How much is let in: budgets for the process, each principal and each tenant, and when to come back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import grpc

from smarketing import wallclock
from smarketing.server.errors import Refusal

__all__ = ["Admission", "AdmissionLimits", "TenantLimits"]

_PUSHBACK: Final = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """The budgets; the defaults suit one machine."""

    unary_in_flight: int = 512
    streams_in_flight: int = 256
    streams_per_principal: int = 16
    tenant_calls_per_second: float = 2000.0
    tenant_burst: int = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLimits:
    """What one tenant may, instead of what everybody may; 0 leaves it as it is for everybody."""

    calls_per_second: float = 0
    streams: int = 0
    """Of all its principals together."""


_AS_EVERYBODY: Final = TenantLimits()


class Admission:
    """Counts what is in flight and refuses at once what is too much; used from one event loop."""

    def __init__(
        self,
        limits: AdmissionLimits | None = None,
        *,
        limits_of: Callable[[str], TenantLimits | None] = lambda _: None,
        monotonic: Callable[[], float] = wallclock.monotonic,
    ) -> None:
        """Take everybody's limits; `limits_of` says of a tenant id what it has of its own."""
        self._limits = limits or AdmissionLimits()
        self._limits_of = limits_of
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}
        self._streams_of: Counter[str] = Counter()
        self._streams_of_tenants: Counter[str] = Counter()
        self.unary_in_flight = 0
        self.streams_in_flight = 0

    def enter_unary(self) -> None:
        """Count a unary call in.

        Raises:
            Refusal: SERVER_BUSY.
        """
        if self.unary_in_flight >= self._limits.unary_in_flight:
            raise _refusal("SERVER_BUSY", "The server has all the calls it can take", _PUSHBACK)
        self.unary_in_flight += 1

    def leave_unary(self) -> None:
        """Count a unary call out."""
        self.unary_in_flight -= 1

    def enter_stream(self, principal: str, *, tenant: str = "", is_peer: bool = False) -> None:
        """Count a stream in; one of our own services has its share however many others have theirs.

        Raises:
            Refusal: SERVER_BUSY; TOO_MANY_STREAMS when the principal, or its tenant, has its share already.
        """
        if self.streams_in_flight >= self._limits.streams_in_flight and not is_peer:
            raise _refusal("SERVER_BUSY", "The server has all the streams it can take", 4 * _PUSHBACK)
        if self._streams_of[principal] >= self._limits.streams_per_principal:
            raise _refusal("TOO_MANY_STREAMS", "Close one of your other streams first", 4 * _PUSHBACK)
        most = (self._limits_of(tenant) or _AS_EVERYBODY).streams
        if most and self._streams_of_tenants[tenant] >= most:
            raise _refusal("TOO_MANY_STREAMS", "Close another stream of your own first", 4 * _PUSHBACK)
        self.streams_in_flight += 1
        self._streams_of_tenants[tenant] += 1
        self._streams_of[principal] += 1

    def leave_stream(self, principal: str, *, tenant: str = "") -> None:
        """Count a stream out."""
        self.streams_in_flight -= 1
        self._streams_of_tenants[tenant] -= 1
        if not self._streams_of_tenants[tenant]:
            del self._streams_of_tenants[tenant]
        self._streams_of[principal] -= 1
        if not self._streams_of[principal]:
            del self._streams_of[principal]

    def spend(self, tenant: str) -> None:
        """Take one call from the tenant's quota.

        Raises:
            Refusal: TENANT_QUOTA_EXCEEDED, with the time until the next one is free.
        """
        bucket = self._buckets.get(tenant)
        if bucket is None:
            # Only authenticated tenants get here, so there are as many buckets as tenants.
            bucket = self._buckets[tenant] = _Bucket(float(self._limits.tenant_burst), self._monotonic())
        own = self._limits_of(tenant)
        rate = (own.calls_per_second if own else 0) or self._limits.tenant_calls_per_second
        # Whoever has a rate of their own may save up two seconds of it.
        burst = 2 * rate if own and own.calls_per_second else self._limits.tenant_burst
        wait_seconds = bucket.take(self._monotonic(), rate, burst)
        if wait_seconds > 0:
            pushback = max(_PUSHBACK, timedelta(seconds=wait_seconds))
            raise _refusal(
                "TENANT_QUOTA_EXCEEDED", "Your organisation calls more often than agreed", pushback
            )


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float

    def take(self, at: float, rate: float, burst: float) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        self.tokens = min(burst, self.tokens + (at - self.filled_at) * rate)
        self.filled_at = at
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / rate
        self.tokens -= 1.0
        return 0.0


def _refusal(reason: str, message: str, pushback: timedelta) -> Refusal:
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason,
        f"{message}; come again a little later.",
        retry_delay=pushback,
    )
