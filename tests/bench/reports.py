"""Every report at a million handoffs, beside the same figures from a scan of all of them.

The scans read the facts, in SQLite as they lie in our own file and in DuckDB as columns of it, and count
what the answer says; where they say anything else, the bench fails. BENCH_HANDOFFS says how many there are.
"""

import gc
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
from sqlalchemy import Connection, MetaData, create_engine
from sqlalchemy.pool import StaticPool

from services.reports.domain.errors import BasisRequired
from services.reports.domain.estimators import Outcome, estimate_counted
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period, micros_of
from services.reports.domain.reports import REPORTS, Section
from services.reports.store.figures import Figures
from services.reports.store.queries import Queries, Question
from services.reports.store.schema import Tables, define_tables
from smarketing.sql import Database, open_database
from smarketing.sql.engine import sqlite_driver
from tests.builders.long_year import put_year
from tests.builders.reports import TENANT

__all__ = ["reports"]

HANDOFFS = int(os.environ.get("BENCH_HANDOFFS", "1000000"))
CALLS = 200
PATIENCE_SECONDS = 10.0
GOAL_MS = 50.0
GOAL_TO_SCAN = 100.0
START = datetime(2025, 1, 6, tzinfo=UTC)
NOW = datetime(2026, 2, 2, tzinfo=UTC)
# Midnights in Seoul, which sets no clock forward or back.
FIRST = datetime(2025, 3, 31, 15, tzinfo=UTC)
LAST = datetime(2025, 6, 30, 15, tzinfo=UTC)
QUARTER = Period.of(datetime(2025, 4, 1, tzinfo=UTC).date(), datetime(2025, 7, 1, tzinfo=UTC).date())

_SPEED = "speed to lead (S11) alone"

Call = Callable[[Connection], Any]
Results = dict[str, Any]

_REACHED = "accept_time, first_follow_up_time, qualify_time, convert_time, won_time, lost_time"
_WITHIN = f"BETWEEN {micros_of(FIRST)} AND {micros_of(LAST) - 1}"
_FUNNEL = (
    f"SELECT source, count(*), count(coalesce({_REACHED}, disqualify_time, recycle_time)), count(won_time)"
    f" FROM handoff_fact WHERE submit_time {_WITHIN} GROUP BY source"
)
_WHOLE_FUNNEL = _FUNNEL.replace("SELECT source, ", "SELECT ").replace(" GROUP BY source", "")
_COMPLIANCE = (
    "SELECT team, count(*), sum(CASE WHEN state = 'met' THEN 1 ELSE 0 END)"
    f" FROM clock_fact WHERE due_time {_WITHIN} GROUP BY team"
)
_WHOLE_COMPLIANCE = _COMPLIANCE.replace("team", "commitment_id")
_LEFT = "coalesce(reject_time, disqualify_time, recycle_time, lost_time)"
_ENDS = (
    "CASE WHEN first_follow_up_time IS NOT NULL THEN first_follow_up_time"
    f" WHEN {_LEFT} IS NOT NULL THEN {_LEFT} ELSE {micros_of(NOW)} END"
)
_HOW = f"CASE WHEN first_follow_up_time IS NOT NULL THEN 0 WHEN {_LEFT} IS NOT NULL THEN 1 ELSE 2 END"
# How long handoffs waited for a follow-up, and how each waiting ended: what the estimate is made from.
_WAITS = (
    f"SELECT wait, how, count(*) FROM (SELECT {_ENDS} - coalesce(inquire_time, submit_time) AS wait,"
    f" {_HOW} AS how FROM handoff_fact WHERE submit_time {_WITHIN}) AS waits GROUP BY wait, how"
)
_COLUMNS = {
    "handoff_fact": [
        *("source", "submit_time", *_REACHED.split(", "), "disqualify_time", "recycle_time"),
        *("inquire_time", "reject_time"),
    ],
    "clock_fact": ["team", "commitment_id", "due_time", "state"],
}


