"""What the server says of itself: counters of calls, waiting and refusals, on a registry of its own."""

import asyncio
from collections.abc import Callable
from typing import Literal

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from smarketing import wallclock

__all__ = ["MethodMeter", "Telemetry"]

# Few, because every method has them all: they are most of what a scrape reads.
_CALL_SECONDS = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0)
_FINE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_LOOP_LAG_EVERY_SECONDS = 0.25

_REJECTED_FOR = {
    "SERVER_BUSY": "concurrency",
    "TOO_MANY_STREAMS": "concurrency",
    "TENANT_QUOTA_EXCEEDED": "tenant_quota",
    "STORAGE_BUSY": "queue_full",
    "SERVER_DRAINING": "draining",
    "REQUEST_TOO_LARGE": "size",
}

_DENIED_FOR = ("CREDENTIALS_INVALID", "CREDENTIALS_MISSING", "ON_BEHALF_OF_INVALID", "PERMISSION_DENIED")
_OTHERWISE = "other"
_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"


class MethodMeter:
    """The metrics of one method, looked up once."""

    __slots__ = ("_handled", "_handled_by_code", "_method", "_ok", "_seconds", "_service", "_started")

    def __init__(
        self, service: str, method: str, *, started: Counter, handled: Counter, seconds: Histogram
    ) -> None:
        self._service, self._method, self._handled = service, method, handled
        self._started = started.labels(service, method)
        self._seconds = seconds.labels(service, method)
        self._handled_by_code: dict[grpc.StatusCode, Counter] = {}
        self._ok = self._of(grpc.StatusCode.OK)

    def start(self) -> float:
        """Count a call in; returns what `end` wants back."""
        self._started.inc()
        return wallclock.monotonic()

    def end(self, began: float) -> None:
        """Count a call that was answered."""
        self._ok.inc()
        self._seconds.observe(wallclock.monotonic() - began)

    def end_refused(self, began: float, code: grpc.StatusCode) -> None:
        """Count a call that ended with another code than OK."""
        self._of(code).inc()
        self._seconds.observe(wallclock.monotonic() - began)

    def _of(self, code: grpc.StatusCode) -> Counter:
        counter = self._handled_by_code.get(code)
        if counter is None:
            counter = self._handled.labels(self._service, self._method, code.name)
            self._handled_by_code[code] = counter
        return counter


class Telemetry:
    """The common metrics of every service; pass `registry` on to add the service's own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # `_created` series double the scrape and say nothing that a counter's reset does not.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the package left this one untyped
        self.registry = registry or CollectorRegistry()
        by_method = ["grpc_service", "grpc_method"]
        self._started = self._counter("grpc_server_started_total", "Calls begun", by_method)
        self._handled = self._counter("grpc_server_handled_total", "Calls ended", [*by_method, "grpc_code"])
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from a call's start to its end",
            by_method,
            buckets=_CALL_SECONDS,
            registry=self.registry,
        )
        self._in_flight = self._gauge("grpc_server_in_flight", "Calls begun and not ended", ["kind"])
        self._rejected = self._counter("smarketing_server_rejected_total", "Calls not let in", ["reason"])
        for reason in sorted(set(_REJECTED_FOR.values())):
            self._rejected.labels(reason)
        self._denied = self._counter("smarketing_server_auth_denied_total", "Calls denied", ["reason"])
        for reason in (*_DENIED_FOR, _OTHERWISE):
            self._denied.labels(reason)
        self._keys_reused = Counter(
            "smarketing_server_keys_reused_total",
            "Request ids that came again with other content",
            registry=self.registry,
        )
        self._loop_lag = Histogram(
            "smarketing_server_loop_lag_seconds",
            "How late the event loop runs what is due",
            buckets=_FINE_SECONDS,
            registry=self.registry,
        )
        self._task_success = self._gauge(
            "smarketing_server_task_last_success_timestamp_seconds",
            "When a background task last did its work",
            ["task"],
        )
        self._build = self._gauge(
            "smarketing_build_info",
            "Always 1; the labels say what runs",
            ["version", "schema", "tzdata", "sqlite"],
        )

    def meter(self, service: str, method: str) -> MethodMeter:
        """Return the meter of one method; its series exist from now on, at zero."""
        return MethodMeter(
            service, method, started=self._started, handled=self._handled, seconds=self._seconds
        )

    def watch_in_flight(self, kind: Literal["unary", "stream"], count: Callable[[], float]) -> None:
        """Ask `count` at each scrape how many calls are in flight."""
        self._in_flight.labels(kind).set_function(count)

    def refused(self, reason: str) -> None:
        """Count a refusal, when it was for want of room, or for a request id used twice."""
        if reason == _KEY_REUSED:
            self._keys_reused.inc()
        rejected_for = _REJECTED_FOR.get(reason)
        if rejected_for is not None:
            self._rejected.labels(rejected_for).inc()

    def denied(self, reason: str) -> None:
        """Count a denial, by the edge's few reasons; a service's own are counted together."""
        self._denied.labels(reason if reason in _DENIED_FOR else _OTHERWISE).inc()

    def task_succeeded(self, task: str) -> None:
        """Note that a background task has just done its work."""
        self._task_success.labels(task).set(wallclock.utc_now().timestamp())

    def build(self, *, version: str, schema: str, tzdata: str, sqlite: str) -> None:
        """Say what runs."""
        self._build.labels(version, schema, tzdata, sqlite).set(1)

    async def measure_loop_lag(self) -> None:
        """Measure, until cancelled, how late a short sleep ends."""
        while True:
            due = wallclock.monotonic() + _LOOP_LAG_EVERY_SECONDS
            await asyncio.sleep(_LOOP_LAG_EVERY_SECONDS)
            self._loop_lag.observe(max(0.0, wallclock.monotonic() - due))

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
