"""What is said of a log and of those who follow one: where each stands, and what each does."""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from smarketing.eventlog.checkpoints import find_checkpoint, find_place, relay_name
from smarketing.eventlog.reading import head
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Connection

__all__ = ["ConsumerTelemetry", "read_places"]

_OUTCOMES: Final = ("applied", "duplicate", "passed_over")
# From the same machine in health to a consumer that was away overnight.
_DELAY_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 43200)


class ConsumerTelemetry:
    """The observer of a process's consumers; `followed` says which service's log each of them follows.

    Every series is there from the start, at zero, so that the first event already counts as a rise.
    """

    def __init__(self, registry: CollectorRegistry, followed: Mapping[str, str]) -> None:
        events = Counter(
            "smarketing_eventlog_consumer_events_total",
            "Events taken in by this process",
            ["consumer", "outcome"],
            registry=registry,
        )
        gaps = Counter(
            "smarketing_eventlog_consumer_gaps_total",
            "Times a delivery left events out, which were then asked for",
            ["consumer", "log"],
            registry=registry,
        )
        regressed = Counter(
            "smarketing_eventlog_log_regressed_total",
            "Times a followed log had gone back, and its consumer stopped",
            ["consumer", "log"],
            registry=registry,
        )
        delay = Histogram(
            "smarketing_eventlog_apply_delay_seconds",
            "From the record of the oldest event of a batch to its commit here",
            ["consumer"],
            buckets=_DELAY_SECONDS,
            registry=registry,
        )
        self._events = {(name, each): events.labels(name, each) for name in followed for each in _OUTCOMES}
        self._gaps = {name: gaps.labels(name, log) for name, log in followed.items()}
        self._regressed = {name: regressed.labels(name, log) for name, log in followed.items()}
        self._delay = {name: delay.labels(name) for name in followed}

    def events_handled(self, consumer: str, outcome: str, count: int) -> None:
        """Count events that were `applied` or met again as `duplicate`."""
        self._events[consumer, outcome].inc(count)

    def batch_applied(self, consumer: str, delay_seconds: float) -> None:
        """Note how long a batch's oldest event had waited."""
        self._delay[consumer].observe(delay_seconds)

    def gap_met(self, consumer: str) -> None:
        """Count a gap."""
        self._gaps[consumer].inc()

    def log_regressed(self, consumer: str) -> None:
        """Count a log that went back."""
        self._regressed[consumer].inc()


def read_places(connection: Connection, *, log: str, followed: Mapping[str, str]) -> Iterable[Metric]:
    """Return the head of this service's log, called `log`, and the place of each of its consumers.

    Where a relay carries the log to a bus, or did, its place too.
    """
    own = GaugeMetricFamily(
        "smarketing_eventlog_head_position", "Position of the newest event of this log", labels=["log"]
    )
    own.add_metric([log], head(connection, WHOLE_LOG)[1])
    reached = GaugeMetricFamily(
        "smarketing_eventlog_consumer_position",
        "Position up to which everything is applied",
        labels=["consumer", "log"],
    )
    progress = GaugeMetricFamily(
        "smarketing_eventlog_consumer_progress_timestamp_seconds",
        "When that position was reached; absent before the first event",
        labels=["consumer", "log"],
    )
    for consumer, source in followed.items():
        checkpoint = find_place(connection, consumer)
        reached.add_metric([consumer, source], checkpoint.position if checkpoint else 0)
        if checkpoint is not None and checkpoint.position:
            progress.add_metric([consumer, source], checkpoint.progress_time.timestamp())
    relay = find_checkpoint(connection, relay_name(log))
    return (
        (own, reached, progress) if relay is None else (own, reached, progress, _carried(log, relay.position))
    )


def _carried(log: str, position: int) -> Metric:
    carried = GaugeMetricFamily(
        "smarketing_eventlog_relay_position",
        "Position up to which the bus has acknowledged this log",
        labels=["log"],
    )
    carried.add_metric([log], position)
    return carried
