"""Keeps figures as they were when a month was over: whole answers, which nothing changes."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Table, func, select

from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Days, Micros, Period, first_of_month, month_after
from smarketing.sql import InsertRows

__all__ = ["Asked", "Frozen", "MonthEnds", "month_in"]


class Asked(NamedTuple):
    """What was asked of a month."""

    kpi_id: str
    basis: str
    """Empty for a figure that knows none."""
    group_by: tuple[Dimension, ...]


class Frozen(NamedTuple):
    """One figure of a month."""

    asked: Asked
    answer: bytes


class MonthEnds:
    """Reads and writes inside the caller's transaction."""

    def __init__(self, table: Table, settings: Table) -> None:
        self._table = table
        self._settings = settings
        self._insert = InsertRows(table)

    def tenants(self, connection: Connection) -> list[str]:
        """Return every tenant that was heard of."""
        query = select(self._settings.c.tenant).order_by(self._settings.c.tenant)
        return list(connection.scalars(query))

    def newest(self, connection: Connection, tenant: str) -> Days | None:
        """Return the first day of the month that was kept last."""
        month: Days | None = connection.scalar(
            select(func.max(self._table.c.month)).where(self._table.c.tenant == tenant)
        )
        return month

    def keep(
        self, connection: Connection, tenant: str, month: Days, figures: Sequence[Frozen], now: Micros
    ) -> bool:
        """Keep the figures of a month, unless it has been kept; say whether they are now."""
        newest = self.newest(connection, tenant)
        if newest is not None and newest >= month:
            return False
        rows = [
            (tenant, month, asked.kpi_id, asked.basis, _words(asked.group_by), now, answer)
            for asked, answer in figures
        ]
        self._insert.insert(connection, rows)
        return True

    def find(self, connection: Connection, tenant: str, month: Days, asked: Asked) -> bytes | None:
        """Return the answer of a figure for a month; None where none was kept."""
        table = self._table.c
        answer: bytes | None = connection.scalar(
            select(table.answer).where(
                table.tenant == tenant,
                table.month == month,
                table.kpi_id == asked.kpi_id,
                table.basis == asked.basis,
                table.group_by == _words(asked.group_by),
            )
        )
        return answer


def month_in(period: Period | None) -> Days | None:
    """Return the first day of the month that a period is; None for another period."""
    if period is None or first_of_month(period.first) != period.first:
        return None
    return period.first if month_after(period.first) == period.last else None


def _words(group_by: Sequence[Dimension]) -> str:
    return ",".join(dimension.value for dimension in group_by)
