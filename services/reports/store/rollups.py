"""Keeps sums by difference: what a fact was counted as is taken out, what it is counted as now is put in."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Table

from services.reports.domain.labels import Cell, Group
from services.reports.domain.periods import first_of_month
from services.reports.store.schema import DAY, MONTH
from smarketing.sql.rows import KeyedStatement, UpsertRows

__all__ = ["Changes", "Rollup", "WaitChanges", "WaitRollup", "by_amount", "by_marks"]

Changes: TypeAlias = defaultdict[tuple[Cell, int], int]
"""How many more items of a value each cell has; the value is a set of marks, or an amount."""

WaitChanges: TypeAlias = defaultdict[tuple[Cell, int, int], list[int]]
"""How many more items, and more of what they measure, each cell, outcome and bucket has."""

_KEY: Final = ("tenant", "anchor", "grain", "day", "group_id")
_WAIT_KEY: Final = (*_KEY, "outcome", "bucket")


class Rollup:
    """Writes one roll-up table. `counters_of` says what one item of a value adds to each counter."""

    def __init__(self, table: Table, counters_of: Callable[[int], tuple[int, ...]]) -> None:
        columns = [column.name for column in table.columns]
        first_counter = columns.index("items")
        self._counters_of = counters_of
        self._width = len(columns) - first_counter
        self._upsert = UpsertRows(
            table, key=_KEY, replace=columns[len(_KEY) : first_counter], add=columns[first_counter:]
        )
        self._delete_empty = _deleting_empty(table, _KEY)

    def post(self, connection: Connection, changes: Mapping[tuple[Cell, int], int]) -> None:
        """Add the changes to the days and months they belong to; a row that counts nothing is removed."""
        by_day: dict[Cell, list[int]] = {}
        for (cell, value), number in changes.items():
            if number:
                sums = by_day.get(cell)
                if sums is None:
                    sums = by_day[cell] = [0] * self._width
                for at, counter in enumerate(self._counters_of(value)):
                    sums[at] += number * counter
        if not by_day:
            return
        by_month: dict[Cell, list[int]] = {}
        for (tenant, anchor, day, group), sums in by_day.items():
            month = (tenant, anchor, first_of_month(day), group)
            known = by_month.get(month)
            by_month[month] = sums if known is None else [a + b for a, b in zip(known, sums, strict=True)]
        rows = [_row(cell, DAY, sums) for cell, sums in by_day.items() if any(sums)]
        rows += [_row(cell, MONTH, sums) for cell, sums in by_month.items() if any(sums)]
        rows.sort(key=_by_key)
        self._upsert.upsert(connection, rows)
        items = len(rows[0]) - self._width if rows else 0
        shrunk = [row[: len(_KEY)] for row in rows if row[items] < 0]
        if shrunk:
            self._delete_empty.run(connection, shrunk)


class WaitRollup:
    """Writes the roll-up of waiting times: like the others, with outcome and bucket beside the group."""

    def __init__(self, table: Table) -> None:
        labels = [column.name for column in table.columns][len(_WAIT_KEY) : -2]
        self._upsert = UpsertRows(table, key=_WAIT_KEY, replace=labels, add=["items", "micros"])
        self._delete_empty = _deleting_empty(table, _WAIT_KEY)

    def post(self, connection: Connection, changes: WaitChanges) -> None:
        """Add the changes to the days and months they belong to; a row that counts nothing is removed."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        for (cell, outcome, bucket), (items, micros) in changes.items():
            if not items and not micros:
                continue
            tenant, anchor, day, group = cell
            month, group_id = first_of_month(day), _group_id(group)
            for grain, at in ((DAY, day), (MONTH, month)):
                key = (tenant, anchor, grain, at, group_id, outcome, bucket, month, *group)
                sums = rows.get(key)
                if sums is None:
                    rows[key] = [items, micros]
                else:
                    sums[0] += items
                    sums[1] += micros
        width = len(_WAIT_KEY)
        written = [(*key, *sums) for key, sums in rows.items() if any(sums)]
        written.sort(key=lambda row: row[:width])
        self._upsert.upsert(connection, written)
        shrunk = [row[:width] for row in written if row[-2] < 0]
        if shrunk:
            self._delete_empty.run(connection, shrunk)


def _deleting_empty(table: Table, key: Sequence[str]) -> KeyedStatement:
    names, listed = ", ".join(key), ", ".join(f"k{number}" for number in range(len(key)))
    return KeyedStatement(
        [table.columns[name] for name in key],
        f"DELETE FROM {table.name} WHERE items = 0 AND ({names}) IN (SELECT {listed} FROM k)",  # noqa: S608 -- names of our own columns
    )


def by_marks(width: int) -> Callable[[int], tuple[int, ...]]:
    """Return the counters of a set of marks: the item itself, then each mark."""

    @cache
    def counters_of(marks: int) -> tuple[int, ...]:
        return (1, *((marks >> bit) & 1 for bit in range(width - 1)))

    return counters_of


def by_amount(amount: int) -> tuple[int, ...]:
    """Return the counters of an amount: the item itself, then the amount."""
    return (1, amount)


def _row(cell: Cell, grain: int, sums: list[int]) -> tuple[Any, ...]:
    tenant, anchor, day, group = cell
    return (tenant, anchor, grain, day, _group_id(group), first_of_month(day), *group, *sums)


def _by_key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[: len(_KEY)]


@lru_cache(maxsize=65_536)
def _group_id(group: Group) -> int:
    """Return 63 bits that are the same on every rebuild, whatever the order in which groups appear."""
    digest = hashlib.blake2b(repr(tuple(group)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
