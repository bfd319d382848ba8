"""A year of finished handoffs and their clocks in the read model, summed: what a question is measured on.

The handoffs of one day are folded from events, and the sums counted by the code that counts them always.
The other days are that day again, so many days later: a whole number of days moves every sum with the facts
that it counts, so both are copied by the database itself.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from random import Random
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Table, text

from services.reports.consumers.lead_events import words_of
from services.reports.domain.agreements import AgreementKnown, CalendarKnown, TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.estimators import Outcome
from services.reports.domain.periods import Micros, first_of_month
from services.reports.domain.waits import bucket_key_of, goes_on, in_days
from services.reports.store.fold import ReadModel
from services.reports.store.rollups import group_id_of, unpacked
from services.reports.store.schema import DAY, MONTH, Tables
from smarketing.businesstime import Calendar
from smarketing.businesstime.calendar import Window
from smarketing.sql.rows import InsertRows
from tests.builders.long_log import life
from tests.builders.reports import TENANT, clock_event

_Row: TypeAlias = tuple[Any, ...]

__all__ = ["DAYS", "ZONE", "put_year"]

ZONE: Final = "Asia/Seoul"
DAYS: Final = 364
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_NAMED: Final = {"handoff", "clock", "opportunity", "offer", "step", "happening", "lead", "merged_into"}
"""Columns that name a handoff or what hangs on it."""
_BUCKET: Final = struct.Struct("<qqq")
_AGREEMENT: Final = f"{TENANT}/agreements/main/versions/1"
_CALENDAR: Final = "calendars/usual/versions/1"


def put_year(connection: Connection, tables: Tables, count: int, start: Micros) -> None:
    """Write `count` handoffs of a year from `start`, a clock each, and all their sums; to a day's worth."""
    _put_day(connection, tables, max(1, round(count / DAYS)), start)
    facts = [table for table in tables.read_model if _hangs_on_a_handoff(table)]
    # An index made at once of all that is there costs less than one kept row by row.
    indexes = [index for table in facts for index in table.indexes]
    for index in indexes:
        index.drop(connection)
    for table in facts:
        _copy_facts(connection, table)
    for table in tables.rollups:
        if table is tables.missed_rollup:
            _copy_misses(connection, table)
        else:
            _copy_sums(connection, table)
    for index in indexes:
        index.create(connection)


def _put_day(connection: Connection, tables: Tables, count: int, start: Micros) -> None:
    model = ReadModel(tables)
    model.fold_leads(connection, [TenantSet(TENANT, ZONE, "EUR")])
    hours = ((Window(9 * 3600, 18 * 3600),),) * 5 + ((),) * 2
    model.fold_sla(
        connection,
        [
            CalendarKnown(_CALENDAR, Calendar(zone=ZONE, hours=hours)),
            AgreementKnown(TENANT, _AGREEMENT, "active", _CALENDAR, start, ()),
        ],
    )
    model.fold_leads(connection, list(_words(count, start)))
    rows = connection.exec_driver_sql(
        "SELECT handoff, team, submit_time, first_follow_up_time FROM handoff_fact"
    )
    model.fold_sla(connection, list(chain.from_iterable(_clock(*row) for row in rows)))


def _words(count: int, start: Micros) -> Iterator[Any]:
    chance, spacing = Random(1), _DAY // count
    lives = (life(chance, number, start + number * spacing, few=True) for number in range(count))
    return iter(words_of(list(chain.from_iterable(lives))))


def _clock(handoff: str, team: str | None, submitted: Micros, followed: Micros | None) -> list[Any]:
    """Return what is told of the clock of the first follow-up, due after a day of hours."""
    number = int(handoff.split("/leads/l")[1].partition("/")[0])
    due = submitted + 24 * _HOUR

    def told(change: ClockChange, time: Micros, **said: Any) -> Any:
        return clock_event(
            change,
            time,
            number,
            handoff=handoff,
            agreement_version=_AGREEMENT,
            start_time=submitted,
            due_time=due,
            team=team,
            **said,
        )

    found = [told(ClockChange.STARTED, submitted)]
    if followed is not None and followed <= due:
        return [*found, told(ClockChange.MET, followed, elapsed=followed - submitted)]
    found.append(told(ClockChange.BREACHED, due))
    if followed is not None:
        found.append(told(ClockChange.STOPPED_LATE, followed, elapsed=followed - submitted))
    return found


def _hangs_on_a_handoff(table: Table) -> bool:
    return "grain" not in table.c and not _NAMED.isdisjoint(table.c.keys())


def _copy_facts(connection: Connection, table: Table) -> None:
    values = {name: _of_another_lead(name) for name in _NAMED & set(table.c.keys())}
    for name in table.c.keys():  # noqa: SIM118 -- a collection of columns, not a mapping
        if name.endswith(("_time", "_since")) or name == "time":
            values[name] = f"{name} + nth * {_DAY}"
        elif name.endswith("_day"):
            values[name] = f"{name} + nth"
    listed = ", ".join(values.get(name, f'"{name}"') for name in table.c.keys())  # noqa: SIM118 -- likewise
    days = f"WITH RECURSIVE days(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM days WHERE nth < {DAYS - 1})"
    base = f"(SELECT * FROM {table.name} ORDER BY 1)"
    connection.execute(text(f"INSERT INTO {table.name} {days} SELECT {listed} FROM days CROSS JOIN {base}"))


