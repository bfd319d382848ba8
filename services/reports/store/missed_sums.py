"""Reads sums of missed clocks: how many, whose their time was, by how much they were late.

The cost is that of the sums' rows in the period, and of the hours since which somebody still waits.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection

from services.reports.domain.clocks import DUE
from services.reports.domain.delays import PARTS
from services.reports.domain.estimators import Outcome
from services.reports.domain.misses import HOUR_SECONDS, MISS_COUNTERS, MissKind
from services.reports.domain.periods import Micros
from services.reports.store.calendars import OpenTimes
from services.reports.store.queries import GroupKey, Queries, Question

__all__ = ["MOST_SINGLE_MISSES", "MissedSums"]

MOST_SINGLE_MISSES: Final = 1000
"""So many missed clocks of a period are read one by one; of more, sums are."""

_SECOND: Final = 1_000_000
_SOURCE, _ROUTING, _OFFERED, _OWNER, _CLOSED, _PAUSED = range(len(PARTS))
_OPEN_ENDED: Final = {MissKind.ROUTING: _ROUTING, MissKind.OFFERED: _OFFERED}


class _Row(NamedTuple):
    group: GroupKey
    agreement_version: str
    kind: MissKind
    bucket: int
    items: int
    parts: tuple[int, ...]
    number: int

    @property
    def time(self) -> Micros:
        """The mean instant, where the bucket is an hour."""
        return (self.bucket * HOUR_SECONDS + self.number // self.items) * _SECOND


class MissedSums:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._table = queries.tables.missed_rollup

    def never_served(self, connection: Connection, question: Question) -> dict[GroupKey, tuple[int, int]]:
        """Return for each group how many missed clocks are not done, and how many there are."""
        table = self._queries.tables.clock_rollup
        where = [table.c.parties.contains(f",{question.party},")] if question.party else []
        sums = self._queries.sums(
            connection, question, table, [DUE], counters=("unserved", "breached"), where=where
        )
        return {group: (undone, missed) for (_, group), (undone, missed) in sums.items() if missed}

    def number(self, connection: Connection, question: Question) -> int:
        """Return how many clocks of the period were missed."""
        return sum(missed for _, missed in self.never_served(connection, question).values())

    def late_by(
        self, connection: Connection, question: Question
    ) -> dict[GroupKey, list[tuple[Micros, Outcome, int]]]:
        """Return for each group how late clocks were, or are by now, as an estimator takes it."""
        found: dict[GroupKey, list[tuple[Micros, Outcome, int]]] = defaultdict(list)
        for row in self._rows(connection, question, MissKind.LATE, MissKind.UNDONE):
            if row.kind is MissKind.LATE:
                late = row.number * _SECOND // row.items
                found[row.group].append((late, Outcome.ANSWERED, row.items))
            else:
                found[row.group].append((question.now - row.time, Outcome.WAITING, row.items))
        return dict(found)

    def parts(self, connection: Connection, question: Question) -> dict[GroupKey, list[int]]:
        """Return for each group the seconds of each part of a delay."""
        open_times = OpenTimes(connection, self._queries.tables)
        found: dict[GroupKey, list[int]] = defaultdict(lambda: [0] * len(PARTS))
        for row in self._rows(connection, question, *_OPEN_ENDED, MissKind.LATE, MissKind.OWNED):
            lengths = _until_now(row, question.now, open_times)
            found[row.group] = [a + b for a, b in zip(found[row.group], lengths, strict=True)]
        return dict(found)

    def _rows(self, connection: Connection, question: Question, *kinds: MissKind) -> Iterator[_Row]:
        table = self._table
        where = [table.c.parties.contains(f",{question.party},")] if question.party else []
        sums = self._queries.sums(
            connection,
            question,
            table,
            [kind.value for kind in kinds],
            counters=MISS_COUNTERS,
            where=where,
            extra=(table.c.agreement_version, table.c.bucket),
        )
        for (kind, key), (items, *parts, number) in sums.items():
            bucket = int(key[-1] or 0)
            yield _Row(key[:-2], key[-2] or "", MissKind(kind), bucket, items, tuple(parts), number)


def _until_now(row: _Row, now: Micros, open_times: OpenTimes) -> list[int]:
    lengths = list(row.parts)
    if row.kind in _OPEN_ENDED:
        lengths[_OPEN_ENDED[row.kind]] += max(0, row.items * (now // _SECOND) - row.number)
    elif row.kind is MissKind.OWNED:
        openings, began = open_times[row.agreement_version], min(row.time, now)
        whole = row.items * (now - began) // _SECOND
        worked = whole
        if openings is not None:
            worked = row.items * openings.between_us(began, now) // _SECOND
        paused = min(lengths[_PAUSED], worked)
        lengths[_OWNER], lengths[_CLOSED], lengths[_PAUSED] = worked - paused, whole - worked, paused
    return lengths
