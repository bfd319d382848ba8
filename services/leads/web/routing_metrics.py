"""How fairly routing shares its turns, as a figure: the pool that is farthest from everybody's due."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.leads.domain.turns import Pool
from services.leads.store.leads import LeadStore
from services.leads.store.routing import find_pools
from smarketing.logs import get_log
from smarketing.sql import Connection, StorageError

__all__ = ["RoutingMetrics"]

_log = get_log(__name__)

_Pools = Mapping[str, Mapping[str, Pool]]


class RoutingMetrics(Collector):
    """Shows the pools read last, by tenant; nothing before the first reading."""

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
        self._pools: _Pools = {}
        registry.register(self)

    async def refresh(self) -> None:
        """Read the pools."""
        self._pools = await self._store.read(partial(_read, tenants=self._tenants))
        self._succeeded()

    async def run(self) -> None:
        """Refresh until cancelled; storage at fault leaves the last figures."""
        while True:
            try:
                await self.refresh()
            except StorageError as error:
                _log.warning("pools_not_read", fault=type(error).__name__)
            await asyncio.sleep(self._interval.total_seconds())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the last reading."""
        turns = CounterMetricFamily("smarketing_leads_routing_turns", "Turns given", labels=["tenant"])
        deviation = GaugeMetricFamily(
            "smarketing_leads_routing_deviation_turns",
            "Largest distance of anybody from the turns they were due, in the pool nearest to its bound",
            labels=["tenant"],
        )
        bound = GaugeMetricFamily(
            "smarketing_leads_routing_deviation_bound_turns",
            "What that distance can never exceed, in the same pool",
            labels=["tenant"],
        )
        for tenant, pools in self._pools.items():
            turns.add_metric([tenant], sum(pool.turns for pool in pools.values()))
            worst = max(pools.values(), key=_strain, default=Pool())
            deviation.add_metric([tenant], float(worst.largest_deviation))
            bound.add_metric([tenant], float(worst.bound))
        yield from (turns, deviation, bound)


def _strain(pool: Pool) -> float:
    """Return how much of the bound is used; more than 1 cannot be."""
    return float(pool.largest_deviation / pool.bound) if pool.bound else float(pool.largest_deviation)


def _read(connection: Connection, *, tenants: Sequence[str]) -> _Pools:
    return {tenant: find_pools(connection, tenant) for tenant in tenants}
