"""What storage says of itself, in the same registry."""

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smarketing import wallclock
from smarketing.sql import Database, Writer
from smarketing.sql.ownership import free_room

__all__ = ["StorageTelemetry", "engine_version"]

_TRANSACTION_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_TURN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0)
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
        self._turns: tuple[Histogram, Histogram] | None = None

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:  # noqa: ARG002 - the observer's signature
        """Note a transaction's duration; called from storage's threads."""
        self._seconds[kind].observe(seconds)

    def transaction_retried(self, reason: str) -> None:
        """Count a passing fault; called from storage's threads."""
        counter = self._retries.get(reason)
        if counter is not None:
            counter.inc()

    def turn_ended(self, waited_seconds: float, held_seconds: float) -> None:
        """Note how long the turn to write was waited for, and held; called from storage's threads."""
        if self._turns is not None:
            waited, held = self._turns
            waited.observe(waited_seconds)
            held.observe(held_seconds)

    def watch(self, writer: Writer) -> None:
        """Ask at each scrape how much waits, and the file system how large the files are: no query."""
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "smarketing_db_writer_queue_depth": ("Requests waiting for the writer", lambda: writer.waiting),
            "smarketing_db_pool_in_use": ("Queries that hold or wait for a reader", lambda: writer.reading),
        }
        database = writer.database
        if database.is_remote:
            turns = Histogram(
                "smarketing_db_turn_seconds",
                "How long writing transactions waited for their turn, and held it",
                ["part"],
                buckets=_TURN_SECONDS,
                registry=self._registry,
            )
            self._turns = (turns.labels("waited"), turns.labels("held"))
            gauges["smarketing_db_clock_offset_seconds"] = (
                "By how much this machine's clock is ahead of the database server's, which decides",
                lambda: _ahead(database),
            )
        path = database.path
        if path is not None:
            gauges |= {
                "smarketing_db_size_bytes": ("Size of the database file", lambda: _size(path)),
                "smarketing_db_wal_bytes": (
                    "Size of the write-ahead log beside it",
                    lambda: _size(Path(f"{path}-wal")),
                ),
                "smarketing_db_disk_free_bytes": (
                    "By how much the files may still grow; at 0 writes are refused",
                    lambda: _room(path),
                ),
            }
        for name, (text, ask) in gauges.items():
            Gauge(name, text, registry=self._registry).set_function(ask)


def engine_version(database: Database) -> str:
    """Return the version of the SQLite that runs, which need not be the one of the standard library.

    Empty where the database is a server's, which may be replaced by a newer one while this process runs.
    """
    if database.is_remote:
        return ""
    module = getattr(database.writer_engine.dialect, "dbapi", None) or sqlite3
    return str(getattr(module, "sqlite_version", sqlite3.sqlite_version))


def _ahead(database: Database) -> float:
    servers = database.clock(wallclock.utc_now)()
    return (wallclock.utc_now() - servers).total_seconds()


def _size(path: Path) -> float:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _room(path: Path) -> float:
    try:
        return max(0, free_room(path))
    except OSError:
        # One gauge that cannot be read must not cost the whole scrape.
        return math.nan
