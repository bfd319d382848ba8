"""Business metrics: read from the database by a background task and published as they are."""

import asyncio
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.sla.store.figures import Figures, read_figures
from services.sla.store.tallies import RETRACTED, RUNG, SETTLED, STARTED
from smarketing.sql import StorageError, Writer

__all__ = ["SlaMetrics", "TimerMetrics"]

_REFRESH_SECONDS: Final = 10.0
_TEAMS_SHOWN: Final = 10
_LATENESS_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)


class TimerMetrics:
    """What the sweeper says of itself, in this process."""

    def __init__(self, registry: CollectorRegistry, *, succeeded: Callable[[], None] = lambda: None) -> None:
        self._succeeded = succeeded
        self._lateness = Histogram(
            "smarketing_sla_timer_lateness_seconds",
            "From a timer's instant to its record",
            ["kind"],
            buckets=_LATENESS_SECONDS,
            registry=registry,
        )
        self._fired = Counter(
            "smarketing_sla_timers_fired_total", "Timers recorded", ["kind"], registry=registry
        )
        self._lost = Counter(
            "smarketing_sla_timer_claims_lost_total",
            "Timers that somebody else had recorded",
            ["kind"],
            registry=registry,
        )
        self._stepped = Counter(
            "smarketing_sla_clock_steps_back_total", "Times the wall clock was set back", registry=registry
        )
        self._sweep = Histogram(
            "smarketing_sla_sweep_seconds", "Duration of one batch of a sweep", registry=registry
        )
        for kind in ("rung", "breach"):
            self._lateness.labels(kind)
            self._fired.labels(kind)
            self._lost.labels(kind)

    def timer_fired(self, kind: str, lateness_seconds: float) -> None:
        """Note a rung or a breach."""
        self._fired.labels(kind).inc()
        self._lateness.labels(kind).observe(max(0.0, lateness_seconds))

    def swept(self, seconds: float) -> None:
        """Note a batch."""
        self._sweep.observe(seconds)

    def turned(self) -> None:
        """Note that the sweeper looked at what is due."""
        self._succeeded()

    def clock_stepped_back(self) -> None:
        """Note that the wall clock was set back."""
        self._stepped.inc()


class SlaMetrics(Collector):
    """Publishes the newest reading; `run` renews it.

    `tenants` are the ids that are published; all others are left out of Prometheus.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        writer: Writer,
        *,
        tenants: Sequence[str],
        now: Callable[[], datetime],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._tenants = tuple(tenants)
        self._now = now
        self._succeeded = succeeded
        self._figures = Figures()
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
        """Take a new reading."""
        self._figures = await self._writer.read(
            lambda connection: read_figures(connection, self._tenants, now=self._now())
        )

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the newest reading."""
        figures = self._figures
        teams = _shown_teams(figures)
        yield from _totals(figures, teams)
        yield _open_clocks(figures, teams)
        yield from _follow_ups(figures, teams)
        yield from _machinery(figures)


def _shown_teams(figures: Figures) -> frozenset[str]:
    """Return the teams with the most clocks: the others are shown together."""
    sizes: Counts[str] = Counts()
    for (_, what, _, team, _), count in figures.totals.items():
        if what == SETTLED:
            sizes[team] += count
    for (_, _, team, _), count in figures.open_clocks.items():
        sizes[team] += count
    return frozenset(team for team, _ in sizes.most_common(_TEAMS_SHOWN))


def _label(team: str, shown: frozenset[str]) -> str:
    return team.rsplit("/", 1)[-1] if team in shown else "other"


_TOTALS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    STARTED: ("smarketing_sla_clocks_started", "Clocks started", ()),
    SETTLED: ("smarketing_sla_clocks_settled", "Clocks decided", ("team", "outcome")),
    RETRACTED: ("smarketing_sla_breaches_retracted", "Misses taken back", ()),
    RUNG: ("smarketing_sla_rungs_fired", "Steps of the ladder reached", ("rung",)),
}


def _totals(figures: Figures, teams: frozenset[str]) -> Iterable[Metric]:
    for kind, (name, text, labels) in _TOTALS.items():
        counts: Counts[tuple[str, ...]] = Counts()
        for (tenant, what, commitment, team, label), count in figures.totals.items():
            if what == kind:
                own = {"team": _label(team, teams), "outcome": label, "rung": label}
                counts[(tenant, commitment, *(own[each] for each in labels))] += count
        family = CounterMetricFamily(name, text, labels=["tenant", "commitment", *labels])
        for values, count in sorted(counts.items()):
            family.add_metric(values, count)
        yield family


def _open_clocks(figures: Figures, teams: frozenset[str]) -> Metric:
    counts: Counts[tuple[str, ...]] = Counts()
    for (tenant, commitment, team, state), count in figures.open_clocks.items():
        counts[tenant, commitment, _label(team, teams), state] += count
    family = GaugeMetricFamily(
        "smarketing_sla_clocks_open",
        "Clocks that wait for a stop",
        labels=["tenant", "commitment", "team", "state"],
    )
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _follow_ups(figures: Figures, teams: frozenset[str]) -> Iterable[Metric]:
    labels = ["tenant", "team"]
    overdue = GaugeMetricFamily(
        "smarketing_sla_follow_ups_overdue", "Handoffs whose first follow-up is overdue", labels=labels
    )
    oldest = GaugeMetricFamily(
        "smarketing_sla_oldest_overdue_follow_up_timestamp_seconds",
        "Since when the oldest of them is overdue",
        labels=labels,
    )
    counts: Counts[tuple[str, str]] = Counts()
    since: dict[tuple[str, str], float] = {}
    for (tenant, team), (count, due) in figures.overdue_follow_ups.items():
        key = (tenant, _label(team, teams))
        counts[key] += count
        since[key] = min(due.timestamp(), since.get(key, due.timestamp()))
    for key, count in sorted(counts.items()):
        overdue.add_metric(key, count)
        oldest.add_metric(key, since[key])
    yield overdue
    yield oldest


def _machinery(figures: Figures) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "smarketing_sla_timers_overdue",
        "Timers whose instant passed more than 5 s ago",
        figures.timers_overdue,
    )
    oldest = GaugeMetricFamily(
        "smarketing_sla_oldest_overdue_timer_timestamp_seconds", "Instant of the oldest of them"
    )
    if figures.oldest_overdue_timer is not None:
        oldest.add_metric([], figures.oldest_overdue_timer.timestamp())
    yield oldest
    yield GaugeMetricFamily(
        "smarketing_sla_quarantined_clocks", "Clocks that could not be decided", figures.quarantined
    )
    pending = GaugeMetricFamily(
        "smarketing_sla_replan_pending", "Tenants whose handoffs are looked at once more", labels=["reason"]
    )
    pending.add_metric(["agreement"], figures.replays_pending)
    yield pending
