"""Figures of the pipeline and the forecast, read from opportunities."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.reports.domain.estimators import Curve, Outcome, estimate
from services.reports.domain.figures import Amount, Figure, Undefined, half_even
from services.reports.domain.inputs import Sums, summed
from services.reports.domain.kpi_kinds import Deal, DealView, Kpi, PipelineKpi
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.periods import Days

__all__ = ["PIPELINE_KPIS", "STALE_DAYS", "closing_in_period"]

STALE_DAYS: Final = 90
"""An open opportunity without a close date that stood in one stage for longer has no velocity."""

_DAY: Final = 86_400_000_000
_DIMENSIONS: Final = (Dimension.OPPORTUNITY_STAGE, Dimension.CLOSE_MONTH, *HANDOFF_DIMENSIONS)
_SALES: Final = ("sales",)


def _sum(deals: Iterable[Deal], view: DealView, *, left_out: int = 0) -> Figure:
    found = Figure.sum_of(_sums(deals), default_currency=view.currency)
    return Figure(
        amount=found.amount,
        undefined=found.undefined,
        denominator=found.denominator,
        open_count=left_out or None,
    )


def _weighted(deals: Sequence[Deal], view: DealView) -> Figure:
    """Return the sum of amounts by their chance; a deal without a chance or an amount is told apart."""
    rated = [deal for deal in deals if deal.probability is not None and deal.currency]
    hundredfold = [
        deal._replace(minor_units=deal.minor_units * (100 if deal.state == "won" else deal.probability or 0))
        for deal in rated
    ]
    found = _sum(hundredfold, view, left_out=len(deals) - len(rated))
    if found.amount is None:
        return found
    amount = Amount(found.amount.currency, half_even(found.amount.minor_units, 100))
    return Figure(amount=amount, denominator=found.denominator, open_count=found.open_count)


def _open(view: DealView) -> list[Deal]:
    return [deal for deal in view.deals if deal.state == "open"]


def _forecast(view: DealView) -> Figure:
    won = [deal._replace(probability=100) for deal in view.deals if deal.state == "won"]
    open_deals = [deal for deal in _open(view) if _closes_within(deal.close_day, view)]
    return _weighted([*won, *open_deals], view)


def _closes_within(day: Days | None, view: DealView) -> bool:
    # An expected close that is past is a wish nobody renewed; it stays out until somebody does.
    if day is None or day < view.today:
        return False
    return view.period is None or view.period.first <= day < view.period.last


def closing_in_period(view: DealView) -> Figure:
    """Return the amounts of open opportunities that are to close in the period and not before today."""
    return _sum([deal for deal in _open(view) if _closes_within(deal.close_day, view)], view)


def _cycle(deals: Iterable[Deal], view: DealView) -> Curve:
    return estimate(_cycle_item(deal, view) for deal in deals)


def _cycle_item(deal: Deal, view: DealView) -> tuple[int, Outcome]:
    if deal.close_time is None:
        return max(0, view.now - deal.create_time), Outcome.WAITING
    outcome = Outcome.ANSWERED if deal.state == "won" else Outcome.EXITED
    return max(0, deal.close_time - deal.create_time), outcome


def _is_stale(deal: Deal, view: DealView) -> bool:
    """Say whether nobody believes in an open deal any more: past its date, or without one long in a stage."""
    if deal.state != "open":
        return False
    if deal.close_day is not None:
        return deal.close_day < view.today
    return deal.stage_time < view.now - STALE_DAYS * _DAY


def _velocity(whole: DealView) -> Figure:
    view = whole._replace(deals=[deal for deal in whole.deals if not _is_stale(deal, whole)])
    won = [deal for deal in view.deals if deal.state == "won"]
    lost = sum(deal.state == "lost" for deal in view.deals)
    mean = Figure.mean_of(_sums(won))
    median = _cycle(view.deals, view).quantile(0.5)
    if mean.amount is None:
        return Figure(undefined=mean.undefined)
    if median is None:
        return Figure(undefined=Undefined.QUANTILE_NOT_REACHED)
    if median == 0:
        return Figure(undefined=Undefined.NO_DENOMINATOR)
    rate = len(won) / (len(won) + lost)
    minor_units = len(_open(view)) * rate * mean.amount.minor_units / (median / _DAY)
    return Figure(amount=Amount(mean.amount.currency, round(minor_units)), denominator=len(view.deals))


def _sums(deals: Iterable[Deal]) -> Sums:
    return summed((deal.currency, deal.minor_units) for deal in deals)


def _brier(view: DealView) -> Figure:
    rated = [deal for deal in view.deals if deal.probability is not None]
    squares = sum(((deal.probability or 0) - (100 if deal.state == "won" else 0)) ** 2 for deal in rated)
    return Figure.quotient(squares, 10_000 * len(rated))


def _hygiene(view: DealView) -> Figure:
    clean = [
        deal
        for deal in view.deals
        if deal.currency
        and deal.probability is not None
        and deal.close_day is not None
        and deal.close_day >= view.today
    ]
    return Figure.share(len(clean), len(view.deals))


PIPELINE_KPIS: Final[tuple[Kpi, ...]] = (
    PipelineKpi(
        kpi_id="P1",
        title="Open pipeline",
        formula="amounts of open opportunities, as things stand",
        unit="money",
        dimensions=_DIMENSIONS,
        edge_cases="ML",
        parties=_SALES,
        of="open",
        value=lambda view: _sum(view.deals, view),
    ),
    PipelineKpi(
        kpi_id="P2",
        title="Weighted pipeline",
        formula="amount × chance of open opportunities; those without either are told apart, not "
        "counted as 0",
        unit="money",
        dimensions=_DIMENSIONS,
        edge_cases="ML",
        parties=_SALES,
        of="open",
        value=lambda view: _weighted(view.deals, view),
    ),
    PipelineKpi(
        kpi_id="P3",
        title="Weighted forecast",
        formula="won in the period + amount × chance of open ones expected to close in it; a close "
        "date that is past "
        "is left out",
        unit="money",
        dimensions=_DIMENSIONS,
        edge_cases="ML",
        parties=_SALES,
        of="open closed",
        value=_forecast,
    ),
    PipelineKpi(
        kpi_id="P7",
        title="Sales cycle",
        formula="median from opportunity to win, of opportunities made in the period; open ones still wait, "
        "a loss ends the waiting",
        unit="seconds",
        dimensions=_DIMENSIONS,
        edge_cases="CX",
        parties=_SALES,
        of="created",
        value=lambda view: Figure.quantile(_cycle(view.deals, view), 0.5),
    ),
    PipelineKpi(
        kpi_id="P9",
        title="Pipeline velocity",
        formula="open opportunities × won / (won + lost) in the period × mean amount won / median "
        "days to win; open ones past their close date, or without one and in one stage for more than "
        f"{STALE_DAYS} days, are left out of all four",
        unit="money a day",
        dimensions=_DIMENSIONS,
        edge_cases="ZMC",
        parties=_SALES,
        of="open closed",
        value=_velocity,
    ),
    PipelineKpi(
        kpi_id="P14",
        title="Forecast calibration",
        formula="mean of (chance last said − outcome)², over opportunities closed in the period "
        "(Brier); 0 is best",
        unit="number",
        dimensions=_DIMENSIONS,
        edge_cases="ZO",
        parties=_SALES,
        of="closed",
        value=_brier,
    ),
    PipelineKpi(
        kpi_id="P16",
        title="Pipeline created",
        formula="amounts, as now known, of opportunities made in the period; a reopened one was made once",
        unit="money",
        dimensions=_DIMENSIONS,
        edge_cases="M",
        parties=_SALES,
        of="created",
        value=lambda view: _sum(view.deals, view),
    ),
    PipelineKpi(
        kpi_id="P18",
        title="Hygiene of the pipeline",
        formula="open opportunities with amount, chance and a close date not past / open opportunities",
        unit="ratio",
        dimensions=_DIMENSIONS,
        edge_cases="Z",
        parties=_SALES,
        of="open",
        value=_hygiene,
    ),
)
