"""Keeps sums by difference: what a fact was counted as is taken out, what it is counted as now is put in."""

import hashlib
import struct
import sys
from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
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
    "CounterPack",
    "Rollup",
    "WaitChanges",
    "WaitPlace",
    "WaitRollup",
    "by_amount",
    "by_marks",
    "unpacked",
]

Changes: TypeAlias = defaultdict[Cell, int]
"""How much more each cell counts: all its counters in one number, see `CounterPack`."""

WaitPlace: TypeAlias = tuple[str, Days, Labels]
"""Tenant, day and labels under which waits are counted."""

WaitChanges: TypeAlias = dict[WaitPlace, dict[int, int]]
"""For each place, by the key of a wait, how many more items and more of what they measure: see `ONE_ITEM`."""

ONE_ITEM: Final = 1 << 80
"""Sums of waits are one number each: so many items above this, the sum of what they measure below."""

_BELOW: Final = ONE_ITEM - 1
_KEY: Final = ("tenant", "anchor", "grain", "day", "group_id")


class CounterPack:
    """Counters side by side in one number, so that a fold adds to all of them at once: 64 bits each."""

    def __init__(self, width: int) -> None:
        self._struct = struct.Struct(f"<{width}q")
        # Added before and taken from each after, so that no negative counter borrows from the next.
        self._offset = sum(1 << (64 * at + 63) for at in range(width))

    def read(self, packed: int) -> tuple[int, ...]:
        """Return the counters, in their order."""
        shifted = (packed + self._offset) ^ self._offset
        return self._struct.unpack(shifted.to_bytes(self._struct.size, "little"))


class Rollup:
    """Writes one roll-up table."""

    def __init__(self, table: Table) -> None:
        columns = [column.name for column in table.columns]
        first_counter = columns.index("items")
        self._pack = CounterPack(len(columns) - first_counter)
        self._items = first_counter
        self._upsert = UpsertRows(
            table, key=_KEY, replace=columns[len(_KEY) : first_counter], add=columns[first_counter:]
        )
        self._delete_empty = _deleting_empty(table, _KEY)

    def post(self, connection: Connection, changes: Mapping[Cell, int]) -> None:
        """Add the changes to the days and months they belong to; a row that counts nothing is removed."""
        by_month: defaultdict[Cell, int] = defaultdict(int)
        rows: list[tuple[Any, ...]] = []
        for (tenant, anchor, day, group), packed in changes.items():
            if packed:
                month, group_id = first_of_month(day), _group_id(group)
                by_month[tenant, anchor, month, group] += packed
                rows.append((tenant, anchor, DAY, day, group_id, month, *group, *self._pack.read(packed)))
        for (tenant, anchor, month, group), packed in by_month.items():
            if packed:
                group_id = _group_id(group)
                rows.append((tenant, anchor, MONTH, month, group_id, month, *group, *self._pack.read(packed)))
        if not rows:
            return
        # Keys differ, so that no comparison ever comes to what stands behind them.
        rows.sort()
        self._upsert.upsert(connection, rows)
        shrunk = [row[: len(_KEY)] for row in rows if row[self._items] < 0]
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
                _add(rows.setdefault(by_month, {}), buckets)
        if not rows:
            return
        known = {tuple(key): packed for *key, packed in self._find.find(connection, rows)}
        written = [
            (*key, *rest[key], *_counted(known.get(key, b""), buckets)) for key, buckets in rows.items()
        ]
        written.sort()
        self._upsert.upsert(connection, written)
        emptied = [row[: len(_KEY)] for row in written if not row[-1]]
        if emptied:
            self._delete_empty.run(connection, emptied)


_Buckets: TypeAlias = dict[int, int]
_BUCKET: Final = struct.Struct("<qqq")


def unpacked(buckets: bytes) -> Iterator[tuple[int, int, int]]:
    """Return the key, the items and the sum of what they measure, of each bucket."""
    return cast("Iterator[tuple[int, int, int]]", _BUCKET.iter_unpack(buckets))


def _counted(packed: bytes, more: _Buckets) -> tuple[int, bytes]:
    """Return the items of all buckets, and the buckets, after more was added to some of them.

    They stay in their order and none holds nothing, so that equal sums make equal bytes. What does not
    change is moved, not looked at.
    """
    held = _numbers(packed)
    keys = held[::3]
    for key, change in sorted(more.items()):
        at = bisect_left(keys, key)
        known = at < len(keys) and keys[at] == key
        sums = change + (held[3 * at + 1] * ONE_ITEM + held[3 * at + 2] if known else 0)
        bucket = array("q", (key, sums >> 80, sums & _BELOW) if sums else ())
        if known or sums:
            held[3 * at : 3 * (at + known)] = bucket
        if known != bool(sums):
            keys[at : at + known] = bucket[:1]
    return sum(held[1::3]), _bytes(held)


def _numbers(packed: bytes) -> "array[int]":
    numbers = array("q", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _bytes(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _by_measure(waits: _Buckets) -> dict[str, _Buckets]:
    found: dict[str, _Buckets] = defaultdict(dict)
    for key, sums in waits.items():
        if sums:
            found[measure_of(key)][key] = sums
    return found


def _add(buckets: _Buckets, more: _Buckets) -> None:
    for key, sums in more.items():
        buckets[key] = buckets.get(key, 0) + sums


def _deleting_empty(table: Table, key: Sequence[str]) -> KeyedStatement:
    names, listed = ", ".join(key), ", ".join(f"k{number}" for number in range(len(key)))
    return KeyedStatement(
        [table.columns[name] for name in key],
        f"DELETE FROM {table.name} WHERE items = 0 AND ({names}) IN (SELECT {listed} FROM k)",  # noqa: S608 -- names of our own columns
    )


@lru_cache(maxsize=65_536)
def by_marks(marks: int) -> int:
    """Return what an item adds to its cell: one, and one to the counter of each of its marks."""
    return sum(1 << (64 * (bit + 1)) for bit in range(marks.bit_length()) if marks >> bit & 1) + 1


def by_amount(amount: int) -> int:
    """Return what an item adds to its cell: one, and its amount to the only other counter."""
    return 1 + (amount << 64)


@lru_cache(maxsize=65_536)
def _group_id(group: Group) -> int:
    """Return 63 bits that are the same on every rebuild, whatever the order in which groups appear."""
    digest = hashlib.blake2b(repr(tuple(group)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
