"""Business metrics of this service: figures of the database, read by a background task."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.leads.domain.terms import EvidenceGrade, FollowUpChannel, SourceChannel
from services.leads.store.figures import Figures, TenantFigures, read_figures
from services.leads.store.leads import LeadStore
from smarketing.logs import get_log
from smarketing.sql import StorageError

__all__ = ["BusinessMetrics"]

_log = get_log(__name__)

_RESTS: Final = 99
"""Rest so many times as long as reading took."""

_COUNTERS: Final = {
    "submitted": (
        "smarketing_leads_submitted",
        "Handoffs submitted",
        ["source_channel"],
        [channel.name.lower() for channel in SourceChannel],
    ),
    "offers_ended": (
        "smarketing_leads_offers_ended",
        "Offers ended",
        ["outcome"],
        ["accepted", "rejected", "declined", "expired", "withdrawn"],
    ),
    "routed": ("smarketing_leads_routing", "Handoffs routed", ["outcome"], ["assigned", "fallback"]),
    "follow_ups": (
        "smarketing_leads_follow_ups",
        "Follow-ups logged",
        ["channel", "grade"],
        [
            f"{channel.name.lower()} {grade.name.lower()}"
            for channel in FollowUpChannel
            for grade in EvidenceGrade
        ],
    ),
}


class BusinessMetrics(Collector):
    """Shows the figures read last; nothing before the first reading."""

    def __init__(
        self,
        store: LeadStore,
        registry: CollectorRegistry,
        *,
        tenants: Sequence[str],
        interval: timedelta,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._tenants = tuple(tenants)
        self._interval = interval
        self._succeeded = succeeded
        self._figures: Figures | None = None
        registry.register(self)

    async def refresh(self) -> None:
        """Read the figures, and say so when a handoff is missing or nobody's."""
        figures = await self._store.read(partial(read_figures, tenants=self._tenants))
        if not figures.are_conserved:
            _log.error(
                "handoffs_not_conserved",
                submitted=figures.submitted,
                standing=figures.standing,
                unowned=figures.unowned,
            )
        self._figures = figures
        self._succeeded()

    async def run(self) -> None:
        """Refresh until cancelled, spending a hundredth of the time on it at most.

        Storage at fault leaves the last figures and their age.
        """
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await self.refresh()
            except StorageError as error:
                _log.warning("figures_not_read", fault=type(error).__name__)
            await asyncio.sleep(max(self._interval.total_seconds(), _RESTS * (clock() - began)))

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the last reading."""
        figures = self._figures
        if figures is None:
            return
        yield from _counters(figures)
        yield from _gauges(figures)


def _counters(figures: Figures) -> Iterator[Metric]:
    for total, (name, text, labels, values) in _COUNTERS.items():
        family = CounterMetricFamily(name, text, labels=["tenant", *labels])
        for tenant, own in figures.tenants.items():
            for value in values:
                # Present from the start, so that the first one already counts as a rise.
                family.add_metric([tenant, *value.split()], own.totals.get((total, value), 0))
        yield family


def _gauges(figures: Figures) -> Iterator[Metric]:
    handoffs = GaugeMetricFamily("smarketing_leads_handoffs", "Handoffs by state", labels=["tenant", "state"])
    for tenant, own in figures.tenants.items():
        for state, count in own.handoffs.items():
            handoffs.add_metric([tenant, state], count)
    yield handoffs
    yield from _oldest(figures, "unrouted", lambda own: own.oldest_unrouted)
    yield from _oldest(figures, "offered", lambda own: own.oldest_offered)
    yield GaugeMetricFamily(
        "smarketing_leads_unowned_handoffs", "Open handoffs that are nobody's", value=figures.unowned
    )
    yield GaugeMetricFamily(
        "smarketing_leads_unconserved_handoffs",
        "Handoffs that ever began, less those that stand in a state now",
        value=figures.submitted - figures.standing,
    )
    yield GaugeMetricFamily(
        "smarketing_leads_idempotency_records", "Answers kept", value=figures.idempotency_records
    )


def _oldest(figures: Figures, what: str, of: Callable[[TenantFigures], object]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        f"smarketing_leads_oldest_{what}_timestamp_seconds",
        f"Since when the oldest {what} handoff waits; absent when none does",
        labels=["tenant"],
    )
    for tenant, own in figures.tenants.items():
        since = of(own)
        if since is not None:
            family.add_metric([tenant], since.timestamp())  # type: ignore[attr-defined]  # an instant
    yield family