def _of_another_lead(column: str) -> str:
    return (
        f"replace(replace({column}, '/leads/l', '/leads/d' || printf('%03d', nth) || 'l'),"
        f" '/clocks/c', '/clocks/d' || printf('%03d', nth) || 'c')"
    )


def _copy_sums(connection: Connection, table: Table) -> None:
    """Write the sums of all days, and of the months, from those of the first."""
    names = list(table.c.keys())
    begin = names.index("items")
    by_group: dict[_Row, dict[int, _Row]] = defaultdict(dict)
    for row in connection.execute(table.select().where(table.c.grain == DAY)):
        tenant, anchor, _, day, group_id, _, *labels = row[:begin]
        by_group[tenant, anchor, group_id, *labels][day] = tuple(row[begin:])
    connection.execute(table.delete())
    insert, series_of = InsertRows(table), _waits_in_days if "buckets" in names else _counters_in_days
    for (tenant, anchor, group_id, *labels), series in by_group.items():
        rows: list[_Row] = []
        months: dict[int, list[_Row]] = defaultdict(list)
        in_month = _of_month if "buckets" in names else _as_it_is
        for day, counted in series_of(series):
            month = first_of_month(day)
            months[month].append(in_month(counted))
            rows.append((tenant, anchor, DAY, day, group_id, month, *labels, *counted))
        together = _buckets_together if "buckets" in names else _counters_together
        for month, parts in months.items():
            rows.append((tenant, anchor, MONTH, month, group_id, month, *labels, *together(parts)))
        insert.insert(connection, rows)


def _copy_misses(connection: Connection, table: Table) -> None:
    """Write the sums of missed clocks, which name the hours and add up the instants of those not done."""
    names = list(table.c.keys())
    begin = names.index("items")
    sums: dict[_Row, list[int]] = {}
    for row in connection.execute(table.select().where(table.c.grain == DAY)).all():
        tenant, anchor, _, day, _, _, *labels, bucket = row[:begin]
        items, *parts, number = row[begin:]
        for nth in range(DAYS):
            hour = int(bucket) + 24 * nth if anchor in ("owned", "undone") else bucket
            later = number + items * nth * 86_400 if anchor in ("routing", "offered") else number
            month = first_of_month(day + nth)
            group = (*labels, str(hour))
            for grain, on in ((DAY, day + nth), (MONTH, month)):
                key = (tenant, anchor, grain, on, group_id_of(group), month, *group)
                known = sums.setdefault(key, [0] * (len(parts) + 2))
                for at, more in enumerate((items, *parts, later)):
                    known[at] += more
    connection.execute(table.delete())
    InsertRows(table).insert(connection, [(*key, *counted) for key, counted in sums.items()])


def _counters_in_days(series: dict[int, _Row]) -> Iterator[tuple[int, _Row]]:
    """Yield what a group counts on each day: what the first day's handoffs did on the days before, in all."""
    first, last = min(series), max(series) + DAYS - 1
    width = len(next(iter(series.values())))
    held = [0] * width
    for day in range(first, last + 1):
        for number, part in ((1, series.get(day)), (-1, series.get(day - DAYS))):
            if part is not None:
                held = [known + number * more for known, more in zip(held, part, strict=True)]
        if held[0]:
            yield day, tuple(held)


def _counters_together(parts: Iterable[_Row]) -> _Row:
    return tuple(map(sum, zip(*parts, strict=True)))


def _waits_in_days(series: dict[int, _Row]) -> Iterator[tuple[int, _Row]]:
    for day in range(min(series), max(series) + DAYS):
        parts = [
            _later(series[began][-1], day - began) for began in sorted(series) if 0 <= day - began < DAYS
        ]
        if parts:
            yield day, _buckets_together((0, part) for part in parts)


def _later(packed: bytes, days: int) -> bytes:
    """Return buckets so many days later: those of who still waits are of other hours."""
    moved = (
        (key + 24 * days if bucket_key_of(key)[0] == Outcome.WAITING else key, number, micros)
        for key, number, micros in unpacked(packed)
    )
    return b"".join(_BUCKET.pack(*each) for each in moved)


def _as_it_is(counted: _Row) -> _Row:
    return counted


def _of_month(counted: _Row) -> _Row:
    """Return a day's buckets as a month keeps them: of those who still wait by the day of the start."""
    number, packed = counted
    parts = []
    for key, items, micros in unpacked(packed):
        whole, into = in_days(key) if goes_on([key]) else (key, 0)
        parts.append((number, _BUCKET.pack(whole, items, micros + items * into)))
    return _buckets_together(parts)


def _buckets_together(parts: Iterable[_Row]) -> _Row:
    merged: dict[int, list[int]] = {}
    for *_, packed in parts:
        for key, number, micros in unpacked(packed):
            sums = merged.setdefault(key, [0, 0])
            sums[0] += number
            sums[1] += micros
    held = b"".join(_BUCKET.pack(key, *merged[key]) for key in sorted(merged))
    return sum(number for number, _ in merged.values()), held
