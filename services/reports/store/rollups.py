"""Keeps sums by difference: what a fact was counted as is taken out, what it is counted as now is put in."""

import hashlib
import struct
import sys
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import Connection, Table

from services.reports.domain.labels import Group, Labels
from services.reports.domain.periods import Days, first_of_month
from services.reports.domain.waits import goes_on, in_days, measure_of
from services.reports.store.schema import DAY, MONTH
from smarketing.sql.rows import FindRows, KeyedStatement, UpsertRows

__all__ = [
    "ONE_ITEM",
    "Buckets",
    "CounterPack",
    "Place",
    "Rollup",
    "Sums",
    "WaitRollup",
    "by_amount",
    "by_counters",
    "by_marks",
    "group_id_of",
    "unpacked",
]

Sums: TypeAlias = defaultdict[tuple[Any, ...], int]
"""By anchor, day and what else a roll-up tells apart, how much more is counted: see `CounterPack`."""

Buckets: TypeAlias = dict[int, int]
"""By the key of a wait, how many more items and more of what they measure: see `ONE_ITEM`."""

ONE_ITEM: Final = 1 << 80
"""Sums of waits are one number each: so many items above this, the sum of what they measure below."""

_BELOW: Final = ONE_ITEM - 1
_HALF: Final = ONE_ITEM >> 1
_KEY: Final = ("tenant", "anchor", "grain", "day", "group_id")


class Place:
    """What changes of a tenant's sums under some labels, for each roll-up."""

    __slots__ = (
        "amounts",
        "clocks",
        "handoffs",
        "labels",
        "misses",
        "offers",
        "reasons",
        "tallies",
        "tenant",
        "waits",
    )

    def __init__(self, tenant: str, labels: Labels) -> None:
        self.tenant = tenant
        self.labels = labels
        self.handoffs: Sums = defaultdict(int)
        self.amounts: Sums = defaultdict(int)
        self.reasons: Sums = defaultdict(int)
        self.clocks: Sums = defaultdict(int)
        self.misses: Sums = defaultdict(int)
        self.offers: Sums = defaultdict(int)
        self.tallies: Sums = defaultdict(int)
        self.waits: dict[tuple[Days, str | None], Buckets] = {}
        """By day and, where its calendar is needed, the version of the agreement."""

    @property
    def sums(self) -> tuple[Sums, ...]:
        """All but the waits."""
        return (
            *(self.handoffs, self.amounts, self.reasons, self.clocks),
            *(self.misses, self.offers, self.tallies),
        )

    def __len__(self) -> int:
        """Say how many sums there are."""
        return sum(map(len, self.sums)) + sum(map(len, self.waits.values()))

    def count_days(self, counts: Counter[Days]) -> None:
        """Add how many sums each day has."""
        for sums in self.sums:
            counts.update([key[1] for key in sums])
        for (day, _), buckets in self.waits.items():
            counts[day] += len(buckets)

    def split(self, boundary: Days) -> "Place":
        """Take the sums of the days before `boundary` out, and return them."""
        old = Place(self.tenant, self.labels)
        for sums, past in zip(self.sums, old.sums, strict=True):
            for key in [key for key in sums if key[1] < boundary]:
                past[key] = sums.pop(key)
        for key in [key for key in self.waits if key[0] < boundary]:
            old.waits[key] = self.waits.pop(key)
        return old


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

    def post(self, connection: Connection, places: Iterable[tuple[Place, Sums]]) -> None:
        """Add the sums to the days and months they belong to; a row that counts nothing is removed."""
        rows: list[tuple[Any, ...]] = []
        for place, sums in places:
            by_month: Sums = defaultdict(int)
            for key, packed in sums.items():
                if packed:
                    rows.append(self._row(place, DAY, first_of_month(key[1]), key, packed))
                    by_month[key[0], first_of_month(key[1]), *key[2:]] += packed
            months = ((key, packed) for key, packed in by_month.items() if packed)
            rows += [self._row(place, MONTH, key[1], key, packed) for key, packed in months]
        if not rows:
            return
        # Keys differ, so that no comparison ever comes to what stands behind them.
        rows.sort()
        self._upsert.upsert(connection, rows)
        shrunk = [row[: len(_KEY)] for row in rows if row[self._items] < 0]
        if shrunk:
            self._delete_empty.run(connection, shrunk)

    def _row(
        self, place: Place, grain: int, month: Days, key: tuple[Any, ...], packed: int
    ) -> tuple[Any, ...]:
        group = (*place.labels, *key[2:])
        counters = self._pack.read(packed)
        return (place.tenant, key[0], grain, key[1], group_id_of(group), month, *group, *counters)


