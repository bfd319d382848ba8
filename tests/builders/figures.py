"""Asks a ledger for its figures."""

from typing import Any

from services.reports.domain.figures import Figure
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.store.figures import Figures, FunnelRow
from services.reports.store.queries import Queries, Question
from tests.builders.kpi_case import NOW
from tests.builders.reports import TENANT, Ledger


def ask(
    ledger: Ledger,
    kpi_id: str,
    *group_by: Dimension,
    basis: Basis | None = None,
    period: Period | None = None,
    now: int = NOW,
) -> dict[tuple[str | None, ...], Figure]:
    """Return a figure by group."""
    figures = Figures(Queries(ledger.tables))
    with ledger.database.reading() as connection:
        rows = figures.query(connection, kpi_id, _question(*group_by, period=period, now=now), basis)
    return {row.group: row.figure for row in rows}


def funnel(
    ledger: Ledger, *group_by: Dimension, basis: Basis = Basis.COHORT, period: Any = None
) -> list[FunnelRow]:
    """Return the funnel, a row a group."""
    with ledger.database.reading() as connection:
        return Figures(Queries(ledger.tables)).funnel(connection, _question(*group_by, period=period), basis)


def share_of(figure: Figure) -> tuple[int | None, int | None]:
    """Return a figure's numerator and denominator."""
    return figure.numerator, figure.denominator


def _question(*group_by: Dimension, period: Period | None = None, now: int = NOW) -> Question:
    return Question(tenant=TENANT, period=period, group_by=group_by, now=now)
