"""Figures of what happens around a handoff: attempts, evidence, disputes, returns, owners, the definition."""

from typing import Final

from services.reports.domain.figures import Figure
from services.reports.domain.kpi_kinds import (
    AmountKpi,
    BacklogAgeKpi,
    Basis,
    FeedbackKpi,
    Kpi,
    StageKpi,
    TallyKpi,
    TallyRow,
)
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.tallies import MOST_ATTEMPTS, RETURN_HORIZON_DAYS

__all__ = ["ACTED_THRESHOLD", "HANDOVER_KPIS"]

ACTED_THRESHOLD: Final = 3
"""A theme that the field told of so often wants an answer."""

_SALES: Final = ("sales",)
_MARKETING: Final = ("marketing",)


def _with(*dimensions: Dimension) -> tuple[Dimension, ...]:
    return (*dimensions, *HANDOFF_DIMENSIONS)


def _number_of_items(row: TallyRow) -> Figure:
    return Figure.share(row.number, row.items)


def _numbered(row: TallyRow, word: str) -> int:
    return sum(number for (first, _), (_, number) in row.words.items() if first == word)


def _second(row: TallyRow, word: str) -> int:
    return sum(items for (_, other), (items, _) in row.words.items() if other == word)


def _disputed(row: TallyRow) -> Figure:
    return Figure.share(row.items - _second(row, ""), row.items)


def _overturned(row: TallyRow) -> Figure:
    overturned = _second(row, "overturned")
    return Figure.share(overturned, overturned + _second(row, "upheld"), open_count=_second(row, "open"))


def _conforming(row: TallyRow) -> Figure:
    met = sum(items for (word, _), (items, _) in row.words.items() if word == "met")
    return Figure.share(met, row.items)


def _whole(row: TallyRow) -> Figure:
    whole = sum(items for key, (items, _) in row.words.items() if key == ("required", "whole"))
    return Figure.share(whole, sum(i for (word, _), (i, _) in row.words.items() if word == "required"))


