"""Reads by how much missed clocks were late, and how many were never done: as many rows as buckets.

Of few missed clocks every one is read. Of many, the database counts them by the minute up to four hours, and
by the hour from then on; those who still wait by the hour in which they were due.
"""

from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select

from services.reports.domain.estimators import Outcome, estimate_counted
from services.reports.domain.figures import Figure
from services.reports.domain.periods import Micros
from services.reports.domain.waits import HOUR
from services.reports.store.queries import GroupKey, Queries, Question
from smarketing.sql import BigInt

__all__ = ["LateClocks"]

_MINUTE: Final = HOUR // 60
_MOST_SINGLE: Final = 1000
"""So many missed clocks of a period are read one by one; of more, buckets are."""

_FINE: Final = 4 * HOUR
_MINUTES: Final = _FINE // _MINUTE
_ANSWERED: Final = Outcome.ANSWERED
_Item: TypeAlias = tuple[Micros, Outcome, int]


class LateClocks:
    """Reads inside the caller's transaction, from the index on missed clocks alone."""

    def __init__(self, queries: Queries, *, most_single: int = _MOST_SINGLE) -> None:
        self._queries = queries
        self._clock = queries.tables.clock_fact
        self._most = most_single

    def never_served(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the share that is not done yet, for each group; without groups exactly one row."""
        clock, groups = self._clock, self._groups(question)
        query = select(*groups, func.count() - func.count(clock.c.stop_time), func.count())
        rows = connection.execute(query.where(*self._missed(connection, question)).group_by(*groups))
        return [(tuple(row[:-2]), Figure.share(row[-2], row[-1])) for row in rows]

    def late_by(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the median from due to done for each group, those not done still waiting."""
        clock, groups = self._clock, self._groups(question)
        where = self._missed(connection, question)
        number = connection.scalar(select(func.count()).select_from(clock).where(*where)) or 0
        due, late = clock.c.missed_due_time, clock.c.stop_time - clock.c.missed_due_time
        items: dict[GroupKey, list[_Item]] = {} if groups else {(): []}
        if number > self._most:
            # What is shown and what groups is one text, whatever a driver makes of parameters.
            hour, minute, fine = (_number(each) for each in (HOUR, _MINUTE, _FINE))
            bucket = case(
                (clock.c.stop_time.is_(None), _number(-1) - due // hour),
                (late < fine, late // minute),
                else_=_number(_MINUTES) + late // hour,
            )
            query = select(*groups, bucket, func.count()).group_by(*groups, bucket)
            for *group, found, many in connection.execute(query.where(*where)):
                items.setdefault(tuple(group), []).append((*_of_bucket(found, question.now), many))
        else:
            for *group, due_time, late_by in connection.execute(select(*groups, due, late).where(*where)):
                item = (question.now - due_time, Outcome.WAITING) if late_by is None else (late_by, _ANSWERED)
                items.setdefault(tuple(group), []).append((*item, 1))
        return [(group, Figure.quantile(estimate_counted(own), 0.5)) for group, own in items.items()]

    def _groups(self, question: Question) -> list[ColumnElement[Any]]:
        return [self._clock.c[dimension.value] for dimension in question.group_by]

    def _missed(self, connection: Connection, question: Question) -> list[ColumnElement[bool]]:
        clock = self._clock
        wanted: list[ColumnElement[bool]] = [
            clock.c.tenant == question.tenant,
            clock.c.missed_due_time.is_not(None),
        ]
        if question.period is not None:
            days = self._queries.days(connection, question.tenant)
            wanted.append(clock.c.missed_due_time >= days.start_of(question.period.first))
            wanted.append(clock.c.missed_due_time < days.start_of(question.period.last))
        if question.party:
            wanted.append(clock.c.parties.contains(f",{question.party},"))
        return wanted


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), BigInt)


def _of_bucket(bucket: int, now: Micros) -> tuple[Micros, Outcome]:
    """Return what stands for a bucket: its middle."""
    if bucket < 0:
        return now - (-1 - bucket) * HOUR - HOUR // 2, Outcome.WAITING
    if bucket < _MINUTES:
        return bucket * _MINUTE + _MINUTE // 2, _ANSWERED
    return (bucket - _MINUTES) * HOUR + HOUR // 2, _ANSWERED
