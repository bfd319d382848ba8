"""The registry: every figure that can be asked for, with its one definition and how it is read from sums.

What is not listed is not computed. What is listed follows the ids of `docs/kpis.md`.
"""

from collections.abc import Mapping
from typing import Final

from services.reports.domain.alignment_kpis import ALIGNMENT_KPIS
from services.reports.domain.clocks import ClockTally
from services.reports.domain.customer_kpis import CUSTOMER_KPIS
from services.reports.domain.cycle_kpis import CYCLE_KPIS
from services.reports.domain.errors import KpiUnknown
from services.reports.domain.figures import Figure
from services.reports.domain.forecast_kpis import FORECAST_KPIS
from services.reports.domain.funnel import MARKETING_SOURCED_EXCLUDES, FunnelTally, Stage
from services.reports.domain.handover_kpis import HANDOVER_KPIS
from services.reports.domain.kpi_kinds import (
    AmountKpi,
    Basis,
    ClockKpi,
    FunnelKpi,
    HorizonKpi,
    Kpi,
    OfferKpi,
    ReasonKpi,
    ResponseKpi,
    StageKpi,
    UnattendedKpi,
)
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.lead_kpis import LEAD_KPIS
from services.reports.domain.money_kpis import MONEY_KPIS
from services.reports.domain.pipeline_kpis import PIPELINE_KPIS
from services.reports.domain.promise_kpis import CLOCK_DIMENSIONS, PROMISE_KPIS
from services.reports.domain.responses import Measure
from services.reports.domain.return_kpis import RETURN_KPIS
from services.reports.domain.signal_kpis import SIGNAL_KPIS

__all__ = ["KPIS", "find_kpi"]

_BOTH: Final = (Basis.COHORT, Basis.EVENT)
_HOUR: Final = 3_600_000_000
_SALES: Final = ("sales",)
_MARKETING: Final = ("marketing",)


def _s1(tally: ClockTally) -> Figure:
    return Figure.share(tally.met, tally.settled, open_count=tally.open)


def _s2(tally: ClockTally) -> Figure:
    return Figure.share(tally.met, tally.settled + tally.excused, open_count=tally.open)


def _s3(tally: ClockTally) -> Figure:
    return Figure.share(tally.met_original, tally.settled, open_count=tally.open)


def _h1(tally: FunnelTally) -> Figure:
    return Figure.share(tally.accepted, tally.accepted + tally.rejected, open_count=tally.undecided)


def _h1_event(tally: FunnelTally) -> Figure:
    return Figure.share(tally.accepted, tally.accepted + tally.rejected)


def _k12(tally: FunnelTally) -> Figure:
    decided = tally.accepted + tally.rejected
    return Figure.share(tally.rejected_on_marketing, decided, open_count=tally.undecided)


def _k12_event(tally: FunnelTally) -> Figure:
    return Figure.share(tally.rejected_on_marketing, tally.accepted + tally.rejected)


