"""Figures of the forecast against what came, and of the stages that opportunities go through."""

from typing import Final

from services.reports.domain.funnel import MARKETING_SOURCED_EXCLUDES
from services.reports.domain.further_kinds import FurtherKpi
from services.reports.domain.kpi_kinds import Kpi
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension

__all__ = ["CATEGORIES", "FORECAST_KPIS", "LEAD_DAYS", "STAY_QUANTILE", "STAY_WINDOW_DAYS"]

CATEGORIES: Final = (("commit", 75), ("best case", 50), ("pipeline", 0))
"""Each category with the least chance in percent of what is in it; one without a chance is pipeline."""

LEAD_DAYS: Final = (0, 30, 90)
"""So many days before a period begins its forecast is looked at."""

STAY_QUANTILE: Final = 0.8
STAY_WINDOW_DAYS: Final = 365
"""Opportunities won within so many days say how long a stay in a stage usually is."""

_SALES: Final = ("sales",)
_LABELS: Final = tuple(each for each in HANDOFF_DIMENSIONS if each is not Dimension.MONTH)
_FORECAST: Final = (Dimension.LEAD_TIME, Dimension.MONTH)

FORECAST_KPIS: Final[tuple[Kpi, ...]] = (
    FurtherKpi(
        kpi_id="P4",
        title="Forecast by category",
        formula="won in the period + open opportunities that are to close in it, from today on; commit: a "
        "chance of 75 % or more, best case: 50 % or more, pipeline: all; each holds the one before",
        unit="money",
        dimensions=(Dimension.FORECAST_CATEGORY, *_LABELS),
        split_by=Dimension.FORECAST_CATEGORY,
        edge_cases="M",
        parties=_SALES,
        reading="categories",
    ),
    FurtherKpi(
        kpi_id="P10",
        title="Conversion of opportunity stages",
        formula="opportunities that came to the stage in the period and ever to a later one, or were won / "
        "those that came to it; skipped stages are credited, each opportunity once",
        unit="ratio",
        dimensions=(Dimension.OPPORTUNITY_STAGE, Dimension.MONTH),
        split_by=Dimension.OPPORTUNITY_STAGE,
        edge_cases="ZK",
        parties=_SALES,
        reading="deal stages",
    ),
    FurtherKpi(
        kpi_id="P11",
        title="Slippage",
        formula="opportunities whose close date was moved behind the period while it ran / those open when "
        "it began and then expected to close in it",
        unit="ratio",
        dimensions=_LABELS,
        edge_cases="Z",
        parties=_SALES,
        reading="slippage",
    ),
    FurtherKpi(
        kpi_id="P12",
        title="Stagnation",
        formula="open opportunities that stand in their stage longer than four fifths of those won in the "
        f"last {STAY_WINDOW_DAYS} days had stood there / open ones in stages of which that is known",
        unit="ratio",
        dimensions=(Dimension.OPPORTUNITY_STAGE,),
        edge_cases="ZW",
        parties=_SALES,
        reading="stagnation",
    ),
    FurtherKpi(
        kpi_id="P13",
        title="Forecast error",
        formula="distance between F and A / A; F: amount × chance, as told so many days before the period "
        "began, of what was then to close in it; A: won in the period, once it is over",
        unit="ratio",
        dimensions=_FORECAST,
        split_by=Dimension.LEAD_TIME,
        edge_cases="ZM",
        parties=_SALES,
        reading="forecast error",
    ),
    FurtherKpi(
        kpi_id="P13.bias",
        title="Forecast bias",
        formula="(F − A) / A, as P13; above 0 too much was promised",
        unit="ratio",
        dimensions=_FORECAST,
        split_by=Dimension.LEAD_TIME,
        edge_cases="ZM",
        parties=_SALES,
        reading="forecast bias",
    ),
    FurtherKpi(
        kpi_id="P15",
        title="Pipeline sourced by marketing",
        formula="amounts of opportunities made in the period, of handoffs that marketing brought / amounts "
        "of all made then; not marketing's: " + ", ".join(sorted(MARKETING_SOURCED_EXCLUDES)),
        unit="ratio",
        dimensions=_LABELS,
        edge_cases="ZMD",
        parties=("marketing",),
        reading="sourced",
    ),
    FurtherKpi(
        kpi_id="P15.influenced",
        title="Pipeline influenced by marketing",
        formula="amounts of opportunities made in the period that have a touchpoint with their name as "
        "journey, each amount once / amounts of all made then",
        unit="ratio",
        dimensions=_LABELS,
        edge_cases="ZMD",
        parties=("marketing",),
        logs=("leads", "inputs"),
        reading="influenced",
    ),
    FurtherKpi(
        kpi_id="P17",
        title="Bottleneck",
        formula="opportunities that came to the stage / those that left it, in the period; above 1 it fills",
        unit="ratio",
        dimensions=(Dimension.OPPORTUNITY_STAGE, Dimension.MONTH),
        split_by=Dimension.OPPORTUNITY_STAGE,
        edge_cases="Z",
        parties=_SALES,
        reading="bottleneck",
    ),
    FurtherKpi(
        kpi_id="V9",
        title="Proposal to win",
        formula="won / won or lost, of opportunities whose first proposal was sent in the period; those "
        "still open are shown beside",
        unit="ratio",
        dimensions=_LABELS,
        edge_cases="ZO",
        parties=_SALES,
        reading="proposals",
    ),
    FurtherKpi(
        kpi_id="V11",
        title="Ramp",
        formula="median months from a person's first goal to the first month in which the quota was booked, "
        "of people whose first goal begins in the period; those who have not yet still count",
        unit="months",
        dimensions=(Dimension.TEAM,),
        edge_cases="CP",
        parties=_SALES,
        logs=("leads", "inputs"),
        reading="ramp",
    ),
)
