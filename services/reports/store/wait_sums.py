"""Reads waits from the sums that hold them: as many numbers as buckets, however many handoffs there are.

The sums of a month tell the day on which those who still wait began, those of a day the hour. So months are
read where a day is little beside the time since submission, one part in 32 of it, and days where somebody
may be younger. A wait that began later than its handoff, at an offer or a stage, is told by the middle of
the UTC day on which it began: what still goes on of it may be off by up to a day, once it is that old.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection

from services.reports.domain.estimators import Outcome
from services.reports.domain.periods import Micros, Period, first_of_month
from services.reports.domain.responses import Measure
from services.reports.domain.waits import HOUR, bucket_key_of
from services.reports.store.queries import GroupKey, Queries, Question
from services.reports.store.rollups import unpacked

__all__ = ["CountedWait", "WaitSums"]

_DAYS_AS_DAYS: Final = 32
_BEGINNING: Final = 1
_END: Final = date.max.toordinal()
_SUM: Final = 80
_BELOW: Final = (1 << _SUM) - 1

_Cells: TypeAlias = dict[tuple[GroupKey, str | None], dict[int, int]]
"""By group and version of the agreement, and by the key of a wait: the number above, the sum below."""


class CountedWait(NamedTuple):
    """So many waits of about the same length or beginning."""

    group: GroupKey
    agreement_version: str | None
    outcome: int
    duration: Micros
    """Of those that ended."""
    began: Micros | None
    """Of those that go on."""
    number: int


class WaitSums:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._table = queries.tables.waiting_rollup

    def read(self, connection: Connection, question: Question, of: Measure) -> Iterator[CountedWait]:
        """Yield the waits of the period."""
        days = self._queries.days(connection, question.tenant)
        asked = question.period or Period(_BEGINNING, _END)
        boundary = max(asked.first, first_of_month(days.day_of(question.now) - _DAYS_AS_DAYS))
        old = asked.before(boundary)
        if old is not None:
            yield from self._read(connection, replace(question, period=old), of, in_days=False)
        if boundary < asked.last:
            young = Period(boundary, asked.last)
            yield from self._read(connection, replace(question, period=young), of, in_days=True)

    def _read(
        self, connection: Connection, question: Question, of: Measure, *, in_days: bool
    ) -> Iterator[CountedWait]:
        # Days of a period that are no whole month are told by the hour there as well.
        for period, fine in [(question.period, True)] if in_days else _parts(question.period):
            cells = self._merged(connection, replace(question, period=period), of, in_days=fine)
            width = HOUR if fine else 24 * HOUR
            for (group, version), buckets in cells.items():
                for key, sums in buckets.items():
                    number, micros = sums >> _SUM, sums & _BELOW
                    outcome, bucket = bucket_key_of(key)
                    mean = micros // number
                    began = bucket * width + mean if outcome == Outcome.WAITING else None
                    yield CountedWait(group, version, outcome, mean, began, number)

    def _merged(self, connection: Connection, question: Question, of: Measure, *, in_days: bool) -> _Cells:
        table = self._table
        merged: _Cells = {}
        cells = self._queries.cells(
            connection,
            question,
            table,
            of.value,
            (table.c.agreement_version, table.c.buckets),
            in_days=in_days,
        )
        for group, (version, packed) in cells:
            known = merged.setdefault((group, version), {})
            before = known.get
            for key, number, micros in unpacked(packed):
                known[key] = before(key, 0) + (number << _SUM) + micros
        return merged


def _parts(period: Period | None) -> Iterator[tuple[Period | None, bool]]:
    for span in () if period is None else period.spans():
        yield Period(span.first, span.last), not span.whole_months
