"""Reads how long handoffs take to be won: few of them one by one, many from buckets."""

from sqlalchemy import ColumnElement, Connection, func, select

from services.reports.domain.estimators import Curve, Outcome, estimate
from services.reports.domain.figures import Figure
from services.reports.domain.labels import Dimension
from services.reports.domain.responses import Measure
from services.reports.store.queries import GroupKey, Queries, Question, month_of
from services.reports.store.responses import MOST_SINGLE_ITEMS, ResponseQueries

__all__ = ["CycleQueries"]

_EXITS = ("lost_time", "reject_time", "disqualify_time", "recycle_time")


class CycleQueries:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, *, most_single: int = MOST_SINGLE_ITEMS) -> None:
        self._queries = queries
        self._responses = ResponseQueries(queries, most_single_items=most_single)

    def rows(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the median for each group; without groups exactly one row.

        Of many handoffs it is read from buckets, and off by no more than these are wide.
        """
        if self._responses.are_many(connection, question):
            counted = self._responses.counted(connection, question, Measure.INQUIRY_TO_WIN)
            return [
                (group, Figure.quantile(items.curve(), 0.5, invalid_count=items.invalid_count))
                for group, items in counted.items()
            ]
        return [
            (group, Figure.quantile(curve, 0.5, invalid_count=invalid))
            for group, (curve, invalid) in self.curves(connection, question).items()
        ]

    def curves(self, connection: Connection, question: Question) -> dict[GroupKey, tuple[Curve, int]]:
        """Return for each group the curve of wins, and how many were won before they inquired."""
        fact = self._queries.tables.handoff_fact
        days = self._queries.days(connection, question.tenant)
        columns = [
            fact.c.submit_time if dimension is Dimension.MONTH else fact.c[dimension.value]
            for dimension in question.group_by
        ]
        ends: list[ColumnElement[int | None]] = [fact.c[name] for name in _EXITS]
        query = select(
            *columns, func.coalesce(fact.c.inquire_time, fact.c.submit_time), fact.c.won_time, *ends
        ).where(fact.c.tenant == question.tenant, fact.c.void_time.is_(None))
        if question.period is not None:
            query = query.where(
                fact.c.submit_time >= days.start_of(question.period.first),
                fact.c.submit_time < days.start_of(question.period.last),
            )
        items: dict[GroupKey, list[tuple[int, Outcome]]] = {} if question.group_by else {(): []}
        invalid: dict[GroupKey, int] = {}
        for row in connection.execute(query):
            group = tuple(
                month_of(days.day_of(value)) if dimension is Dimension.MONTH else value
                for dimension, value in zip(question.group_by, row[: len(columns)], strict=True)
            )
            start, won, *exits = row[len(columns) :]
            duration, outcome = _item(start, won, [each for each in exits if each is not None], question.now)
            own = items.setdefault(group, [])
            if duration < 0:
                invalid[group] = invalid.get(group, 0) + 1
            else:
                own.append((duration, outcome))
        return {group: (estimate(own), invalid.get(group, 0)) for group, own in items.items()}


def _item(start: int, won: int | None, exits: list[int], now: int) -> tuple[int, Outcome]:
    if won is not None:
        return won - start, Outcome.ANSWERED
    if exits:
        return max(exits) - start, Outcome.EXITED
    return now - start, Outcome.WAITING
