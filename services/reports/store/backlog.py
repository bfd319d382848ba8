"""Reads how old open handoffs are in their states: the exact median, found by counts of days.

How many came to their states on each day is kept in sums. They say on which day the one in the middle came,
and only the handoffs of that day are looked at: the cost is that of months, of a month's days, and of a day.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, Micros, first_of_month
from services.reports.store.queries import GroupKey, Queries, Question, month_of
from services.reports.store.schema import DAY, MONTH

__all__ = ["BacklogQueries"]

_ANCHOR: Final = "backlog"

_Places = dict[GroupKey, tuple[Days, int]]
"""For each group, the month or day in which its middle one came, and how many came behind it there."""


class BacklogQueries:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._tables = queries.tables

    def ages(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the median age for each group; without groups exactly one row."""
        if Dimension.MONTH in question.group_by:
            return self._ages_by_month(connection, question)
        counted = self._counted(connection, question, [])
        numbers = {group: sum(by_month.values()) for group, by_month in counted.items()}
        if not question.group_by:
            numbers.setdefault((), 0)
        wanted = {group: (number - 1) // 2 for group, number in numbers.items() if number}
        months = _places(counted, wanted)
        in_days = self._counted(connection, question, sorted({month for month, _ in months.values()}))
        within = {
            group: {day: number for day, number in in_days[group].items() if first_of_month(day) == month}
            for group, (month, _) in months.items()
        }
        days = _places(within, {group: behind for group, (_, behind) in months.items()})
        begun = self._begun(connection, question, days)
        return [
            (group, _age(question.now - begun[group], number) if group in begun else _age(None, 0))
            for group, number in numbers.items()
        ]

    def _counted(
        self, connection: Connection, question: Question, months: Sequence[Days]
    ) -> dict[GroupKey, dict[Days, int]]:
        """Return how many came to their states in each month, or on each day of these months."""
        table = self._tables.tally_rollup
        groups = [
            table.c.word if dimension is Dimension.STATE else table.c[dimension.value]
            for dimension in question.group_by
        ]
        query = select(*groups, table.c.day, func.sum(table.c["items"])).where(
            table.c.tenant == question.tenant,
            table.c.anchor == _ANCHOR,
            table.c.grain == (DAY if months else MONTH),
        )
        if months:
            # The key begins with tenant, anchor, grain and day: whole months lie together.
            query = query.where(table.c.day >= months[0], table.c.month.in_(months))
        found: dict[GroupKey, dict[Days, int]] = defaultdict(dict)
        for row in connection.execute(query.group_by(*groups, table.c.day)):
            found[tuple(row[:-2])][row[-2]] = int(row[-1])
        return found

    def _begun(self, connection: Connection, question: Question, days: _Places) -> dict[GroupKey, Micros]:
        """Return when the one in the middle of each group came to its state."""
        fact = self._tables.handoff_fact
        groups = [fact.c[dimension.value] for dimension in question.group_by]
        local = self._queries.days(connection, question.tenant)
        found: dict[GroupKey, Micros] = {}
        for day in sorted({day for day, _ in days.values()}):
            query = select(*groups, fact.c.open_since).where(
                fact.c.tenant == question.tenant,
                fact.c.open_since >= local.start_of(day),
                fact.c.open_since < local.start_of(day + 1),
            )
            times: dict[GroupKey, list[Micros]] = defaultdict(list)
            for row in connection.execute(query):
                times[tuple(row[:-1])].append(row[-1])
            for group, (own, behind) in days.items():
                if own == day:
                    found[group] = sorted(times[group], reverse=True)[behind]
        return found

    def _ages_by_month(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return the same by month of submission, of which no sum knows: each open handoff is read."""
        fact = self._tables.handoff_fact
        columns: list[ColumnElement[Any]] = [
            fact.c.submit_time if dimension is Dimension.MONTH else fact.c[dimension.value]
            for dimension in question.group_by
        ]
        query = select(*columns, fact.c.open_since).where(
            fact.c.tenant == question.tenant, fact.c.open_since.is_not(None)
        )
        ages: dict[GroupKey, list[Micros]] = defaultdict(list)
        days = self._queries.days(connection, question.tenant)
        for row in connection.execute(query):
            group = tuple(
                month_of(days.day_of(value)) if dimension is Dimension.MONTH else value
                for dimension, value in zip(question.group_by, row[:-1], strict=True)
            )
            ages[group].append(question.now - row.open_since)
        return [(group, _age(sorted(own)[(len(own) - 1) // 2], len(own))) for group, own in ages.items()]


def _places(counted: dict[GroupKey, dict[Days, int]], wanted: dict[GroupKey, int]) -> _Places:
    """Return where the one of each group stands that has `wanted` younger ones."""
    found: _Places = {}
    for group, number in wanted.items():
        behind = number
        for day in sorted(counted[group], reverse=True):
            if behind < counted[group][day]:
                found[group] = day, behind
                break
            behind -= counted[group][day]
    return found


def _age(age: Micros | None, number: int) -> Figure:
    if age is None:
        return Figure(undefined=Undefined.NO_DENOMINATOR, denominator=0)
    return Figure(duration=age, denominator=number)
