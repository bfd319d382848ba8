"""Business metrics: read from the database by a background task and published as they are."""

import asyncio
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.sla.store.figures import Figures, read_figures
from services.sla.store.tallies import EXCEPTION, RETRACTED, RUNG, SETTLED, STARTED
from services.sla.web.room import shown_each
from smarketing.sql import StorageError, Writer

__all__ = ["SlaMetrics", "TimerMetrics"]

_REFRESH_SECONDS: Final = 10.0
_OTHERS: Final = "other"
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
        shown = _shown(figures, shown_each(len(self._tenants)))
        yield from _totals(figures, shown)
        yield _open_clocks(figures, shown)
        yield from _follow_ups(figures, shown)
        yield _budgets(figures)
        yield from _machinery(figures)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What has series of its own, the most used first: a tenant may make as many of each as it likes."""

    teams: frozenset[str]
    commitments: frozenset[str]
    rungs: frozenset[str]

    def team(self, team: str) -> str:
        return team.rsplit("/", 1)[-1] if team in self.teams else _OTHERS

    def commitment(self, commitment: str) -> str:
        return commitment if commitment in self.commitments else _OTHERS

    def rung(self, rung: str) -> str:
        return rung if rung in self.rungs else _OTHERS


def _shown(figures: Figures, most: int) -> _Shown:
    teams, commitments, rungs = Counts[str](), Counts[str](), Counts[str]()
    for (_, what, commitment, team, label), count in figures.totals.items():
        commitments[commitment] += count
        if what == SETTLED:
            teams[team] += count
        elif what == RUNG:
            rungs[label] += count
    for (_, commitment, team, _), count in figures.open_clocks.items():
        teams[team] += count
        commitments[commitment] += count
    return _Shown(
        _largest(teams, most),
        _largest(commitments, most),
        _largest(rungs, most),
    )


def _largest(sizes: Counts[str], count: int) -> frozenset[str]:
    return frozenset(each for each, _ in sizes.most_common(count))


_TOTALS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    STARTED: ("smarketing_sla_clocks_started", "Clocks started", ()),
    SETTLED: ("smarketing_sla_clocks_settled", "Clocks decided", ("team", "outcome")),
    RETRACTED: ("smarketing_sla_breaches_retracted", "Misses taken back", ()),
    RUNG: ("smarketing_sla_rungs_fired", "Steps of the ladder reached", ("rung",)),
    EXCEPTION: ("smarketing_sla_exceptions", "Requests for exceptions, by what became of them", ("outcome",)),
}


def _totals(figures: Figures, shown: _Shown) -> Iterable[Metric]:
    for kind, (name, text, labels) in _TOTALS.items():
        counts: Counts[tuple[str, ...]] = Counts()
        for (tenant, what, commitment, team, label), count in figures.totals.items():
            if what == kind:
                own = {"team": shown.team(team), "outcome": label, "rung": shown.rung(label)}
                counts[(tenant, shown.commitment(commitment), *(own[each] for each in labels))] += count
        family = CounterMetricFamily(name, text, labels=["tenant", "commitment", *labels])
        for values, count in sorted(counts.items()):
            family.add_metric(values, count)
        yield family


def _open_clocks(figures: Figures, shown: _Shown) -> Metric:
    counts: Counts[tuple[str, ...]] = Counts()
    for (tenant, commitment, team, state), count in figures.open_clocks.items():
        counts[tenant, shown.commitment(commitment), shown.team(team), state] += count
    family = GaugeMetricFamily(
        "smarketing_sla_clocks_open",
        "Clocks that wait for a stop",
        labels=["tenant", "commitment", "team", "state"],
    )
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _follow_ups(figures: Figures, shown: _Shown) -> Iterable[Metric]:
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
        key = (tenant, shown.team(team))
        counts[key] += count
        since[key] = min(due.timestamp(), since.get(key, due.timestamp()))
    for key, count in sorted(counts.items()):
        overdue.add_metric(key, count)
        oldest.add_metric(key, since[key])
    yield overdue
    yield oldest


def _budgets(figures: Figures) -> Metric:
    family = GaugeMetricFamily(
        "smarketing_sla_budgets", "Error budgets by where they stand", labels=["tenant", "state"]
    )
    for (tenant, state), count in sorted(figures.budgets.items()):
        family.add_metric([tenant, state.lower()], count)
    return family


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
