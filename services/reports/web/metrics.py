"""Business metrics: read from the database by a background task, published as they are, never counted up.

A ratio or a quantile that is not known is absent, never 0. Labels are bounded by configuration.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.reports.domain.estimators import Curve
from services.reports.domain.periods import Period, micros_of
from services.reports.domain.responses import Measure
from services.reports.store.figures import Figures
from services.reports.store.fold import Folded
from services.reports.store.queries import Question
from services.reports.store.reconcile import Mismatches, reconcile
from smarketing.eventlog.telemetry import ConsumerTelemetry
from smarketing.sql import StorageError, Writer

__all__ = ["FoldObserver", "ReportMetrics"]

_QUANTILES: Final = (0.5, 0.75, 0.9, 0.95)
_CLOCKS: Final = {"buyer": Measure.BUYER_FIRST_FOLLOW_UP, "owner": Measure.OWNER_FIRST_FOLLOW_UP}
_COHORT_DAYS: Final = 28
_REFRESH_SECONDS: Final = 10.0
_ROUNDS_BETWEEN_CHECKS: Final = 30


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the last round read."""

    folded: Sequence[Folded] = ()
    curves: dict[tuple[str, str], Curve] = field(default_factory=dict)
    """By tenant id and clock."""
    mismatches: Mismatches | None = None
    checked_at: float = 0.0


class FoldObserver(ConsumerTelemetry):
    """Counts the events that this process folded in."""

    def __init__(self, registry: CollectorRegistry, followed: Mapping[str, str]) -> None:
        super().__init__(registry, followed)
        self._folded = Counter(
            "smarketing_reports_rebuild_events_total", "Events folded in by this process.", registry=registry
        )

    def events_handled(self, consumer: str, outcome: str, count: int) -> None:
        """Count what was applied; duplicates are no work."""
        super().events_handled(consumer, outcome, count)
        if outcome == "applied":
            self._folded.inc(count)


class ReportMetrics(Collector):
    """Publishes the newest snapshot; `run` renews it every 10 s, the reconciliation every 5 min.

    `tenants` are the ids that are published; all others are left out of Prometheus.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        writer: Writer,
        figures: Figures,
        *,
        tenants: Sequence[str],
        now: Callable[[], datetime],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._figures = figures
        self._tenants = tuple(tenants)
        self._now = now
        self._succeeded = succeeded
        self._snapshot = _Snapshot()
        self._rounds = 0
        registry.register(self)

    async def run(self) -> None:
        """Refresh until cancelled; what storage refuses is read at the next round."""
        while True:
            try:
                await self.refresh()
            except StorageError:
                pass
            else:
                self._succeeded()
            await asyncio.sleep(_REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Read a new snapshot, from one state of the tables each."""
        check = self._rounds % _ROUNDS_BETWEEN_CHECKS == 0
        self._rounds += 1
        self._snapshot = await self._writer.read(lambda connection: self._read(connection, check=check))

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the newest snapshot."""
        snapshot = self._snapshot
        yield from _progress(snapshot.folded)
        yield from _speed(snapshot.curves)
        yield from _reconciled(snapshot)

    def _read(self, connection: Any, *, check: bool) -> _Snapshot:
        now = self._now()
        mismatches, checked_at = self._snapshot.mismatches, self._snapshot.checked_at
        if check:
            mismatches = reconcile(connection, self._figures.queries.tables)
            checked_at = now.timestamp()
        return _Snapshot(
            folded=self._figures.queries.folded(connection),
            curves={
                (tenant, clock): self._curve(connection, tenant, measure, now)
                for tenant in self._tenants
                for clock, measure in _CLOCKS.items()
            },
            mismatches=mismatches,
            checked_at=checked_at,
        )

    def _curve(self, connection: Any, tenant: str, measure: Measure, now: datetime) -> Curve:
        name = f"tenants/{tenant}"
        today = self._figures.queries.days(connection, name).day_of(micros_of(now))
        period = Period(today - _COHORT_DAYS + 1, today + 1)
        question = Question(tenant=name, period=period, now=micros_of(now))
        return self._figures.response_items(connection, question, measure).curve()


def _progress(folded: Sequence[Folded]) -> Iterable[Metric]:
    position = GaugeMetricFamily(
        "smarketing_reports_rollup_position", "Position of each log that is folded in.", labels=["log"]
    )
    as_of = GaugeMetricFamily(
        "smarketing_reports_rollup_as_of_timestamp_seconds",
        "Record time of the newest event of each log that is folded in.",
        labels=["log"],
    )
    for log in folded:
        position.add_metric([log.service], log.position)
        as_of.add_metric([log.service], log.record_time / 1_000_000)
    return position, as_of


def _speed(curves: dict[tuple[str, str], Curve]) -> Iterable[Metric]:
    seconds = GaugeMetricFamily(
        "smarketing_reports_speed_to_lead_seconds",
        "Time to first follow-up of the handoffs submitted in the last 28 days, those who wait included.",
        labels=["tenant", "quantile", "clock", "estimator"],
    )
    reached = GaugeMetricFamily(
        "smarketing_reports_speed_to_lead_quantile_reached",
        "1 where the quantile lies within what was observed, 0 where too many still wait.",
        labels=["tenant", "quantile", "clock"],
    )
    at_risk = GaugeMetricFamily(
        "smarketing_reports_speed_to_lead_at_risk",
        "Handoffs submitted in the last 28 days that still wait for a first follow-up.",
        labels=["tenant", "clock"],
    )
    for (tenant, clock), curve in curves.items():
        at_risk.add_metric([tenant, clock], curve.waiting_count)
        for share in _QUANTILES if curve.item_count else ():
            duration = curve.quantile(share)
            reached.add_metric([tenant, str(share), clock], int(duration is not None))
            if duration is not None:
                seconds.add_metric([tenant, str(share), clock, "km"], duration / 1_000_000)
    return seconds, reached, at_risk


def _reconciled(snapshot: _Snapshot) -> Iterable[Metric]:
    mismatches = GaugeMetricFamily(
        "smarketing_reports_reconcile_mismatches",
        "Items by which sums and facts differ; must be 0.",
        labels=["check"],
    )
    success = GaugeMetricFamily(
        "smarketing_reports_reconcile_success_timestamp_seconds",
        "When sums and facts were last compared.",
    )
    if snapshot.mismatches is not None:
        for check, number in snapshot.mismatches._asdict().items():
            mismatches.add_metric([check], number)
        success.add_metric([], snapshot.checked_at)
    return mismatches, success
