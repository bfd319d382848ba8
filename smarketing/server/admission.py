"""How much is let in: budgets for the process, each principal and each tenant, and when to come back."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import grpc

from smarketing import wallclock
from smarketing.server.errors import Refusal

__all__ = ["Admission", "AdmissionLimits", "Overflow", "TenantLimits", "server_busy"]

_PUSHBACK: Final = timedelta(milliseconds=250)
_NOTHING: Final = 1e-9
"""What rounding leaves of a sum of parts."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """What an engine may turn away by itself, from any thread, before a handler hears of it."""

    most: int
    """Unary calls in flight."""
    refusal: Refusal
    note: Callable[[str], None]
    """Told `/package.Service/Method` of each call that was turned away."""


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

    @property
    def unary_limit(self) -> int:
        """How many unary calls may be in flight."""
        return self._limits.unary_in_flight

    def enter_unary(self) -> None:
        """Count a unary call in.

        Raises:
            Refusal: SERVER_BUSY.
        """
        if self.unary_in_flight >= self._limits.unary_in_flight:
            raise server_busy()
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
        bucket = self._bucket_of(tenant)
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

    def spend_in_stream(self, tenant: str, items: int) -> float:
        """Take a message of a stream, each item as one call, and return 0; or the seconds to wait first.

        Only a quota of the tenant's own counts items: a stream slows itself down where calls are refused.
        A message is let in as soon as those before it are paid, and paid by what calls leave over: so half of
        what is saved up stays for calls, and a message may be larger than what is ever saved up.
        """
        own = self._limits_of(tenant)
        rate = own.calls_per_second if own else 0
        if not rate:
            return 0.0
        return self._bucket_of(tenant).owe(items, self._monotonic(), rate, 2 * rate)

    def _bucket_of(self, tenant: str) -> "_Bucket":
        bucket = self._buckets.get(tenant)
        if bucket is None:
            # Only authenticated tenants get here, so there are as many buckets as tenants.
            bucket = self._buckets[tenant] = _Bucket(float(self._limits.tenant_burst), self._monotonic())
        return bucket


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float
    owed: float = 0.0
    """What messages of streams took, and is not paid yet."""

    def take(self, at: float, rate: float, burst: float) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        self._fill(at, rate, burst)
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / rate
        self.tokens -= 1.0
        return 0.0

    def owe(self, tokens: int, at: float, rate: float, burst: float) -> float:
        """Owe tokens and return 0, or return the seconds until what is owed may be paid."""
        self._fill(at, rate, burst)
        if self.owed > _NOTHING:
            return (self.owed + max(0.0, burst / 2 - self.tokens)) / rate
        self.owed = float(tokens)
        return 0.0

    def _fill(self, at: float, rate: float, burst: float) -> None:
        filled = self.tokens + (at - self.filled_at) * rate
        paid = min(self.owed, max(0.0, filled - burst / 2))
        self.owed -= paid
        self.tokens = min(burst, filled - paid)
        self.filled_at = at


def server_busy() -> Refusal:
    """Return the refusal of a unary call for which there is no room."""
    return _refusal("SERVER_BUSY", "The server has all the calls it can take", _PUSHBACK)


def _refusal(reason: str, message: str, pushback: timedelta) -> Refusal:
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason,
        f"{message}; come again a little later.",
        retry_delay=pushback,
    )
