"""The two parties beside each other, as a reader sees them."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from services.reports.domain.figures import Figure
from services.reports.store.figures import CommitmentScore, PartyScores, ScoreLine
from services.reports.web.charts import BULLET_FEW, Bullet, bullet
from services.reports.web.formats import DASH, Formats, Shown, clean
from services.reports.web.tables import Cell, Column, Table, figure_cell, unit_of
from services.reports.web.texts import Texts

__all__ = [
    "CommitmentView",
    "PartyView",
    "Standing",
    "Tile",
    "commitments_table",
    "figures_table",
    "parties",
    "tiles",
]

_BUSINESS_TIME: Final = frozenset({"S10"})
_MUST_BE_ZERO: Final = frozenset({"H12"})
_BOTH: Final = ("marketing", "sales")
_TITLE: Final = 140
_COUNTS: Final = ("met", "breached", "excused", "void", "open", "overdue")


class Standing(enum.StrEnum):
    """How a commitment stands to its objective; the value is the key of its text."""

    KEPT = "kept"
    MISSED = "missed"
    UNSURE = "unsure"
    UNDEFINED = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure with its name."""

    kpi_id: str
    label: str
    formula: str
    shown: Shown
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class CommitmentView:
    """One promise and how it was kept."""

    commitment_id: str
    title: str
    shown: Shown
    objective: str
    standing: Standing
    bullet: Bullet | None
    summary: str
    """What the bar says, in words."""
    counts: tuple[tuple[str, int], ...]
    """Key of the text, number."""


@dataclass(frozen=True, slots=True)
class PartyView:
    """One party's card."""

    party: str
    label: str
    commitments: tuple[CommitmentView, ...]
    tiles: tuple[Tile, ...]


def parties(found: Iterable[PartyScores], texts: Texts, formats: Formats, *, only: str) -> list[PartyView]:
    """Return the card of each party; both parties have one, or `only` the one that is to be seen."""
    known = {scores.party: scores for scores in found}
    wanted = [party for party in _BOTH if only in ("", party)]
    wanted += [party for party in known if party not in _BOTH]
    empty = PartyScores("", (), ())
    return [
        PartyView(
            party=party,
            label=texts.find(party, party),
            commitments=tuple(
                _commitment(score, texts, formats) for score in known.get(party, empty).commitments
            ),
            tiles=tuple(tiles(known.get(party, empty).lines, texts, formats)),
        )
        for party in wanted
    ]


def tiles(lines: Iterable[ScoreLine], texts: Texts, formats: Formats) -> list[Tile]:
    """Return figures with their names."""
    return [
        Tile(
            kpi_id=line.kpi.kpi_id,
            label=texts.find(f"kpi_{line.kpi.kpi_id}", line.kpi.title),
            formula=line.kpi.formula,
            shown=formats.figure(line.figure, business_time=line.kpi.kpi_id in _BUSINESS_TIME),
            alarm=line.kpi.kpi_id in _MUST_BE_ZERO and bool(line.figure.count),
        )
        for line in lines
    ]


def _commitment(score: CommitmentScore, texts: Texts, formats: Formats) -> CommitmentView:
    terms, tally = score.terms, score.tally
    shown = formats.figure(score.compliance)
    objective = formats.percent(terms.objective_basis_points / 10_000) if terms.objective_basis_points else ""
    title = clean(terms.title, longest=_TITLE)
    return CommitmentView(
        commitment_id=terms.commitment_id,
        title=title,
        shown=shown,
        objective=objective,
        standing=_standing(score.compliance, terms.objective_basis_points),
        bullet=bullet(score.compliance, terms.objective_basis_points),
        summary=texts("chart_compliance", title=title, share=shown.text, objective=objective or DASH),
        counts=tuple((name, getattr(tally, name)) for name in _COUNTS),
    )


def _standing(compliance: Figure, objective_basis_points: int) -> Standing:
    """Judge a share by its objective; a few clocks whose interval holds the objective prove nothing."""
    if compliance.ratio is None or not objective_basis_points:
        return Standing.UNDEFINED
    objective, interval = objective_basis_points / 10_000, compliance.interval
    few = (compliance.denominator or 0) < BULLET_FEW
    if few and interval is not None and interval.low <= objective <= interval.high:
        return Standing.UNSURE
    return Standing.KEPT if compliance.ratio >= objective else Standing.MISSED


def commitments_table(found: Iterable[PartyScores], texts: Texts, formats: Formats) -> Table:
    """Return every commitment with its counts."""
    columns = (
        Column("party", texts("party")),
        Column("commitment_id", texts("commitment")),
        Column("compliance", texts("compliance"), numeric=True),
        Column("objective", texts("objective"), numeric=True),
        *(Column(name, texts(name), numeric=True) for name in _COUNTS),
    )
    rows = []
    for scores in found:
        for score in scores.commitments:
            points = score.terms.objective_basis_points
            objective = points / 10_000 if points else None
            rows.append(
                (
                    Cell(texts.find(scores.party, scores.party), scores.party),
                    Cell(clean(score.terms.title, longest=_TITLE), score.terms.commitment_id),
                    figure_cell(score.compliance, formats.figure(score.compliance)),
                    Cell(DASH if objective is None else formats.percent(objective), objective),
                    *(_count(getattr(score.tally, name), formats) for name in _COUNTS),
                )
            )
    return Table("commitments", texts("scorecard"), columns, tuple(rows))


def figures_table(lines: Sequence[ScoreLine], texts: Texts, formats: Formats) -> Table:
    """Return the figures beside the commitments."""
    columns = (
        Column("kpi_id", "KPI"),
        Column("title", texts("figure")),
        Column("value", texts("value"), numeric=True),
        Column("unit", ""),
        Column("undefined_reason", ""),
        Column("numerator", texts("numerator"), numeric=True),
        Column("denominator", texts("denominator"), numeric=True),
    )
    rows = []
    for line in lines:
        shown = formats.figure(line.figure, business_time=line.kpi.kpi_id in _BUSINESS_TIME)
        reason = line.figure.undefined.value if line.figure.undefined else None
        unit = unit_of(line.figure, line.kpi.unit)
        rows.append(
            (
                Cell(line.kpi.kpi_id, line.kpi.kpi_id),
                Cell(texts.find(f"kpi_{line.kpi.kpi_id}", line.kpi.title), line.kpi.title),
                figure_cell(line.figure, shown),
                Cell(unit, unit),
                Cell(shown.reason, reason),
                Cell(str(line.figure.numerator or ""), line.figure.numerator),
                Cell(str(line.figure.denominator or ""), line.figure.denominator),
            )
        )
    return Table("figures", texts("headline"), columns, tuple(rows))


def _count(number: int, formats: Formats) -> Cell:
    return Cell(formats.number(number), number)
