"""Reads opportunities for the figures of the pipeline: those open now, made or closed in the period."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from services.reports.domain.figures import Figure
from services.reports.domain.kpi_kinds import Deal, DealView, PipelineKpi
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros
from services.reports.store.queries import GroupKey, Queries, Question, month_of

__all__ = ["PipelineQueries"]


class PipelineQueries:
    """Reads inside the caller's transaction; the cost is that of the opportunities in question."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._tables = queries.tables

    def rows(
        self, connection: Connection, kpi: PipelineKpi, question: Question
    ) -> list[tuple[GroupKey, Figure]]:
        """Return the figure for each group; without groups exactly one row."""
        days = self._queries.days(connection, question.tenant)
        currency = self._queries.currency(connection, question.tenant)
        grouped: dict[GroupKey, list[Deal]] = {} if question.group_by else {(): []}
        for group, deal in self._deals(connection, kpi, question, days):
            grouped.setdefault(group, []).append(deal)
        today = days.day_of(question.now)
        return [
            (group, kpi.value(DealView(deals, question.now, today, question.period, currency)))
            for group, deals in grouped.items()
        ]

    def _deals(
        self, connection: Connection, kpi: PipelineKpi, question: Question, days: LocalDays
    ) -> Iterable[tuple[GroupKey, Deal]]:
        fact, handoff = self._tables.opportunity_fact, self._tables.handoff_fact
        columns = [self._column(dimension) for dimension in question.group_by]
        found = [fact.c[name] for name in Deal._fields]
        query = (
            select(*columns, *found)
            .select_from(fact.join(handoff, handoff.c.handoff == fact.c.handoff))
            .where(fact.c.tenant == question.tenant, handoff.c.void_time.is_(None))
            .where(or_(*(self._population(of, question, days) for of in kpi.of.split())))
        )
        for row in connection.execute(query):
            values = row[: len(columns)]
            group = tuple(
                _shown(dimension, value, days)
                for dimension, value in zip(question.group_by, values, strict=True)
            )
            yield group, Deal(*row[len(columns) :])

    def _population(self, of: str, question: Question, days: LocalDays) -> ColumnElement[bool]:
        fact = self._tables.opportunity_fact
        if of == "open":
            return fact.c.state == "open"
        time = fact.c.create_time if of == "created" else fact.c.close_time
        wanted: list[ColumnElement[bool]] = [time.is_not(None)]
        if question.period is not None:
            wanted += [
                time >= days.start_of(question.period.first),
                time < days.start_of(question.period.last),
            ]
        return and_(*wanted)

    def _column(self, dimension: Dimension) -> ColumnElement[Any]:
        fact, handoff = self._tables.opportunity_fact, self._tables.handoff_fact
        match dimension:
            case Dimension.OPPORTUNITY_STAGE:
                return fact.c.stage
            case Dimension.CLOSE_MONTH:
                return fact.c.close_day
            case Dimension.MONTH:
                return fact.c.create_time
            case _:
                return handoff.c[dimension.value]


def _shown(dimension: Dimension, value: Any, days: LocalDays) -> str | None:
    if value is None:
        return None
    if dimension is Dimension.CLOSE_MONTH:
        return month_of(value)
    if dimension is Dimension.MONTH:
        month: Micros = value
        return date.fromordinal(days.day_of(month)).isoformat()[:7]
    return str(value)
