"""Figures of leads, each counted once however often it was handed over, and of the stages they stand in."""

from typing import Final

from services.reports.domain.figures import Figure
from services.reports.domain.funnel import Stage
from services.reports.domain.further_kinds import FurtherKpi, LeadKpi, LeadView, UntoldKpi
from services.reports.domain.kpi_kinds import Basis, Kpi, TallyKpi, TallyRow
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.tallies import REPURCHASE_DAYS

__all__ = ["LEAD_KPIS", "SETTLED_DAYS"]

OUTBOUND: Final = frozenset({"cold_call", "outbound_email", "networking", "personal_selling"})
"""Channels by which sales went to the buyer; by all others the buyer came."""

SETTLED_DAYS: Final = 90
"""A handoff so old is taken to be decided, for calibrating scores."""

_MEETINGS: Final = frozenset({"meeting_in_person", "meeting_online", "demo"})
_RENEWED: Final = frozenset({"expansion", "renewal"})
_STAGES: Final = (Dimension.STAGE, *HANDOFF_DIMENSIONS)
_AT_ONCE: Final = tuple(each for each in _STAGES if each is not Dimension.MONTH)
_SALES: Final = ("sales",)
_MARKETING: Final = ("marketing",)


def _leads(view: LeadView) -> int:
    return view.cohort.items - view.of("known")


def _converted(view: LeadView) -> Figure:
    converted = view.cohort.converted - view.of("known", "converted") + view.of("credited")
    return Figure.share(converted, _leads(view))


def _new_customers(view: LeadView) -> Figure:
    return Figure.number(view.cohort.items - view.of("bought again"))


def _bought_twice(view: LeadView) -> Figure:
    return Figure.share(view.of("second purchase"), view.cohort.items - view.of("bought again"))


def _yield(view: LeadView) -> Figure:
    return Figure.share(view.cohort.won, view.cohort.items)


def _held(row: TallyRow) -> Figure:
    meetings = [sums for (_, channel), sums in row.words.items() if channel in _MEETINGS]
    return Figure.share(sum(held for _, held in meetings), sum(items for items, _ in meetings))


def _won_of_band(row: TallyRow) -> Figure:
    won = sum(items for (_, outcome), (items, _) in row.words.items() if outcome == "won")
    still = sum(items for (_, outcome), (items, _) in row.words.items() if not outcome)
    return Figure.share(won, row.items - still, open_count=still)


