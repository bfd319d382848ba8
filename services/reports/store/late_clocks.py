"""Reads by how much missed clocks were late, and how many were never done: as many rows as buckets.

Of few missed clocks every one is read. Of many, sums are, by buckets of how late they were; those who still
wait stand there by the hour in which they were due.
"""

from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, select

from services.reports.domain.estimators import Outcome, estimate_counted
from services.reports.domain.figures import Figure
from services.reports.domain.periods import Micros
from services.reports.store.missed_sums import MOST_SINGLE_MISSES, MissedSums
from services.reports.store.queries import GroupKey, Queries, Question

__all__ = ["LateClocks"]

_ANSWERED: Final = Outcome.ANSWERED
_Item: TypeAlias = tuple[Micros, Outcome, int]


class LateClocks:
    """Reads inside the caller's transaction, single clocks from the index on missed ones alone."""

    def __init__(self, queries: Queries, *, most_single: int = MOST_SINGLE_MISSES) -> None:
        self._queries = queries
        self._clock = queries.tables.clock_fact
        self._sums = MissedSums(queries)
        self._most = most_single

    def never_served(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the share that is not done yet, for each group; without groups exactly one row."""
        found = self._sums.never_served(connection, question)
        if not question.group_by:
            found = found or {(): (0, 0)}
        return [(group, Figure.share(undone, missed)) for group, (undone, missed) in found.items()]

    def late_by(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the median from due to done for each group, those not done still waiting."""
        many = self._sums.number(connection, question) > self._most
        items = self._sums.late_by(connection, question) if many else self._single(connection, question)
        if not question.group_by:
            items = items or {(): []}
        return [(group, Figure.quantile(estimate_counted(own), 0.5)) for group, own in items.items()]

    def _single(self, connection: Connection, question: Question) -> dict[GroupKey, list[_Item]]:
        clock, groups = self._clock, self._groups(question)
        due, late = clock.c.missed_due_time, clock.c.stop_time - clock.c.missed_due_time
        items: dict[GroupKey, list[_Item]] = {}
        for *group, due_time, late_by in connection.execute(
            select(*groups, due, late).where(*self._missed(connection, question))
        ):
            item = (question.now - due_time, Outcome.WAITING) if late_by is None else (late_by, _ANSWERED)
            items.setdefault(tuple(group), []).append((*item, 1))
        return items

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