class WaitRollup:
    """Writes the roll-up of waiting times: one row a cell, with all its buckets packed into one value.

    A row a bucket would be as many rows as handoffs, and cost the fold four fifths of its pace. Who still
    waits is kept by the hour of the start in the row of a day, and by its day in that of a month.
    """

    def __init__(self, table: Table) -> None:
        names = [column.name for column in table.columns]
        self._find = FindRows(table, key=_KEY, columns=[*_KEY, "buckets"])
        self._upsert = UpsertRows(table, key=_KEY, replace=names[len(_KEY) :])
        self._delete_empty = _deleting_empty(table, _KEY)

    def post(
        self,
        connection: Connection,
        places: Iterable[tuple[Place, Mapping[tuple[Days, str | None], Buckets]]],
    ) -> None:
        """Add the waits to the days and months they belong to; a row that counts nothing is removed."""
        rows: dict[tuple[Any, ...], Buckets] = {}
        rest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for place, waits in places:
            tenant, plain = place.tenant, (*place.labels, None)
            plain_id = group_id_of(plain)
            for (day, version), more in waits.items():
                month = first_of_month(day)
                group: Group = plain
                group_id = plain_id
                if version is not None:
                    group = (*place.labels, version)
                    group_id = group_id_of(group)
                for measure, buckets in _by_measure(more).items():
                    by_day = (tenant, measure, DAY, day, group_id)
                    by_month = (tenant, measure, MONTH, month, group_id)
                    rest[by_day] = rest[by_month] = (month, *group)
                    # A place is the only one of its day: nothing else is added to it here.
                    rows[by_day] = buckets
                    _add(rows.setdefault(by_month, {}), _by_days(buckets))
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


_BUCKET: Final = struct.Struct("<qqq")


def unpacked(buckets: bytes) -> Iterator[tuple[int, int, int]]:
    """Return the key, the items and the sum of what they measure, of each bucket."""
    return cast("Iterator[tuple[int, int, int]]", _BUCKET.iter_unpack(buckets))


def _counted(packed: bytes, more: Buckets) -> tuple[int, bytes]:
    """Return the items of all buckets, and the buckets, after more was added to some of them.

    They stay in their order and none holds nothing, so that equal sums make equal bytes.
    """
    if len(more) * _BUCKET.size < len(packed):
        return _changed_in_place(packed, more)
    return _merged(packed, more)


def _merged(packed: bytes, more: Buckets) -> tuple[int, bytes]:
    """Put all buckets together anew."""
    sums = {key: items * ONE_ITEM + micros for key, items, micros in unpacked(packed)}
    _add(sums, more)
    numbers = [
        number for key, each in sorted(sums.items()) if each for number in (key, each >> 80, each & _BELOW)
    ]
    return sum(numbers[1::3]), struct.pack(f"<{len(numbers)}q", *numbers)


def _changed_in_place(packed: bytes, more: Buckets) -> tuple[int, bytes]:
    """Change some of many buckets: what does not change is moved, not looked at."""
    numbers = _numbers(packed)
    keys = numbers[::3]
    for key, change in more.items():
        at = bisect_left(keys, key)
        known = at < len(keys) and keys[at] == key
        sums = change + (numbers[3 * at + 1] * ONE_ITEM + numbers[3 * at + 2] if known else 0)
        bucket = array("q", (key, sums >> 80, sums & _BELOW) if sums else ())
        if known or sums:
            numbers[3 * at : 3 * (at + known)] = bucket
        if known != bool(sums):
            keys[at : at + known] = bucket[:1]
    return sum(numbers[1::3]), _bytes(numbers)


def _numbers(packed: bytes) -> "array[int]":
    numbers = array("q", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _bytes(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _by_measure(waits: Buckets) -> dict[str, Buckets]:
    found: dict[str, Buckets] = defaultdict(dict)
    for key, sums in waits.items():
        if sums:
            found[measure_of(key)][key] = sums
    return found


def _add(buckets: Buckets, more: Buckets) -> None:
    if not buckets:
        buckets.update(more)
        return
    known = buckets.get
    for key, sums in more.items():
        buckets[key] = known(key, 0) + sums


def _by_days(more: Buckets) -> Buckets:
    """Return the buckets of a day as those of a month are: with the day in the place of the hour."""
    found = dict(more)
    for key, sums in [(key, found.pop(key)) for key in goes_on(more)]:
        whole, into = in_days(key)
        # Rounded, for a sum that is taken out counts down on both sides.
        found[whole] = found.get(whole, 0) + sums + into * (sums + _HALF >> 80)
    return found


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


def by_counters(*counters: int) -> int:
    """Return what an item adds to its cell: so much to each counter, in their order."""
    return sum(counter << (64 * at) for at, counter in enumerate(counters))


@lru_cache(maxsize=65_536)
def group_id_of(group: Group) -> int:
    """Return 63 bits that are the same on every rebuild, whatever the order in which groups appear."""
    digest = hashlib.blake2b(repr(tuple(group)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