def reports() -> Results:
    """Each report of a quarter, at a year of handoffs in the read model."""
    tables = define_tables(MetaData())
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reports.db"
        filled = _fill(path, tables)
        database = open_database(f"sqlite:///{path}", check=False)
        try:
            return _measured(database, tables, filled)
        finally:
            database.close()


def _fill(path: Path, tables: Tables) -> float:
    """Write the year and return the seconds; no journal is kept, for a bench that is cut off is run again."""
    began = time.perf_counter()
    engine = create_engine(f"sqlite:///{path}", module=sqlite_driver(), poolclass=StaticPool)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144"):
        with engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA {pragma}")
    with engine.begin() as connection:
        tables.metadata.create_all(connection, checkfirst=False)
        put_year(connection, tables, HANDOFFS, micros_of(START))
    engine.dispose()
    return time.perf_counter() - began


def _measured(database: Database, tables: Tables, filled: float) -> Results:
    # As a service does once it is started: what made the year up is not looked through meanwhile.
    gc.collect()
    gc.freeze()
    try:
        return _asked_of(database, tables, filled)
    finally:
        gc.unfreeze()


def _asked_of(database: Database, tables: Tables, filled: float) -> Results:
    figures = Figures(Queries(tables))
    seen = {name: _timed(database, call) for name, call in _calls(figures).items()}
    kpis = _kpis(database, figures)
    scans = _scans(database, figures)
    worst = sorted(kpis, key=lambda kpi: -kpis[kpi])[:12]
    rows = {name: _count(database, name) for name in ("handoff_fact", "tally_rollup", "waiting_rollup")}
    lines = [f"{rows}, written and counted in {filled:.0f} s; questions of a quarter, up to {CALLS} each"]
    for name, of in seen.items():
        scan = scans.get(name)
        beside = (
            f"   scan in SQLite {scan['sqlite_ms']:>8.1f} ms, in DuckDB {scan['duckdb_ms']:>8.1f} ms"
            if scan
            else ""
        )
        lines.append(f"{name:28} p50 {of['p50_ms']:>8.2f} ms   p99 {of['p99_ms']:>8.2f} ms{beside}")
    over = sum(median > GOAL_MS for median in kpis.values())
    named = ", ".join(f"{kpi} {kpis[kpi]:.1f}" for kpi in worst)
    lines.append(
        f"{len(kpis)} figures, {over} of them over {GOAL_MS:.0f} ms; the slowest, median in ms: {named}"
    )
    return {
        "reports": seen,
        "kpis": kpis,
        "scans": scans,
        "lines": lines,
        "ratios": {
            "fifty_ms_to_the_slowest": GOAL_MS / max(of["p99_ms"] for of in seen.values()),
            "fifty_ms_to_the_slowest_figure": GOAL_MS / max(kpis.values()),
            "least_to_scan_in_sqlite": min(of["sqlite_ms"] / of["ours_ms"] for of in scans.values()),
            "least_to_scan_in_duckdb": min(of["duckdb_ms"] / of["ours_ms"] for of in scans.values()),
        },
        "goals": {
            "fifty_ms_to_the_slowest": 1.0,
            "fifty_ms_to_the_slowest_figure": 1.0,
            "least_to_scan_in_sqlite": GOAL_TO_SCAN,
        },
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
        _SPEED: lambda connection: figures.query(connection, "S11", _question(), None),
    } | {matter.value: partial(_report, figures, sections) for matter, sections in REPORTS.items()}


def _report(figures: Figures, sections: Sequence[Section], connection: Connection) -> None:
    figures.report(connection, _question(), sections)


def _kpis(database: Database, figures: Figures) -> dict[str, float]:
    """Ask every figure of the quarter five times; return the median of each."""
    asked = {kpi_id: partial(_asked, figures, kpi_id) for kpi_id in KPIS}
    return {kpi_id: _timed(database, call, 5, 1.0)["p50_ms"] for kpi_id, call in asked.items()}


