"""Every report at a million handoffs, beside the same figures from a scan of all of them.

The scans read the facts, in SQLite as they lie in our own file and in DuckDB as columns of it, and count
what the answer says; where they say anything else, the bench fails. BENCH_HANDOFFS says how many there are.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
from sqlalchemy import Connection, MetaData

from services.reports.domain.errors import BasisRequired
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from services.reports.store.schema import Tables, define_tables
from smarketing.sql import Database, open_database
from tests.builders.long_year import put_year
from tests.builders.reports import TENANT

__all__ = ["reports"]

HANDOFFS = int(os.environ.get("BENCH_HANDOFFS", "1000000"))
CALLS = 100
GOAL_MS = 50.0
GOAL_TO_SCAN = 100.0
START = datetime(2025, 1, 6, tzinfo=UTC)
NOW = datetime(2026, 2, 2, tzinfo=UTC)
# Midnights in Seoul, which sets no clock forward or back.
FIRST = datetime(2025, 3, 31, 15, tzinfo=UTC)
LAST = datetime(2025, 6, 30, 15, tzinfo=UTC)
QUARTER = Period.of(datetime(2025, 4, 1, tzinfo=UTC).date(), datetime(2025, 7, 1, tzinfo=UTC).date())

Call = Callable[[Connection], Any]
Results = dict[str, Any]

_REACHED = "accept_time, first_follow_up_time, qualify_time, convert_time, won_time, lost_time"
_WITHIN = f"BETWEEN {micros_of(FIRST)} AND {micros_of(LAST) - 1}"
_FUNNEL = (
    f"SELECT source, count(*), count(coalesce({_REACHED}, disqualify_time, recycle_time)), count(won_time)"
    f" FROM handoff_fact WHERE submit_time {_WITHIN} GROUP BY source"
)
_COMPLIANCE = (
    "SELECT team, count(*), sum(CASE WHEN state = 'met' THEN 1 ELSE 0 END)"
    f" FROM clock_fact WHERE due_time {_WITHIN} GROUP BY team"
)
_COLUMNS = {
    "handoff_fact": ["source", "submit_time", *_REACHED.split(", "), "disqualify_time", "recycle_time"],
    "clock_fact": ["team", "due_time", "state"],
}


def reports() -> Results:
    """Each report of a quarter, at a year of handoffs in the read model."""
    tables = define_tables(MetaData())
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder) / 'reports.db'}")
        try:
            filled = _fill(database, tables)
            return _measured(database, tables, filled)
        finally:
            database.close()


def _fill(database: Database, tables: Tables) -> float:
    began = time.perf_counter()
    with database.writer_engine.begin() as connection:
        tables.metadata.create_all(connection, checkfirst=False)
        put_year(connection, tables, HANDOFFS, micros_of(START))
    return time.perf_counter() - began


def _measured(database: Database, tables: Tables, filled: float) -> Results:
    figures = Figures(Queries(tables))
    seen = {name: _timed(database, call) for name, call in _calls(figures).items()}
    kpis = _kpis(database, figures)
    scans = _scans(database, figures)
    slowest = max(*(of["p99_ms"] for of in seen.values()), *kpis.values())
    worst = sorted(kpis, key=lambda kpi: -kpis[kpi])[:6]
    rows = {name: _count(database, name) for name in ("handoff_fact", "tally_rollup", "waiting_rollup")}
    lines = [f"{rows}, written and counted in {filled:.0f} s; questions of a quarter, {CALLS} each"]
    lines += [
        f"{name:34} p50 {of['p50_ms']:>8.2f} ms   p99 {of['p99_ms']:>8.2f} ms" for name, of in seen.items()
    ]
    named = ", ".join(f"{kpi} {kpis[kpi]:.1f}" for kpi in worst)
    lines.append(f"the slowest of {len(kpis)} figures, median in ms: {named}")
    for name, of in scans.items():
        lines.append(
            f"{name:34} scan in SQLite {of['sqlite_ms']:>8.1f} ms, in DuckDB {of['duckdb_ms']:>8.1f} ms,"
            f" ours {of['ours_ms']:>8.2f} ms: the same answer"
        )
    return {
        "reports": seen,
        "kpis": kpis,
        "scans": scans,
        "lines": lines,
        "ratios": {
            "fifty_ms_to_the_slowest": GOAL_MS / slowest,
            "least_to_scan_in_sqlite": min(of["sqlite_ms"] / of["ours_ms"] for of in scans.values()),
            "least_to_scan_in_duckdb": min(of["duckdb_ms"] / of["ours_ms"] for of in scans.values()),
        },
        "goals": {"fifty_ms_to_the_slowest": 1.0, "least_to_scan_in_sqlite": GOAL_TO_SCAN},
    }


def _question(*group_by: Dimension) -> Question:
    return Question(tenant=TENANT, period=QUARTER, group_by=group_by, now=micros_of(NOW))


def _calls(figures: Figures) -> Mapping[str, Call]:
    return {
        "scorecard": lambda connection: figures.scores(connection, _question()),
        "funnel": lambda connection: figures.funnel(connection, _question(), Basis.COHORT),
        "funnel by source": lambda connection: figures.funnel(
            connection, _question(Dimension.SOURCE), Basis.COHORT
        ),
        "funnel by source and month": lambda connection: figures.funnel(
            connection, _question(Dimension.SOURCE, Dimension.MONTH), Basis.EVENT
        ),
        "compliance": lambda connection: figures.compliance(connection, _question()),
        "compliance by team": lambda connection: figures.compliance(connection, _question(Dimension.TEAM)),
        "response times": lambda connection: figures.response_times(connection, _question()),
        "response times by source": lambda connection: figures.response_times(
            connection, _question(Dimension.SOURCE)
        ),
    }


def _kpis(database: Database, figures: Figures) -> dict[str, float]:
    """Ask every figure of the quarter five times; return the median of each."""
    return {kpi_id: _timed(database, partial(_asked, figures, kpi_id), 5)["p50_ms"] for kpi_id in KPIS}


def _asked(figures: Figures, kpi_id: str, connection: Connection) -> None:
    try:
        figures.query(connection, kpi_id, _question(), None)
    except BasisRequired:
        figures.query(connection, kpi_id, _question(), Basis.COHORT)


def _timed(database: Database, call: Call, calls: int = CALLS) -> dict[str, float]:
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        with database.reading() as connection:
            call(connection)
        seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    return {"p50_ms": 1000 * ordered[calls // 2], "p99_ms": 1000 * ordered[int(calls * 0.99)]}


def _scans(database: Database, figures: Figures) -> dict[str, dict[str, float]]:
    beside = _columns_beside(database)
    asked: dict[str, tuple[str, Call, Callable[[Any], Any]]] = {
        "funnel by source": (
            _FUNNEL,
            lambda connection: figures.funnel(connection, _question(Dimension.SOURCE), Basis.COHORT),
            lambda rows: {(row.group[0], row.tally.items, row.tally.accepted, row.tally.won) for row in rows},
        ),
        "compliance by team": (
            _COMPLIANCE,
            lambda connection: figures.compliance(connection, _question(Dimension.TEAM)),
            lambda rows: {(row.group[0], row.tally.items, row.tally.met) for row in rows},
        ),
    }
    return {name: _beside(database, beside, *each) for name, each in asked.items()}


def _beside(
    database: Database, beside: Any, sql: str, call: Call, read: Callable[[Any], Any]
) -> dict[str, float]:
    """Time one report, and the scans that say the same."""
    # Every row is read, whatever index there is: that is what a scan means.
    scan = sql.replace("_fact WHERE", "_fact NOT INDEXED WHERE")
    with database.reading() as connection:
        answers = [read(call(connection)), _rows(connection, scan), set(beside.execute(sql).fetchall())]
    if any(each != answers[0] for each in answers):
        raise RuntimeError(f"the scans say something else: {answers}")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        beside.execute(sql).fetchall()
        seconds.append(time.perf_counter() - began)
    return {
        "ours_ms": _timed(database, call)["p50_ms"],
        "sqlite_ms": _timed(database, lambda connection: _rows(connection, scan), 3)["p50_ms"],
        "duckdb_ms": 1000 * sorted(seconds)[2],
    }


def _rows(connection: Connection, sql: str) -> set[Sequence[Any]]:
    return {tuple(row) for row in connection.exec_driver_sql(sql)}


def _columns_beside(database: Database) -> Any:
    """Copy the columns that the scans read into DuckDB, in memory."""
    beside = duckdb.connect()
    for table, columns in _COLUMNS.items():
        with database.reading() as connection:
            rows = connection.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        by_column = dict(zip(columns, zip(*rows, strict=True), strict=True))
        frame = {name: _array(name, values) for name, values in by_column.items()}
        beside.register("frame", frame)
        beside.execute(f"CREATE TABLE {table} AS SELECT * FROM frame")
        beside.unregister("frame")
    return beside


def _array(name: str, values: Sequence[Any]) -> Any:
    if not name.endswith("_time"):
        return np.array(values, dtype=object)
    absent = [value is None for value in values]
    return np.ma.masked_array([value or 0 for value in values], mask=absent, dtype="int64")


def _count(database: Database, table: str) -> int:
    with database.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())