HANDOVER_KPIS: Final[tuple[Kpi, ...]] = (
    TallyKpi(
        kpi_id="S17",
        title="Attempts before giving up",
        formula="attempts / handoffs lost, disqualified or recycled without any contact, by the day "
        "they were",
        unit="ratio",
        edge_cases="ZR",
        parties=_SALES,
        anchor="given_up",
        value=lambda row: Figure.quotient(row.number, row.items),
    ),
    TallyKpi(
        kpi_id="S18",
        title="Attempt yield",
        formula=f"contacts at the attempt / such attempts made; the {MOST_ATTEMPTS}th and all behind "
        "it are one",
        unit="ratio",
        dimensions=_with(Dimension.ATTEMPT, Dimension.FOLLOW_UP_CHANNEL),
        edge_cases="ZW",
        parties=_SALES,
        split_by=Dimension.ATTEMPT,
        anchor="attempt",
        word=Dimension.ATTEMPT,
        other=Dimension.FOLLOW_UP_CHANNEL,
        value=_number_of_items,
    ),
    TallyKpi(
        kpi_id="S20",
        title="Feedback completeness",
        formula="standing rejections and disqualifications with evidence / all of them",
        unit="ratio",
        dimensions=_with(Dimension.REASON_CODE),
        edge_cases="Z",
        parties=_SALES,
        anchor="refusal",
        word=Dimension.REASON_CODE,
        value=_number_of_items,
    ),
    TallyKpi(
        kpi_id="S21",
        title="Backlog",
        formula="open handoffs in the state, archived ones left out, as things stand",
        unit="handoffs",
        dimensions=_with(Dimension.STATE),
        anchor="backlog",
        word=Dimension.STATE,
        value=lambda row: Figure.number(row.items),
        all_time=True,
    ),
    BacklogAgeKpi(
        kpi_id="S22",
        title="Backlog age",
        formula="median of now − the day they came to their state, over open handoffs; no estimate of "
        "a duration",
        unit="seconds",
        dimensions=_with(Dimension.STATE),
        edge_cases="Z",
    ),
    TallyKpi(
        kpi_id="S24",
        title="Reassignments a handoff",
        formula="reassignments, those after a miss and those by hand / handoffs submitted in the period",
        unit="ratio",
        dimensions=_with(Dimension.REASON_CODE),
        edge_cases="ZRA",
        parties=_SALES,
        anchor="reassigned",
        word=Dimension.REASON_CODE,
        value=lambda row: Figure.quotient(row.number, row.cohort.items),
        always=True,
    ),
    TallyKpi(
        kpi_id="S33",
        title="Evidence of follow-ups",
        formula="follow-ups of the grade / all follow-ups, back-dated ones too, by the day they happened",
        unit="ratio",
        dimensions=_with(Dimension.EVIDENCE_GRADE, Dimension.FOLLOW_UP_CHANNEL),
        edge_cases="ZP",
        parties=_SALES,
        split_by=Dimension.EVIDENCE_GRADE,
        anchor="follow_up",
        word=Dimension.EVIDENCE_GRADE,
        other=Dimension.FOLLOW_UP_CHANNEL,
        value=lambda row: Figure.share(row.items, row.whole),
    ),
    AmountKpi(
        kpi_id="K3",
        title="Marketing value delivered",
        formula="values that marketing gave handoffs submitted in the period, without void ones and "
        "those rejected "
        "on marketing's account",
        unit="money",
        edge_cases="M",
        parties=_MARKETING,
        anchor="promised",
        mean=False,
    ),
    TallyKpi(
        kpi_id="K6",
        title="Definition conformance",
        formula="handoffs that met the MQL definition in force, as leads found / those held against one",
        unit="ratio",
        edge_cases="Z",
        parties=_MARKETING,
        anchor="definition",
        value=_conforming,
    ),
    TallyKpi(
        kpi_id="K7",
        title="Completeness",
        formula="required fields filled in / required fields, over handoffs submitted in the period",
        unit="ratio",
        edge_cases="ZR",
        parties=_MARKETING,
        anchor="fields",
        value=lambda row: Figure.quotient(_numbered(row, "valid"), _numbered(row, "required")),
    ),
    TallyKpi(
        kpi_id="K7.whole",
        title="Complete handoffs",
        formula="handoffs with every required field / those held against a definition",
        unit="ratio",
        edge_cases="Z",
        parties=_MARKETING,
        anchor="fields",
        value=_whole,
    ),
    TallyKpi(
        kpi_id="K9",
        title="Duplicate rate",
        formula="submissions that belonged to an open handoff / all submissions, by their own source; "
        "corrections are none",
        unit="ratio",
        edge_cases="Z",
        parties=_MARKETING,
        anchor="joined",
        value=lambda row: Figure.share(row.items, row.items + row.cohort.items),
        always=True,
    ),
    TallyKpi(
        kpi_id="K13",
        title="Dispute rate",
        formula="rejections that were disputed / all rejections, overturned ones too, by the day of "
        "rejection",
        unit="ratio",
        dimensions=_with(Dimension.REASON_CODE),
        edge_cases="Z",
        parties=_MARKETING,
        anchor="rejection",
        word=Dimension.REASON_CODE,
        value=_disputed,
    ),
    TallyKpi(
        kpi_id="K13.overturned",
        title="Overturn rate",
        formula="disputes overturned / disputes answered; unanswered ones are open",
        unit="ratio",
        dimensions=_with(Dimension.REASON_CODE),
        edge_cases="ZO",
        anchor="rejection",
        word=Dimension.REASON_CODE,
        value=_overturned,
    ),
    TallyKpi(
        kpi_id="K14",
        title="Nurture return",
        formula=f"recycled handoffs whose lead qualified again within {RETURN_HORIZON_DAYS} days / "
        "those recycled at least so long ago",
        unit="ratio",
        dimensions=_with(Dimension.REASON_CODE),
        edge_cases="Z",
        parties=_MARKETING,
        anchor="recycling",
        word=Dimension.REASON_CODE,
        value=_number_of_items,
        horizon_days=RETURN_HORIZON_DAYS,
    ),
    StageKpi(
        kpi_id="H13",
        title="Volume by stage",
        formula="handoffs that reached the stage; skipped stages are credited",
        unit="handoffs",
        dimensions=_with(Dimension.STAGE),
        split_by=Dimension.STAGE,
        bases=(Basis.COHORT, Basis.EVENT),
        edge_cases="K",
        counts=True,
    ),
    TallyKpi(
        kpi_id="H15",
        title="Handoff friction",
        formula="handoffs with a second owner before their first follow-up / handoffs followed up",
        unit="ratio",
        edge_cases="Z",
        parties=_SALES,
        anchor="friction",
        value=lambda row: Figure.share(row.items, row.cohort.worked),
        always=True,
    ),
    TallyKpi(
        kpi_id="H16",
        title="Contact by response band",
        formula="handoffs with a contact / handoffs whose first follow-up came in the band; never "
        "touched is a band. "
        "Association, not cause",
        unit="ratio",
        dimensions=_with(Dimension.RESPONSE_BAND),
        edge_cases="ZW",
        split_by=Dimension.RESPONSE_BAND,
        anchor="band",
        word=Dimension.RESPONSE_BAND,
        value=_number_of_items,
    ),
    TallyKpi(
        kpi_id="H16.qualified",
        title="Qualification by response band",
        formula="handoffs qualified / handoffs whose first follow-up came in the band. Association, "
        "not cause",
        unit="ratio",
        dimensions=_with(Dimension.RESPONSE_BAND),
        edge_cases="ZW",
        split_by=Dimension.RESPONSE_BAND,
        anchor="band",
        word=Dimension.RESPONSE_BAND,
        value=lambda row: Figure.share(_second(row, "qualified"), row.items),
    ),
    TallyKpi(
        kpi_id="V7",
        title="Activity volume",
        formula="follow-ups, by the day they happened; notes, tasks and automatic mail are none",
        unit="follow-ups",
        dimensions=_with(Dimension.FOLLOW_UP_CHANNEL, Dimension.EVIDENCE_GRADE),
        parties=_SALES,
        anchor="follow_up",
        word=Dimension.EVIDENCE_GRADE,
        other=Dimension.FOLLOW_UP_CHANNEL,
        value=lambda row: Figure.number(row.items),
    ),
    FeedbackKpi(
        kpi_id="A5",
        title="Feedback loop latency",
        formula="median from feedback to marketing's first answer, of feedback given in the period; "
        "the unanswered still wait",
        unit="seconds",
        dimensions=(Dimension.THEME,),
        edge_cases="C",
        parties=_MARKETING,
        reading="answered",
    ),
    FeedbackKpi(
        kpi_id="A6",
        title="Feedback acted on",
        formula=f"themes with something done / themes told at least {ACTED_THRESHOLD} times in the period",
        unit="ratio",
        dimensions=(),
        edge_cases="Z",
        parties=_MARKETING,
        reading="acted",
    ),
)