LEAD_KPIS: Final[tuple[Kpi, ...]] = (
    LeadKpi(
        kpi_id="H4",
        title="Lead to opportunity",
        formula="leads that became an opportunity, if only when they came back / leads, each once, "
        "where it was first handed over",
        unit="ratio",
        bases=(Basis.COHORT,),
        edge_cases="ZK",
        anchors=("known", "credited"),
        value=_converted,
    ),
    FurtherKpi(
        kpi_id="H7",
        title="Time in stage",
        formula="median from entering the stage to the next one, of handoffs submitted in the period; those "
        "that stay still count, leaving the way to a sale ends the waiting; skipped stages are passed at "
        "once",
        unit="seconds",
        dimensions=_STAGES,
        split_by=Dimension.STAGE,
        edge_cases="CX",
        reading="stays",
    ),
    FurtherKpi(
        kpi_id="H8",
        title="Balance of stages",
        formula="handoffs in the stage when the period ends, or now: all that came to it − all that went on "
        "or left; archived history in neither",
        unit="handoffs",
        dimensions=_AT_ONCE,
        split_by=Dimension.STAGE,
        reading="balance",
    ),
    FurtherKpi(
        kpi_id="H8.in",
        title="Inflow of stages",
        formula="handoffs that came to the stage in the period; skipped stages are credited",
        unit="handoffs",
        dimensions=_STAGES,
        split_by=Dimension.STAGE,
        reading="inflow",
    ),
    FurtherKpi(
        kpi_id="H8.out",
        title="Outflow of stages",
        formula="handoffs that went on from the stage, or left the way to a sale there, in the period",
        unit="handoffs",
        dimensions=_STAGES,
        split_by=Dimension.STAGE,
        reading="outflow",
    ),
    FurtherKpi(
        kpi_id="H14",
        title="Value by state",
        formula="of open handoffs, as things stand: values that marketing gave them before an opportunity, "
        "amounts of opportunities after; the two are never added",
        unit="money",
        dimensions=(Dimension.STATE,),
        split_by=Dimension.STATE,
        edge_cases="M",
        reading="value",
    ),
    UntoldKpi(
        kpi_id="H17",
        title="Effect of speed",
        formula="mean outcome of those assigned to be answered fast − of the others, as assigned; undefined: "
        "no log tells of an assignment by chance, and H16 is no stand-in for it",
        unit="ratio",
        dimensions=(Dimension.SEGMENT,),
        edge_cases="W",
    ),
    LeadKpi(
        kpi_id="K8",
        title="Reachable leads",
        formula="handoffs without a number or address that failed / handoffs followed up",
        unit="ratio",
        edge_cases="Z",
        parties=_MARKETING,
        anchors=("unreachable",),
        value=lambda view: Figure.share(view.cohort.worked - view.of("unreachable"), view.cohort.worked),
    ),
    FurtherKpi(
        kpi_id="K15",
        title="Drift of the mix of segments",
        formula="Σ (a − b) · ln(a / b) over segments; a: shares of handoffs submitted in the period, b: in "
        "the 365 days before the agreement in force began; above 0.25 wants a review",
        unit="number",
        dimensions=(Dimension.SOURCE,),
        parties=_MARKETING,
        logs=("leads", "sla"),
        edge_cases="Z",
        reading="drift of segments",
    ),
    FurtherKpi(
        kpi_id="K15.score",
        title="Drift of the mix of scores",
        formula="as K15, over bands of the score at submission",
        unit="number",
        dimensions=(Dimension.SOURCE,),
        parties=_MARKETING,
        logs=("leads", "sla"),
        edge_cases="Z",
        reading="drift of scores",
    ),
    TallyKpi(
        kpi_id="L1",
        title="Conversion by score band",
        formula="won / won or ended, by band of the score at submission, of handoffs submitted at least "
        f"{SETTLED_DAYS} days ago; those still open are shown beside",
        unit="ratio",
        dimensions=(Dimension.SCORE_BAND, *HANDOFF_DIMENSIONS),
        edge_cases="ZOW",
        parties=_MARKETING,
        split_by=Dimension.SCORE_BAND,
        anchor="score",
        word=Dimension.SCORE_BAND,
        value=_won_of_band,
        horizon_days=SETTLED_DAYS,
    ),
    FurtherKpi(
        kpi_id="L1.inversions",
        title="Score bands out of order",
        formula="bands of L1 that won a smaller share than a band of a lower mean score, of bands with "
        "anything settled; 0 where scores are calibrated",
        unit="bands",
        dimensions=(),
        edge_cases="Z",
        parties=_MARKETING,
        reading="inversions",
    ),
    LeadKpi(
        kpi_id="G19",
        title="Leads generated",
        formula="leads first handed over in the period; those that came back, duplicates and void ones are "
        "none",
        unit="leads",
        parties=_MARKETING,
        anchors=("known",),
        value=lambda view: Figure.number(_leads(view)),
    ),
    LeadKpi(
        kpi_id="U10",
        title="Repeat purchase",
        formula=f"customers who bought again within {REPURCHASE_DAYS} days / customers whose first purchase "
        "lies at least so far back, by the day of the first",
        unit="ratio",
        edge_cases="Z",
        stage=Stage.WON,
        anchors=("bought again", "second purchase"),
        value=_bought_twice,
        horizon_days=REPURCHASE_DAYS,
    ),
    LeadKpi(
        kpi_id="V6",
        title="New customers",
        formula="leads won for the first time in the period, without the channels expansion and renewal",
        unit="customers",
        parties=_SALES,
        stage=Stage.WON,
        without_channels=_RENEWED,
        anchors=("bought again",),
        value=_new_customers,
    ),
    TallyKpi(
        kpi_id="V8",
        title="Meetings held",
        formula="meetings and demonstrations at which both were there / all that were due and logged; the "
        "others were missed or called off too late",
        unit="ratio",
        dimensions=(Dimension.FOLLOW_UP_CHANNEL, *HANDOFF_DIMENSIONS),
        edge_cases="Z",
        parties=_SALES,
        anchor="follow_up",
        other=Dimension.FOLLOW_UP_CHANNEL,
        value=_held,
    ),
    LeadKpi(
        kpi_id="V12",
        title="Inbound yield",
        formula="won / submitted, without the channels " + ", ".join(sorted(OUTBOUND)),
        unit="ratio",
        bases=(Basis.COHORT,),
        edge_cases="ZK",
        without_channels=OUTBOUND,
        value=_yield,
    ),
    LeadKpi(
        kpi_id="V12.outbound",
        title="Outbound yield",
        formula="won / submitted, of the channels " + ", ".join(sorted(OUTBOUND)),
        unit="ratio",
        bases=(Basis.COHORT,),
        edge_cases="ZK",
        only_channels=OUTBOUND,
        value=_yield,
    ),
)
