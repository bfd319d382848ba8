"""Figures of promises: clocks by kind, warnings, delays, exceptions, and budgets as sla says they stand."""

from typing import Final

from services.reports.domain.budgets import BudgetSaid
from services.reports.domain.clocks import ClockTally
from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.kpi_kinds import (
    BudgetKpi,
    ClockKpi,
    ClockListKpi,
    Kpi,
    LadderKpi,
    SettledKpi,
    TwoSidedKpi,
)
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension

__all__ = ["ACKNOWLEDGE_HOURS", "CLOCK_DIMENSIONS", "DUE_SOON_HOURS", "PROMISE_KPIS"]

CLOCK_DIMENSIONS: Final = (
    *HANDOFF_DIMENSIONS,
    Dimension.COMMITMENT,
    Dimension.PARTY,
    Dimension.AGREEMENT,
)
DUE_SOON_HOURS: Final = 24
ACKNOWLEDGE_HOURS: Final = 4

_SINGLE_CLOCKS: Final = (Dimension.COMMITMENT, Dimension.TEAM, Dimension.AGREEMENT)
_SETTLED: Final = (Dimension.COMMITMENT, Dimension.AGREEMENT, Dimension.STATE)
_BUDGETS: Final = (Dimension.COMMITMENT, Dimension.AGREEMENT, Dimension.STATE)
_BOTH_LOGS: Final = ("leads", "sla")
_SLA: Final = ("sla",)
_SALES: Final = ("sales",)
_MARKETING: Final = ("marketing",)


def _kept(tally: ClockTally) -> Figure:
    return Figure.share(tally.met, tally.settled, open_count=tally.open)


def _of_ratio(ratio: float | None) -> Figure:
    return Figure(undefined=Undefined.NO_DENOMINATOR) if ratio is None else Figure(ratio=ratio)


def _exhaustion(budget: BudgetSaid) -> Figure:
    if budget.exhaustion is None:
        return Figure(undefined=Undefined.NO_DENOMINATOR)
    return Figure(duration=budget.exhaustion)


