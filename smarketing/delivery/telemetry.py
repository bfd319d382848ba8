"""What is said of outgoing messages: every attempt, and what waits or was given up."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Connection, func, select

from smarketing.delivery.tables import DeliveryTables, MessageState

__all__ = ["DeliveryTelemetry", "read_queue"]

_OUTCOMES: Final = ("ok", "http_error", "timeout", "refused")
_ATTEMPT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)


class DeliveryTelemetry:
    """The sender's observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        attempts = Counter(
            "smarketing_webhook_attempts_total",
            "Attempts to deliver a message",
            ["outcome"],
            registry=registry,
        )
        self._attempts = {outcome: attempts.labels(outcome) for outcome in _OUTCOMES}
        self._seconds = Histogram(
            "smarketing_webhook_delivery_seconds",
            "Duration of one attempt",
            buckets=_ATTEMPT_SECONDS,
            registry=registry,
        )

    def attempt_ended(self, outcome: str, seconds: float) -> None:
        """Note an attempt."""
        self._attempts[outcome].inc()
        self._seconds.observe(seconds)


def read_queue(connection: Connection, tables: DeliveryTables) -> Iterable[Metric]:
    """Return what waits, since when, what was given up, and the endpoints that want no more.

    Costs what it counts, not what was ever sent.
    """
    endpoint, message = tables.endpoint, tables.message
    # As the partial index has it: whatever has a next attempt is pending.
    waiting = select(func.count(), func.min(message.c.create_time)).where(
        message.c.next_attempt_time.is_not(None)
    )
    pending, since = connection.execute(waiting).one()
    dead_of_one = (
        select(func.count())
        .where(
            message.c.tenant == endpoint.c.tenant,
            message.c.endpoint_id == endpoint.c.endpoint_id,
            message.c.state == MessageState.DEAD,
        )
        .correlate(endpoint)
        .scalar_subquery()
    )
    # Nobody can send again what was for a removed endpoint, so that would never leave the count.
    # Endpoint by endpoint: as a join, the index would be read through everything that was ever sent.
    dead = select(func.coalesce(func.sum(dead_of_one), 0)).where(endpoint.c.delete_time.is_(None))
    disabled = select(func.count()).where(
        endpoint.c.delete_time.is_(None), endpoint.c.disable_time.is_not(None)
    )
    oldest = GaugeMetricFamily(
        "smarketing_webhook_oldest_pending_timestamp_seconds",
        "Since when the oldest of them waits; absent when none does",
    )
    if since is not None:
        oldest.add_metric([], since.timestamp())
    return (
        GaugeMetricFamily("smarketing_webhook_pending", "Messages with an attempt to come", pending),
        oldest,
        GaugeMetricFamily(
            "smarketing_webhook_dead_letters",
            "Messages given up, for endpoints that still exist",
            connection.execute(dead).scalar_one(),
        ),
        GaugeMetricFamily(
            "smarketing_webhook_endpoints_disabled",
            "Endpoints that answered that they want no more",
            connection.execute(disabled).scalar_one(),
        ),
    )
