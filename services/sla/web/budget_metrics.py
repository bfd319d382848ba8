"""Error budgets as gauges: what fell due in each window, what is left, and which alert is called for."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from services.sla.domain.budget import BudgetState, Count
from services.sla.domain.judged import Judged
from services.sla.store.archive import Archive
from services.sla.store.tx import SlaTx
from services.sla.usecases.budgets import budgets_in_force
from services.sla.web.room import shown_each
from smarketing.businesstime import BusinessTimeError
from smarketing.server.gauges import Reading
from smarketing.sql import Connection

__all__ = ["budget_reading"]

_log = structlog.get_logger(__name__)

_WHOSE: Final = ["tenant", "agreement", "commitment"]


def budget_reading(archive: Archive, tenants: Sequence[str], *, now: Callable[[], datetime]) -> Reading:
    """Return what reads the budgets in force of these tenants, up to a few of each tenant.

    The figures are those by which `sla` judges: exact counts of the log, in the promise's own time.
    """

    def read(connection: Connection) -> Iterable[Metric]:
        tx = SlaTx(connection, archive, now=now())
        judged = [each for tenant in tenants for each in _of(tx, tenant, most=shown_each(len(tenants)))]
        return (_windows(judged), _remaining(judged), _alerts(judged))

    return read


def _of(tx: SlaTx, tenant: str, *, most: int) -> list[Judged]:
    try:
        return budgets_in_force(tx, tenant, limit=most, after=None)
    except BusinessTimeError as error:
        # One calendar that does not open must not cost the figures of all the others.
        _log.warning("budgets_not_shown", tenant=tenant, fault=type(error).__name__)
        return []


def _whose(judged: Judged) -> list[str]:
    return [judged.accord.tenant, judged.accord.agreement, judged.promise.id]


def _windows(budgets: Iterable[Judged]) -> Metric:
    family = GaugeMetricFamily(
        "smarketing_sla_settled_in_window",
        "Clocks that fell due in a window of their error budget, in the promise's own time",
        labels=[*_WHOSE, "window", "result"],
    )
    for judged in budgets:
        for window, count in _counted(judged).items():
            family.add_metric([*_whose(judged), window, "good"], count.settled - count.breached)
            family.add_metric([*_whose(judged), window, "bad"], count.breached)
    return family


def _counted(judged: Judged) -> dict[str, Count]:
    counts = judged.counts
    return {
        "budget": counts.window,
        "fast_long": counts.fast_long,
        "fast_short": counts.fast_short,
        "slow_long": counts.slow_long,
        "slow_short": counts.slow_short,
    }


def _remaining(budgets: Iterable[Judged]) -> Metric:
    family = GaugeMetricFamily(
        "smarketing_sla_budget_remaining_ratio",
        "What is left of the budget, at the pace so far; absent while nothing was settled",
        labels=_WHOSE,
    )
    for judged in budgets:
        if judged.budget.remaining is not None:
            family.add_metric(_whose(judged), float(judged.budget.remaining))
    return family


def _alerts(budgets: Iterable[Judged]) -> Metric:
    family = GaugeMetricFamily(
        "smarketing_sla_budget_alerts",
        "1 while the agreement calls for this alert, small numbers judged by exact chances",
        labels=[*_WHOSE, "alert"],
    )
    for judged in budgets:
        budget = judged.budget
        for alert, is_due in (
            ("fast", budget.is_burning_fast),
            ("slow", budget.is_burning_slowly),
            ("exhausted", budget.state is BudgetState.EXHAUSTED),
        ):
            family.add_metric([*_whose(judged), alert], int(is_due))
    return family