def _asked(figures: Figures, kpi_id: str, connection: Connection) -> None:
    try:
        figures.query(connection, kpi_id, _question(), None)
    except BasisRequired:
        figures.query(connection, kpi_id, _question(), Basis.COHORT)


def _timed(
    database: Database, call: Call, calls: int = CALLS, patience: float = PATIENCE_SECONDS
) -> dict[str, float]:
    """Ask so often, once the file's pages are read, and no longer than a slow call deserves."""
    seconds: list[float] = []
    with database.reading() as connection:
        call(connection)
    while len(seconds) < calls and sum(seconds) < patience:
        began = time.perf_counter()
        with database.reading() as connection:
            call(connection)
        seconds.append(time.perf_counter() - began)
    ordered = sorted(seconds)
    number = len(ordered)
    return {"p50_ms": 1000 * ordered[number // 2], "p99_ms": 1000 * ordered[int(number * 0.99)]}


def _scans(database: Database, figures: Figures) -> dict[str, dict[str, float]]:
    beside = _columns_beside(database)
    asked: dict[str, tuple[str, Call, Callable[[Any], Any]]] = {
        "funnel by source": (
            _FUNNEL,
            lambda connection: figures.funnel(connection, _question(Dimension.SOURCE), Basis.COHORT),
            lambda rows: {(row.group[0], row.tally.items, row.tally.accepted, row.tally.won) for row in rows},
        ),
        "funnel": (
            _WHOLE_FUNNEL,
            lambda connection: figures.funnel(connection, _question(), Basis.COHORT),
            lambda rows: {(row.tally.items, row.tally.accepted, row.tally.won) for row in rows},
        ),
        "compliance": (
            _WHOLE_COMPLIANCE,
            lambda connection: figures.compliance(connection, _question()),
            lambda rows: {(row.group[0], row.tally.items, row.tally.met) for row in rows},
        ),
        "compliance by team": (
            _COMPLIANCE,
            lambda connection: figures.compliance(connection, _question(Dimension.TEAM)),
            lambda rows: {(row.group[0], row.tally.items, row.tally.met) for row in rows},
        ),
    }
    found = {name: _beside(database, beside, *each) for name, each in asked.items()}
    return found | {_SPEED: _waits_beside(database, beside, figures)}


def _waits_beside(database: Database, beside: Any, figures: Figures) -> dict[str, float]:
    """Time one of the three measures and its scan; the median may differ by what a bucket is wide."""
    scan = _WAITS.replace("_fact WHERE", "_fact NOT INDEXED WHERE")
    with database.reading() as connection:
        ours = figures.query(connection, "S11", _question(), None)[0].figure.duration or 0
    for rows in (_in_sqlite(database, scan), set(beside.execute(_WAITS).fetchall())):
        curve = estimate_counted((wait, Outcome(ended), number) for wait, ended, number in rows)
        exact = curve.quantile(0.5) or 0
        if abs(ours - exact) > exact / 32:
            raise RuntimeError(f"the scan says {exact}, we say {ours}")
    return {
        "ours_ms": _timed(database, lambda connection: figures.query(connection, "S11", _question(), None))[
            "p50_ms"
        ],
        **_scan_times(database, beside, _WAITS, scan),
    }


def _in_sqlite(database: Database, sql: str) -> set[Sequence[Any]]:
    with database.reading() as connection:
        return _rows(connection, sql)


def _scan_times(database: Database, beside: Any, sql: str, scan: str) -> dict[str, float]:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        beside.execute(sql).fetchall()
        seconds.append(time.perf_counter() - began)
    return {
        "sqlite_ms": _timed(database, lambda connection: _rows(connection, scan), 3)["p50_ms"],
        "duckdb_ms": 1000 * sorted(seconds)[2],
    }


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
    return {"ours_ms": _timed(database, call)["p50_ms"], **_scan_times(database, beside, sql, scan)}


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