PROMISE_KPIS: Final[tuple[Kpi, ...]] = (
    ClockListKpi(
        kpi_id="S6",
        title="Due soon",
        formula=f"running clocks due within {DUE_SOON_HOURS} hours from now; those past due are no "
        "longer soon",
        unit="clocks",
        dimensions=_SINGLE_CLOCKS,
        logs=_SLA,
        reading="due_soon",
    ),
    ClockKpi(
        kpi_id="S16",
        title="Attempts in time",
        formula="S1 over commitments of attempts: contact or a final disposition before the last one "
        "satisfies",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        edge_cases="ZO",
        parties=_SALES,
        logs=_BOTH_LOGS,
        kind="attempts",
        value=_kept,
    ),
    ClockKpi(
        kpi_id="S19",
        title="Disposition on time",
        formula="S1 over commitments to record an outcome after the last follow-up",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        edge_cases="ZO",
        parties=_SALES,
        logs=_BOTH_LOGS,
        kind="disposition",
        value=_kept,
    ),
    ClockKpi(
        kpi_id="S25",
        title="Warning effectiveness",
        formula="met / (met + breached), of clocks of which a rung fired before they were due",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        edge_cases="Z",
        logs=_BOTH_LOGS,
        value=lambda tally: Figure.share(tally.warned_met, tally.warned),
    ),
    ClockListKpi(
        kpi_id="S26",
        title="Late by",
        formula="median wall time from due to done, of missed clocks due in the period; those not "
        "done still wait",
        unit="seconds",
        dimensions=_SINGLE_CLOCKS,
        edge_cases="C",
        logs=_SLA,
        reading="late_by",
    ),
    ClockListKpi(
        kpi_id="S26.never",
        title="Missed and never done",
        formula="not done yet / missed, of clocks due in the period",
        unit="ratio",
        dimensions=_SINGLE_CLOCKS,
        edge_cases="Z",
        logs=_SLA,
        reading="never_served",
    ),
    ClockListKpi(
        kpi_id="S27",
        title="Delay attribution",
        formula="time of the part / time of all parts, from inquiry to stop or now, over missed "
        "clocks of handoffs",
        unit="ratio",
        dimensions=(Dimension.DELAY_PART, Dimension.TEAM, Dimension.COMMITMENT),
        edge_cases="ZR",
        parties=("marketing", "sales", "system"),
        logs=_BOTH_LOGS,
        split_by=Dimension.DELAY_PART,
        reading="delay",
    ),
    LadderKpi(
        kpi_id="S29",
        title="Duplicate alerts",
        formula="(rungs told − distinct clock, cycle and rung) / rungs told; must be 0",
        unit="ratio",
        dimensions=(),
        edge_cases="Z",
        parties=("system",),
        logs=_SLA,
        reading="duplicates",
    ),
    LadderKpi(
        kpi_id="S30",
        title="Acknowledged alerts",
        formula=f"acknowledged within {ACKNOWLEDGE_HOURS} hours / alerts at least so old",
        unit="ratio",
        dimensions=(Dimension.TEAM, Dimension.COMMITMENT),
        edge_cases="ZO",
        logs=_SLA,
        reading="acknowledged",
    ),
    ClockKpi(
        kpi_id="S31",
        title="Exception rate",
        formula="excused / (met + breached + excused), over clocks due in the period",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        edge_cases="ZO",
        logs=_BOTH_LOGS,
        value=lambda tally: Figure.share(tally.excused, tally.settled + tally.excused, open_count=tally.open),
    ),
    BudgetKpi(
        kpi_id="B1",
        title="Error budget remaining",
        formula="1 − missed / (missable of what the pace leads to), as sla last said; of several, the least",
        unit="ratio",
        dimensions=_BUDGETS,
        edge_cases="Z",
        logs=_SLA,
        value=lambda budget: _of_ratio(budget.remaining_ratio),
        worst=min,
    ),
    BudgetKpi(
        kpi_id="B2",
        title="Burn rate, fast window",
        formula="missed share of the window / missable share, as sla last said; of several, the highest",
        unit="ratio",
        dimensions=_BUDGETS,
        edge_cases="Z",
        logs=_SLA,
        value=lambda budget: _of_ratio(budget.fast_burn_rate),
        worst=max,
    ),
    BudgetKpi(
        kpi_id="B2.slow",
        title="Burn rate, slow window",
        formula="as B2, over the slow alert's long window",
        unit="ratio",
        dimensions=_BUDGETS,
        edge_cases="Z",
        logs=_SLA,
        value=lambda budget: _of_ratio(budget.slow_burn_rate),
        worst=max,
    ),
    BudgetKpi(
        kpi_id="B6",
        title="Time to exhaustion",
        formula="how long the rest lasts at the slow window's pace, as sla last said; of several, the "
        "shortest",
        unit="seconds",
        dimensions=_BUDGETS,
        edge_cases="Z",
        logs=_SLA,
        value=_exhaustion,
        worst=min,
    ),
    BudgetKpi(
        kpi_id="B7",
        title="Budgets by state",
        formula="budgets that stand so, as sla last said",
        unit="budgets",
        dimensions=_BUDGETS,
        logs=_SLA,
        split_by=Dimension.STATE,
        value=lambda _: Figure.number(1),
        worst=None,
    ),
    TwoSidedKpi(
        kpi_id="A2",
        title="Two-sided compliance",
        formula="the lower of marketing's S1 and sales'; undefined while either is",
        unit="ratio",
        dimensions=(),
        edge_cases="ZO",
        logs=_BOTH_LOGS,
    ),
    SettledKpi(
        kpi_id="K4.settled",
        title="Marketing attainment as settled",
        formula="value delivered / quota, of agreements' periods that ended then, as sla settled them; of "
        "several, the least",
        unit="ratio",
        dimensions=_SETTLED,
        edge_cases="ZL",
        parties=_MARKETING,
        logs=_SLA,
        of="value",
        worst=min,
    ),
    SettledKpi(
        kpi_id="K4.promises",
        title="Promises of periods by verdict",
        formula="promises for agreements' periods that ended then, by what became of them, as sla said",
        unit="promises",
        dimensions=_SETTLED,
        edge_cases="L",
        parties=_MARKETING,
        logs=_SLA,
        split_by=Dimension.STATE,
        worst=None,
    ),
    SettledKpi(
        kpi_id="K6.settled",
        title="Definition conformance as settled",
        formula="as K6, of agreements' periods that ended then, as sla settled them; of several, the least",
        unit="ratio",
        dimensions=_SETTLED,
        edge_cases="ZL",
        parties=_MARKETING,
        logs=_SLA,
        of="conformance",
        worst=min,
    ),
    SettledKpi(
        kpi_id="K7.settled",
        title="Completeness as settled",
        formula="as K7, of agreements' periods that ended then, as sla settled them; of several, the least",
        unit="ratio",
        dimensions=_SETTLED,
        edge_cases="ZL",
        parties=_MARKETING,
        logs=_SLA,
        of="completeness",
        worst=min,
    ),
    SettledKpi(
        kpi_id="K12.settled",
        title="Marketing-attributable rejections as settled",
        formula="final rejections on marketing's account / decided, of agreements' periods that ended then, "
        "as sla settled them; of several, the highest",
        unit="ratio",
        dimensions=_SETTLED,
        edge_cases="ZL",
        parties=_MARKETING,
        logs=_SLA,
        of="rejections",
        worst=max,
    ),
)