_LISTED: Final[tuple[Kpi, ...]] = (
    ClockKpi(
        kpi_id="S1",
        title="SLA compliance",
        formula="met / (met + breached), over clocks due in the period",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        edge_cases="ZOWRL",
        value=_s1,
    ),
    ClockKpi(
        kpi_id="S2",
        title="SLA compliance, strict",
        formula="met / (met + breached + excused), over clocks due in the period",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        edge_cases="ZOWRL",
        value=_s2,
    ),
    ClockKpi(
        kpi_id="S3",
        title="Compliance against the original deadline",
        formula="done by the original due instant / (met + breached), over clocks due in the period",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        edge_cases="ZOWRL",
        value=_s3,
    ),
    ClockKpi(
        kpi_id="S4",
        title="Open overdue",
        formula="clocks past due and not done, as things stand",
        unit="clocks",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        value=lambda tally: Figure.number(tally.overdue),
    ),
    ClockKpi(
        kpi_id="S5",
        title="Ever overdue in the period",
        formula="clocks due in the period and not met, done later or not",
        unit="clocks",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        value=lambda tally: Figure.number(tally.ever_overdue),
    ),
    ResponseKpi(
        kpi_id="S7",
        title="Time to first offer",
        formula="median of first offer − submission; those not offered yet still count",
        unit="seconds",
        edge_cases="CXT",
        parties=("system",),
        measure=Measure.ROUTING,
    ),
    ResponseKpi(
        kpi_id="S8",
        title="Time to accept",
        formula="median of acceptance − first offer; rejection and void end the waiting, expiry does not",
        unit="seconds",
        edge_cases="CXA",
        parties=_SALES,
        measure=Measure.TIME_TO_ACCEPT,
    ),
    ResponseKpi(
        kpi_id="S9",
        title="Time to decide",
        formula="median of the earlier of acceptance and rejection − first offer",
        unit="seconds",
        edge_cases="C",
        parties=_SALES,
        measure=Measure.TIME_TO_DECIDE,
    ),
    ResponseKpi(
        kpi_id="S10",
        title="Time to first follow-up, owner time",
        formula="median of business time from assignment to first follow-up, as its clock counted it",
        unit="business seconds",
        edge_cases="CXA",
        parties=_SALES,
        logs=("leads", "sla"),
        measure=Measure.OWNER_FIRST_FOLLOW_UP,
    ),
    ResponseKpi(
        kpi_id="S11",
        title="Speed to lead, buyer time",
        formula="median of first follow-up − inquiry (submission where no inquiry is known), wall time",
        unit="seconds",
        edge_cases="CXT",
        measure=Measure.BUYER_FIRST_FOLLOW_UP,
    ),
    ResponseKpi(
        kpi_id="S12",
        title="Time to first contact",
        formula="median of first two-way contact − inquiry, wall time",
        unit="seconds",
        edge_cases="CXT",
        measure=Measure.FIRST_CONTACT,
    ),
    HorizonKpi(
        kpi_id="S13",
        title="Followed up within 24 hours",
        formula="first follow-up within 24 h of the inquiry / handoffs whose inquiry is 24 h old",
        unit="ratio",
        edge_cases="ZXT",
        measure=Measure.BUYER_FIRST_FOLLOW_UP,
        horizon=24 * _HOUR,
        unanswered=False,
    ),
    HorizonKpi(
        kpi_id="S14",
        title="Untouched after 24 hours",
        formula="1 − S13",
        unit="ratio",
        edge_cases="ZXT",
        measure=Measure.BUYER_FIRST_FOLLOW_UP,
        horizon=24 * _HOUR,
        unanswered=True,
    ),
    HorizonKpi(
        kpi_id="S15",
        title="Never followed up",
        formula="no follow-up within 30 days of the inquiry / handoffs whose inquiry is 30 days old",
        unit="ratio",
        edge_cases="Z",
        measure=Measure.BUYER_FIRST_FOLLOW_UP,
        horizon=30 * 24 * _HOUR,
        unanswered=True,
    ),
    OfferKpi(
        kpi_id="S23",
        title="Offer expiry rate",
        formula="offers expired / offers ended, each on the day it ended and with the team that had it",
        unit="ratio",
        dimensions=(Dimension.TEAM, Dimension.MONTH),
        edge_cases="Z",
        parties=_SALES,
    ),
    ResponseKpi(
        kpi_id="K10",
        title="Source freshness",
        formula="median of submission − inquiry",
        unit="seconds",
        edge_cases="CT",
        parties=_MARKETING,
        measure=Measure.FRESHNESS,
    ),
    FunnelKpi(
        kpi_id="K11",
        title="Acceptance of marketing leads",
        formula="H1 without the channels " + ", ".join(sorted(MARKETING_SOURCED_EXCLUDES)),
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZOXKW",
        parties=_MARKETING,
        value=_h1,
        event_value=_h1_event,
        without_channels=MARKETING_SOURCED_EXCLUDES,
    ),
    FunnelKpi(
        kpi_id="K12",
        title="Rejections on marketing's account",
        formula="standing rejections counted on marketing / (accepted + rejected)",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZXK",
        parties=_MARKETING,
        value=_k12,
        event_value=_k12_event,
    ),
    FunnelKpi(
        kpi_id="H1",
        title="MQL to SAL acceptance",
        formula="accepted / (accepted + rejected); the undecided are open",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZOXKW",
        value=_h1,
        event_value=_h1_event,
    ),
    FunnelKpi(
        kpi_id="H2",
        title="SAL to SQL",
        formula="qualified / accepted",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZKC",
        anchor=Stage.ACCEPTED,
        value=lambda tally: Figure.share(tally.qualified, tally.items),
        event_value=lambda tally: Figure.quotient(tally.qualified, tally.accepted),
    ),
    FunnelKpi(
        kpi_id="H3",
        title="MQL to SQL",
        formula="qualified / submitted",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZK",
        value=lambda tally: Figure.share(tally.qualified, tally.items),
        event_value=lambda tally: Figure.quotient(tally.qualified, tally.items),
    ),
    FunnelKpi(
        kpi_id="H5",
        title="Lead to customer",
        formula="won / submitted",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZKCW",
        value=lambda tally: Figure.share(tally.won, tally.items),
        event_value=lambda tally: Figure.quotient(tally.won, tally.items),
        horizon_days=90,
    ),
    StageKpi(
        kpi_id="H6",
        title="Stage conversion",
        formula="reached the next stage / entered the stage; skipped stages are credited",
        unit="ratio",
        dimensions=(Dimension.STAGE, *HANDOFF_DIMENSIONS),
        split_by=Dimension.STAGE,
        bases=_BOTH,
        edge_cases="ZK",
    ),
    ReasonKpi(
        kpi_id="H9",
        title="Rejection reasons",
        formula="standing rejections with the reason / standing rejections",
        unit="ratio",
        dimensions=(Dimension.REASON_CODE, *HANDOFF_DIMENSIONS),
        bases=_BOTH,
        edge_cases="Z",
        split_by=Dimension.REASON_CODE,
    ),
    ReasonKpi(
        kpi_id="H10",
        title="Rejections by accountable party",
        formula="standing rejections counted on the party / standing rejections",
        unit="ratio",
        dimensions=(Dimension.PARTY, *HANDOFF_DIMENSIONS),
        bases=_BOTH,
        edge_cases="Z",
        split_by=Dimension.PARTY,
    ),
    FunnelKpi(
        kpi_id="H11",
        title="Recycle rate",
        formula="recycled / (accepted + rejected)",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZK",
        value=lambda tally: Figure.share(tally.recycled, tally.accepted + tally.rejected),
        event_value=lambda tally: Figure.quotient(tally.recycled, tally.accepted + tally.rejected),
    ),
    UnattendedKpi(
        kpi_id="H12",
        title="Lost in handoff",
        formula="open handoffs, once offered, not archived, that nobody owns or is offered; must be 0",
        unit="handoffs",
        dimensions=(),
        parties=("system",),
    ),
    ClockKpi(
        kpi_id="U15",
        title="Reviews with customers on time",
        formula="S1 over commitments to review with customers every so often",
        unit="ratio",
        dimensions=CLOCK_DIMENSIONS,
        logs=("leads", "sla"),
        edge_cases="ZO",
        parties=_SALES,
        kind="review",
        value=_s1,
    ),
    FunnelKpi(
        kpi_id="P6",
        title="Win rate",
        formula="cohort: won / opportunities made in the period; event: won / (won + lost) in the period",
        unit="ratio",
        bases=_BOTH,
        edge_cases="ZK",
        parties=_SALES,
        anchor=Stage.CONVERTED,
        value=lambda tally: Figure.share(
            tally.won, tally.items, open_count=tally.items - tally.won - tally.lost
        ),
        event_value=lambda tally: Figure.share(tally.won, tally.won + tally.lost),
    ),
    AmountKpi(
        kpi_id="P8",
        title="Average contract value",
        formula="amounts of won handoffs / won handoffs with a known amount, by the day they were won",
        unit="money",
        edge_cases="ZM",
        parties=_SALES,
        mean=True,
    ),
    AmountKpi(
        kpi_id="V1",
        title="Revenue, booked",
        formula="amounts of won handoffs, by the day they were won",
        unit="money",
        edge_cases="ML",
        parties=_SALES,
        mean=False,
    ),
    FunnelKpi(
        kpi_id="V3",
        title="New contracts",
        formula="handoffs won in the period, without the channels expansion and renewal",
        unit="handoffs",
        parties=_SALES,
        anchor=Stage.WON,
        without_channels=frozenset({"expansion", "renewal"}),
        value=lambda tally: Figure.number(tally.items),
    ),
)

_ALL: Final = (
    *_LISTED,
    *PROMISE_KPIS,
    *HANDOVER_KPIS,
    *PIPELINE_KPIS,
    *MONEY_KPIS,
    *SIGNAL_KPIS,
    *CUSTOMER_KPIS,
    *CYCLE_KPIS,
    *LEAD_KPIS,
    *FORECAST_KPIS,
    *ALIGNMENT_KPIS,
    *RETURN_KPIS,
)

KPIS: Final[Mapping[str, Kpi]] = {kpi.kpi_id: kpi for kpi in sorted(_ALL, key=lambda kpi: kpi.kpi_id)}
"""By id."""


def find_kpi(kpi_id: str) -> Kpi:
    """Return the definition.

    Raises:
        KpiUnknown: when no figure has this id.
    """
    kpi = KPIS.get(kpi_id)
    if kpi is None:
        raise KpiUnknown(kpi_id)
    return kpi
