"""A read model made anew from the leads log, and one that follows it: events a second, memory, equality.

The log is made up by another process, and what that costs is not counted; what is counted is what a service
does with a batch: fold its events, write and commit them durably into a file.
BENCH_EVENTS says of how many events a rebuild is measured, BENCH_FOLLOWED how many a consumer follows: so
many are also made anew, and the tables must be the same, byte for byte.
"""

import gc
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from sqlalchemy import MetaData, select

from services.reports.consumers.lead_events import LeadEvents
from services.reports.consumers.rebuilding import LogRebuild
from services.reports.store.fold import ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.schema import Tables, define_tables
from smarketing.sql import Database, open_database
from tests.builders.long_log import log_from_elsewhere
from tests.builders.reports import MONDAY

__all__ = ["rebuild"]

EVENTS = int(os.environ.get("BENCH_EVENTS", "300000"))
FOLLOWED = int(os.environ.get("BENCH_FOLLOWED", str(min(EVENTS, 300_000))))
BATCH = 20_000
"""As many as a consumer takes at once when it is behind."""
GOAL_REBUILT = 50_000.0
GOAL_FOLLOWED = 20_000.0

Figures: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Any, Sequence[Any]], None]


def rebuild() -> Figures:
    """A rebuild of the read model from the first event of the leads log, and a consumer that follows it."""
    with _empty() as (database, tables):
        made = _rebuilt(database, tables, EVENTS)
        rows, size = _rows(database, tables), _megabytes(database)
        anew = _content(database, tables) if FOLLOWED == EVENTS else {}
    if not anew:
        with _empty() as (database, tables):
            _rebuilt(database, tables, FOLLOWED)
            anew = _content(database, tables)
    with _empty() as (database, tables):
        grown = _followed(database, tables, FOLLOWED)
        same = anew == _content(database, tables)
    lines = [
        f"made anew from {EVENTS:,} events: {rows:,} rows, {size:,.0f} MB; {_said(made)}",
        f"followed, {FOLLOWED:,} events in batches of {BATCH:,}: {_said(grown)}",
        f"the same tables from {FOLLOWED:,} events, made anew and followed: {same}",
    ]
    if not same:
        raise RuntimeError("a rebuild does not give the tables that the consumer gives")
    memory = made["memory_mb"]
    return {
        "rebuilt": made,
        "followed": grown,
        "events": EVENTS,
        "lines": lines,
        "ratios": {
            "rebuild_to_fifty_thousand": made["per_second"] / GOAL_REBUILT,
            "consumer_to_twenty_thousand": grown["per_second"] / GOAL_FOLLOWED,
            "memory_at_half_to_all": memory[1] / memory[2],
        },
        "goals": {
            "rebuild_to_fifty_thousand": 1.0,
            "consumer_to_twenty_thousand": 1.0,
            "memory_at_half_to_all": 0.9,
        },
    }


def _said(seen: Figures) -> str:
    memory = ", ".join(f"{each:.0f}" for each in seen["memory_mb"])
    return (
        f"{seen['per_second']:,.0f} events a second, {seen['cpu_micros']:.1f} us of processor time each, "
        f"pace in the last tenth to that in the first {seen['last_to_first']:.2f}, "
        f"memory at a tenth, half, all {memory} MB"
    )


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


def _rebuilt(database: Database, tables: Tables, count: int) -> Figures:
    made = LogRebuild(ReadModel(tables), MarketingQuotas(tables))
    return _fed(database, count, made.take_leads, made.finish)


def _followed(database: Database, tables: Tables, count: int) -> Figures:
    fold = LeadEvents(ReadModel(tables), lambda _connection, _events: None)
    return _fed(database, count, lambda connection, events: fold.apply(connection, events, MONDAY), None)


def _fed(database: Database, count: int, step: Step, last: Callable[[Any], None] | None) -> Figures:
    """Hand the log to `step`, a batch a transaction, and end with `last`."""
    done, watch = 0, _Watch()
    memory: list[float] = []
    tenths: list[float] = []
    with log_from_elsewhere(count, min(BATCH, max(1, count // 10))) as batches:
        for batch in batches:
            with watch, _transaction(database) as connection:
                step(connection, batch)
            done += len(batch)
            if last is not None and done == count:
                with watch, _transaction(database) as connection:
                    last(connection)
            while len(tenths) < 10 * done // count:
                tenths.append(watch.cpu)
                if len(tenths) in (1, 5, 10):
                    memory.append(_memory())
    return {
        "per_second": count / watch.wall,
        "cpu_micros": watch.cpu / count * 1e6,
        "last_to_first": tenths[0] / (tenths[9] - tenths[8]),
        "memory_mb": memory,
    }


class _Watch:
    """Adds up the time that passes, and that of the processor, while it is entered."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        # As in the service: its writer collects no garbage while a transaction is made.
        gc.disable()
        self._began, self._began_cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._began
        self.cpu += time.process_time() - self._began_cpu
        gc.enable()


@contextmanager
def _transaction(database: Database) -> Iterator[Any]:
    with database.writer_engine.begin() as connection:
        yield connection


def _content(database: Database, tables: Tables) -> dict[str, str]:
    """Return a digest of every row of every table."""
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
