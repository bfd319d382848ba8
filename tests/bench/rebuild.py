"""A read model made anew from the leads log: events a second, memory, and that it is the one that grew.

The log is made up as it goes, and what that costs is not counted; what is counted is what a consumer does
with a batch: read the events, fold them, write and commit them durably into a file.
BENCH_EVENTS says how many.
"""

import gc
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import MetaData, select

from services.reports.consumers.lead_events import LeadEvents
from services.reports.store.fold import ReadModel
from services.reports.store.schema import Tables, define_tables
from smarketing.sql import Database, open_database
from tests.builders.long_log import batches_of, long_log
from tests.builders.reports import MONDAY

__all__ = ["rebuild"]

EVENTS = int(os.environ.get("BENCH_EVENTS", "300000"))
GROWN_EVENTS = min(EVENTS, 100_000)
"""So many are also folded in small batches, for comparison: their tables must be the same."""
BATCH = 4_000
SMALL_BATCHES = (1, 17, 250, 900)
GOAL_PER_SECOND = 50_000.0
GOAL_CONSUMED = 20_000.0

Figures = dict[str, Any]


def rebuild() -> Figures:
    """A rebuild of the read model from the first event of the leads log."""
    with _empty() as (database, tables):
        seen = _folded(database, tables, [BATCH], EVENTS)
        rows, size = _rows(database, tables), _megabytes(database)
    small = _content_of(SMALL_BATCHES)
    large = _content_of([BATCH])
    same = f"the same tables from batches of {SMALL_BATCHES} as from {BATCH:,}, {GROWN_EVENTS:,} events"
    lines = [
        f"{EVENTS:,} events in batches of {BATCH:,}: {rows:,} rows, {size:,.0f} MB",
        f"a processor second {seen['per_cpu_second']:,.0f} events, a second {seen['per_second']:,.0f}",
        f"pace in the last tenth to that in the first: {seen['last_to_first']:.2f}",
        "memory at a tenth, half, all: " + ", ".join(f"{each:.0f} MB" for each in seen["memory_mb"]),
        f"{same}: {small == large}",
    ]
    if small != large:
        raise RuntimeError("the tables depend on how the log was cut into batches")
    memory = seen["memory_mb"]
    return {
        **seen,
        "events": EVENTS,
        "lines": lines,
        "ratios": {
            "rebuild_to_fifty_thousand": seen["per_cpu_second"] / GOAL_PER_SECOND,
            "consumer_to_twenty_thousand": seen["per_second"] / GOAL_CONSUMED,
            "memory_at_half_to_all": memory[1] / memory[2],
        },
        "goals": {
            "rebuild_to_fifty_thousand": 1.0,
            "consumer_to_twenty_thousand": 1.0,
            "memory_at_half_to_all": 0.9,
        },
    }


@contextmanager
def _empty() -> Iterator[tuple[Database, Tables]]:
    tables = define_tables(MetaData())
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'reports.db'}")
        try:
            with database.writer_engine.begin() as connection:
                tables.metadata.create_all(connection, checkfirst=False)
            yield database, tables
        finally:
            database.close()


def _folded(database: Database, tables: Tables, sizes: Sequence[int], count: int) -> Figures:
    """Fold the log in, in batches of these sizes by turns."""
    fold = LeadEvents(ReadModel(tables), lambda _connection, _events: None)
    log, done, wall, cpu, turn = long_log(count), 0, 0.0, 0.0, 0
    memory: list[float] = []
    tenths: list[float] = []
    gc.collect()
    while batch := next(batches_of(log, sizes[turn % len(sizes)]), []):
        turn += 1
        began, began_cpu = time.perf_counter(), time.process_time()
        _apply(database, fold, batch)
        wall += time.perf_counter() - began
        cpu += time.process_time() - began_cpu
        done += len(batch)
        while len(tenths) < 10 * done // count:
            tenths.append(cpu)
            if len(tenths) in (1, 5, 10):
                memory.append(_memory())
    return {
        "per_second": count / wall,
        "per_cpu_second": count / cpu,
        "last_to_first": tenths[0] / (tenths[9] - tenths[8]) if len(tenths) > 9 else 1.0,
        "memory_mb": memory,
    }


def _apply(database: Database, fold: LeadEvents, batch: Sequence[Any], now: datetime = MONDAY) -> None:
    # As in the service: its writer collects no garbage while a transaction is made.
    gc.disable()
    try:
        with database.writer_engine.begin() as connection:
            fold.apply(connection, batch, now)
    finally:
        gc.enable()


def _content_of(sizes: Sequence[int]) -> dict[str, str]:
    """Return a digest of every row of every table."""
    with _empty() as (database, tables):
        _folded(database, tables, sizes, GROWN_EVENTS)
        digests = {}
        with database.reading() as connection:
            for table in tables.read_model:
                digest = sha256()
                for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
                    digest.update(repr(tuple(row)).encode())
                digests[table.name] = digest.hexdigest()
        return digests


def _rows(database: Database, tables: Tables) -> int:
    with database.reading() as connection:
        return sum(
            connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar_one()
            for table in tables.read_model
        )


def _megabytes(database: Database) -> float:
    with database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    return float(pages * size) / 1e6


def _memory() -> float:
    """Return what the process holds now, in megabytes; where nobody says, the most it ever held."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
