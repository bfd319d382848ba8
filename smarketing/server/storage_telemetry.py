"""What storage says of itself, in the same registry."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smarketing.sql.writer import Writer

__all__ = ["StorageTelemetry"]

_TRANSACTION_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_RETRY_REASONS = ("busy", "deadlock", "serialization", "disconnect")


class StorageTelemetry:
    """A writer's observer; give it to the writer, then the writer to `watch`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        seconds = Histogram(
            "smarketing_db_transaction_seconds",
            "Duration of transactions",
            ["kind"],
            buckets=_TRANSACTION_SECONDS,
            registry=registry,
        )
        self._seconds = {kind: seconds.labels(kind) for kind in ("read", "write")}
        retries = Counter(
            "smarketing_db_retries_total",
            "Transactions that met a passing fault",
            ["reason"],
            registry=registry,
        )
        self._retries = {reason: retries.labels(reason) for reason in _RETRY_REASONS}

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:  # noqa: ARG002 - the observer's signature
        """Note a transaction's duration; called from storage's threads."""
        self._seconds[kind].observe(seconds)

    def transaction_retried(self, reason: str) -> None:
        """Count a passing fault; called from storage's threads."""
        counter = self._retries.get(reason)
        if counter is not None:
            counter.inc()

    def watch(self, writer: Writer) -> None:
        """Ask the writer at each scrape how much waits."""
        Gauge(
            "smarketing_db_writer_queue_depth", "Requests waiting for the writer", registry=self._registry
        ).set_function(lambda: writer.waiting)
        Gauge(
            "smarketing_db_pool_in_use", "Queries that hold or wait for a reader", registry=self._registry
        ).set_function(lambda: writer.reading)
