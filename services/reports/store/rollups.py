"""Keeps sums by difference: what a fact was counted as is taken out, what it is counted as now is put in."""

import hashlib
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import Connection, Table

from services.reports.domain.labels import Cell, Group, Labels
from services.reports.domain.periods import Days, first_of_month
from services.reports.domain.waits import measure_of
from services.reports.store.schema import DAY, MONTH
from smarketing.sql.rows import FindRows, KeyedStatement, UpsertRows

__all__ = [
    "ONE_ITEM",
    "Changes",
    "Rollup",
    "WaitChanges",
    "WaitPlace",
    "WaitRollup",
    "by_amount",
    "by_marks",
    "unpacked",
]

Changes: TypeAlias = defaultdict[tuple[Cell, int], int]
"""How many more items of a value each cell has; the value is a set of marks, or an amount."""

WaitPlace: TypeAlias = tuple[str, Days, Labels]
"""Tenant, day and labels under which waits are counted."""

WaitChanges: TypeAlias = dict[WaitPlace, dict[int, int]]
"""For each place, by the key of a wait, how many more items and more of what they measure: see `ONE_ITEM`."""

ONE_ITEM: Final = 1 << 80
"""Sums of waits are one number each: so many items above this, the sum of what they measure below."""

_KEY: Final = ("tenant", "anchor", "grain", "day", "group_id")


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
    """Writes the roll-up of waiting times: one row a cell, with all its buckets packed into one value.

    A row a bucket would be as many rows as handoffs, and cost the fold four fifths of its pace.
    """

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        self._find = FindRows(table, key=_KEY, columns=[*_KEY, "buckets"])
        self._upsert = UpsertRows(table, key=_KEY, replace=names[len(_KEY) :])
        self._delete_empty = _deleting_empty(table, _KEY)

    def post(self, connection: Connection, changes: WaitChanges) -> None:
        """Add the changes to the days and months they belong to; a row that counts nothing is removed."""
        rows: dict[tuple[Any, ...], _Buckets] = {}
        rest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for (tenant, day, group), more in changes.items():
            month, group_id = first_of_month(day), _group_id(group)
            for measure, buckets in _by_measure(more).items():
                by_day = (tenant, measure, DAY, day, group_id)
                by_month = (tenant, measure, MONTH, month, group_id)
                rest[by_day] = rest[by_month] = (month, *group)
                # A place is one day's: nothing else is added to it here.
                rows[by_day] = buckets
                _add(rows.setdefault(by_month, {}), buckets.items())
        for *known, packed in self._find.find(connection, rows):
            _add(rows[tuple(known)], _sums_of(packed))
        written = [
            (*key, *rest[key], sum(sums >> 80 for sums in buckets.values()), _packed(buckets))
            for key, buckets in rows.items()
        ]
        written.sort(key=_by_key)
        self._upsert.upsert(connection, written)
        emptied = [row[: len(_KEY)] for row in written if not row[-1]]
        if emptied:
            self._delete_empty.run(connection, emptied)


_Buckets: TypeAlias = dict[int, int]
_BUCKET: Final = struct.Struct("<qqq")


def unpacked(buckets: bytes) -> Iterator[tuple[int, int, int]]:
    """Return the key, the items and the sum of what they measure, of each bucket."""
    return cast("Iterator[tuple[int, int, int]]", _BUCKET.iter_unpack(buckets))


def _sums_of(buckets: bytes) -> Iterator[tuple[int, int]]:
    return ((key, items * ONE_ITEM + micros) for key, items, micros in unpacked(buckets))


def _packed(buckets: _Buckets) -> bytes:
    """Return the buckets in their order, those that hold nothing left out: equal sums make equal bytes."""
    below = ONE_ITEM - 1
    held = [
        part for key in sorted(buckets) if (sums := buckets[key]) for part in (key, sums >> 80, sums & below)
    ]
    return struct.pack(f"<{len(held)}q", *held)


def _by_measure(waits: _Buckets) -> dict[str, _Buckets]:
    found: dict[str, _Buckets] = defaultdict(dict)
    for key, sums in waits.items():
        if sums:
            found[measure_of(key)][key] = sums
    return found


def _add(buckets: _Buckets, more: Iterable[tuple[int, int]]) -> None:
    for key, sums in more:
        buckets[key] = buckets.get(key, 0) + sums


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
