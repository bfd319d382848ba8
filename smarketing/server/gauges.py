"""Gauges of what the database holds, read together by a background task: a scrape asks nobody anything."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smarketing.sql import Connection, StorageError, Writer

__all__ = ["DatabaseGauges", "Reading"]

_log = structlog.get_logger(__name__)

_REFRESH_SECONDS: Final = 10.0

Reading: TypeAlias = Callable[[Connection], Iterable[Metric]]
"""Reads some gauges; every reading of one round sees the same state of the database."""


class DatabaseGauges(Collector):
    """Shows the gauges read last; nothing before the first round."""

    def __init__(
        self,
        registry: CollectorRegistry,
        writer: Writer,
        readings: Sequence[Reading],
        *,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        # A file's size is asked of the file system, at each scrape.
        self._readings = (*readings, _size) if writer.database.is_remote else tuple(readings)
        self._succeeded = succeeded
        self._shown: tuple[Metric, ...] = ()
        registry.register(self)

    async def run(self) -> None:
        """Read every 10 s until cancelled; storage at fault leaves the last gauges and their age."""
        while True:
            try:
                await self.refresh()
            except StorageError as error:
                _log.warning("gauges_not_read", fault=type(error).__name__)
            await asyncio.sleep(_REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Read the gauges."""
        self._shown = await self._writer.read(self._read)
        self._succeeded()

    def collect(self) -> Iterable[Metric]:
        """Return the gauges read last."""
        return self._shown

    def _read(self, connection: Connection) -> tuple[Metric, ...]:
        return tuple(metric for reading in self._readings for metric in reading(connection))


def _size(connection: Connection) -> Iterable[Metric]:
    size: int = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    yield GaugeMetricFamily("smarketing_db_size_bytes", "Size of the database on its server", value=size)
