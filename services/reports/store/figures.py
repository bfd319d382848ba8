"""Answers: figures from tallies, for the RPCs and the pages alike. No gRPC and no wire in sight."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

from sqlalchemy import Connection

from services.reports.domain.clocks import ClockTally
from services.reports.domain.errors import BasisRequired, DimensionUnsupported
from services.reports.domain.figures import Amount, Figure
from services.reports.domain.funnel import STAGES, FunnelTally, Stage
from services.reports.domain.kpi_kinds import (
    AmountKpi,
    Basis,
    ClockKpi,
    FunnelKpi,
    HorizonKpi,
    Kpi,
    OfferKpi,
    PipelineKpi,
    ReasonKpi,
    ResponseKpi,
    StageKpi,
    UnattendedKpi,
)
from services.reports.domain.kpis import find_kpi
from services.reports.domain.labels import HANDOFF_DIMENSIONS, Dimension
from services.reports.domain.periods import Period
from services.reports.domain.promise_kpis import CLOCK_DIMENSIONS
from services.reports.domain.reports import Section
from services.reports.domain.responses import Measure, ResponseItems
from services.reports.store.deal_sums import DealSums
from services.reports.store.further import FurtherReadings
from services.reports.store.input_readings import InputReadings
from services.reports.store.pipeline import PipelineQueries
from services.reports.store.queries import CommitmentTerms, GroupKey, Queries, Question
from services.reports.store.readings import Readings
from services.reports.store.responses import ResponseQueries

__all__ = [
    "CLOCK_DIMENSIONS",
    "ClockRow",
    "CommitmentScore",
    "FigureRow",
    "Figures",
    "FunnelRow",
    "PartyScores",
    "ResponseRow",
    "ScoreLine",
    "Scores",
]

T = TypeVar("T")

_RESPONSES = (Measure.TIME_TO_ACCEPT, Measure.OWNER_FIRST_FOLLOW_UP, Measure.BUYER_FIRST_FOLLOW_UP)
_SALES_LINES = (("H1", Basis.COHORT), ("S8", None), ("S10", None), ("S23", None), ("P6", Basis.EVENT))
_MARKETING_LINES = (("K11", Basis.COHORT), ("K12", Basis.COHORT), ("K10", None))
_JOINT_LINES = (("S11", None), ("S14", None), ("H5", Basis.COHORT), ("V1", None), ("H12", None))


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A figure of one group."""

    group: GroupKey
    figure: Figure


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """The funnel of one group."""

    group: GroupKey
    tally: FunnelTally
    won_amounts: tuple[Amount, ...]
    won_ratio: Figure


@dataclass(frozen=True, slots=True)
class ClockRow:
    """The compliance of one group."""

    group: GroupKey
    tally: ClockTally
    compliance: Figure
    strict_compliance: Figure


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """One measure in one group."""

    group: GroupKey
    measure: Measure
    items: ResponseItems


@dataclass(frozen=True, slots=True)
class CommitmentScore:
    """How one commitment stands."""

    terms: CommitmentTerms
    tally: ClockTally
    compliance: Figure


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """Another figure beside the commitments."""

    kpi: Kpi
    figure: Figure


@dataclass(frozen=True, slots=True)
class PartyScores:
    """One party's part."""

    party: str
    commitments: tuple[CommitmentScore, ...]
    lines: tuple[ScoreLine, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Both parties beside each other."""

    parties: tuple[PartyScores, ...]
    joint: tuple[ScoreLine, ...]


class Figures:
    """Computes figures inside the caller's read transaction."""

    def __init__(self, queries: Queries, responses: ResponseQueries | None = None) -> None:
        self.queries = queries
        self._responses = responses or ResponseQueries(queries)
        self._readings = Readings(queries)
        self._further = FurtherReadings(queries, self._responses)
        self._pipeline = PipelineQueries(queries)
        self._deals = DealSums(queries)
        self.inputs = InputReadings(queries, self._pipeline)
        """Figures of what people and systems recorded."""

    def query(
        self, connection: Connection, kpi_id: str, question: Question, basis: Basis | None
    ) -> list[FigureRow]:
        """Return the figure for each group, in order of the groups; without groups exactly one row.

        Raises:
            KpiUnknown, DimensionUnsupported, BasisRequired: when it cannot be asked so.
        """
        kpi = find_kpi(kpi_id)
        _check_dimensions(kpi.kpi_id, question.group_by, kpi.dimensions)
        if kpi.bases and basis not in kpi.bases:
            raise BasisRequired(kpi_id)
        return self._rows(connection, kpi, question, basis or Basis.COHORT)

    def funnel(self, connection: Connection, question: Question, basis: Basis) -> list[FunnelRow]:
        """Return how many handoffs reached each stage, by group; without groups exactly one row."""
        _check_dimensions("the funnel", question.group_by, HANDOFF_DIMENSIONS)
        cohort = basis is Basis.COHORT
        queries = self.queries
        tallies = (
            queries.cohort(connection, question, Stage.SUBMITTED)
            if cohort
            else queries.entries(connection, question)
        )
        amounts = queries.amounts(connection, question, (Stage.SUBMITTED if cohort else Stage.WON).value)
        if not question.group_by:
            tallies = tallies or {(): FunnelTally()}
        kpi = find_kpi("H5")
        figures = {row.group: row.figure for row in self._rows(connection, kpi, question, basis)}
        return [
            FunnelRow(
                group,
                tallies[group],
                tuple(
                    Amount(currency, minor_units)
                    for currency, (_, minor_units) in sorted(amounts.get(group, {}).items())
                    if currency
                ),
                figures[group],
            )
            for group in _ordered(tallies)
        ]

    def compliance(self, connection: Connection, question: Question) -> list[ClockRow]:
        """Return how commitments were kept, by group; without groups by commitment."""
        _check_dimensions("compliance", question.group_by, CLOCK_DIMENSIONS)
        if not question.group_by:
            question = replace(question, group_by=(Dimension.COMMITMENT,))
        tallies = self.queries.clocks(connection, question)
        return [
            ClockRow(
                group,
                tallies[group],
                _clock_figure("S1", tallies[group]),
                _clock_figure("S2", tallies[group]),
            )
            for group in _ordered(tallies)
        ]

    def response_times(self, connection: Connection, question: Question) -> list[ResponseRow]:
        """Return each measure of response in each group; without groups one row a measure."""
        _check_dimensions("response times", question.group_by, HANDOFF_DIMENSIONS)
        rows: list[ResponseRow] = []
        for measure in _RESPONSES:
            found = self._responses.items(connection, question, measure)
            if not question.group_by:
                found = found or {(): ResponseItems()}
            rows += [ResponseRow(group, measure, found[group]) for group in _ordered(found)]
        return rows

    def response_items(self, connection: Connection, question: Question, measure: Measure) -> ResponseItems:
        """Return the items of one measure over all groups."""
        return self._responses.items(connection, replace(question, group_by=()), measure).get(
            (), ResponseItems()
        )

    def report(
        self, connection: Connection, question: Question, sections: Iterable[Section]
    ) -> list[tuple[Section, list[FigureRow]]]:
        """Return the figures of a report: those of the party that the question is limited to, or all."""
        # Several rest on the same items: within this answer they are read once.
        once = Figures(self.queries, self._responses.remembering())
        return [
            (
                section,
                once.query(
                    connection, section.kpi_id, replace(question, group_by=section.group_by), section.basis
                ),
            )
            for section in sections
            if not question.party or question.party in find_kpi(section.kpi_id).parties
        ]

    def scores(self, connection: Connection, question: Question) -> Scores:
        """Return what each party promised and how it stands, with the figures beside it."""
        by_commitment = self.queries.clocks(
            connection, replace(question, group_by=(Dimension.COMMITMENT, Dimension.PARTY))
        )
        terms = {item.commitment_id: item for item in self.queries.commitments(connection, question.tenant)}
        promised = {
            (item.commitment_id, party) for item in terms.values() for party in item.parties if item.active
        }
        counted = {(commitment or "", party or "") for commitment, party in by_commitment}
        # Several lines rest on the same items: within this answer they are read once.
        once = Figures(self.queries, self._responses.remembering())
        parties = []
        for party in ("marketing", "sales", "system"):
            commitments = tuple(
                _score(commitment, party, terms, by_commitment.get((commitment, party), ClockTally()))
                for commitment in sorted(known for known, of in promised | counted if of == party)
            )
            lines = once._lines(connection, question, party)
            if commitments or lines:
                parties.append(PartyScores(party, commitments, lines))
        return Scores(tuple(parties), once._lines(connection, question, "joint"))

    def _lines(self, connection: Connection, question: Question, party: str) -> tuple[ScoreLine, ...]:
        wanted: Sequence[tuple[str, Basis | None]] = {
            "marketing": _MARKETING_LINES,
            "sales": _SALES_LINES,
            "joint": _JOINT_LINES,
        }.get(party, ())
        whole = replace(question, group_by=())
        return tuple(
            ScoreLine(find_kpi(kpi_id), self.query(connection, kpi_id, whole, basis)[0].figure)
            for kpi_id, basis in wanted
        )

    # One family of figures each.

    def _rows(self, connection: Connection, kpi: Kpi, question: Question, basis: Basis) -> list[FigureRow]:
        recorded = self.inputs.rows(connection, kpi, question, basis)
        if recorded is None:
            recorded = self._further.rows(connection, kpi, question)
        if recorded is not None:
            figures = dict(recorded)
            return [FigureRow(group, figures[group]) for group in _ordered(figures)]
        match kpi:
            case ClockKpi():
                asked = replace(question, kind=kpi.kind)
                tallies = self.queries.clocks(connection, asked) or _one(question, ClockTally())
                return [FigureRow(group, kpi.value(tallies[group])) for group in _ordered(tallies)]
            case FunnelKpi():
                return self._funnel_rows(connection, kpi, question, basis)
            case StageKpi():
                return self._stage_rows(connection, kpi, question, basis)
            case ReasonKpi():
                return self._reason_rows(connection, kpi, question, basis)
            case ResponseKpi() | HorizonKpi():
                return self._response_rows(connection, kpi, question)
            case _:
                return self._other_rows(connection, kpi, question)

    def _funnel_rows(
        self, connection: Connection, kpi: FunnelKpi, question: Question, basis: Basis
    ) -> list[FigureRow]:
        without = kpi.without_channels
        if basis is Basis.EVENT and kpi.event_value is not None:
            value = kpi.event_value
            tallies = self.queries.entries(connection, question, without=without)
        else:
            value = kpi.value
            tallies = self.queries.cohort(connection, question, kpi.anchor, without=without)
        tallies = tallies or _one(question, FunnelTally())
        rows = [FigureRow(group, value(tallies[group])) for group in _ordered(tallies)]
        if basis is Basis.EVENT or not kpi.horizon_days:
            return rows
        mature = self._mature(connection, kpi, question)
        return [
            replace(row, figure=replace(row.figure, maturity=mature.get(row.group, 0) / items))
            if (items := tallies[row.group].items)
            else row
            for row in rows
        ]

    def _mature(self, connection: Connection, kpi: FunnelKpi, question: Question) -> dict[GroupKey, int]:
        """Return how many of each group's cohort have been observed for the whole horizon."""
        today = self.queries.days(connection, question.tenant).day_of(question.now)
        asked = question.period or Period(1, today + 1)
        period = asked.before(today - kpi.horizon_days)
        if period is None:
            return {}
        tallies = self.queries.cohort(
            connection, replace(question, period=period), kpi.anchor, without=kpi.without_channels
        )
        return {group: tally.items for group, tally in tallies.items()}

    def _stage_rows(
        self, connection: Connection, kpi: StageKpi, question: Question, basis: Basis
    ) -> list[FigureRow]:
        if kpi.counts:
            return self._stage_counts(connection, question, basis)
        others = tuple(dimension for dimension in question.group_by if dimension is not Dimension.STAGE)
        asked = replace(question, group_by=others)
        at = question.group_by.index(Dimension.STAGE) if Dimension.STAGE in question.group_by else 0
        entered = self.queries.entries(connection, asked) if basis is Basis.EVENT else {}
        rows: list[FigureRow] = []
        for number, (stage, following) in enumerate(pairwise(STAGES)):
            tallies = entered if basis is Basis.EVENT else self.queries.cohort(connection, asked, stage)
            for group in _ordered(tallies or _one(asked, FunnelTally())):
                tally = tallies.get(group, FunnelTally())
                reached = getattr(tally, following.value)
                began = tally.items if number == 0 or basis is Basis.COHORT else getattr(tally, stage.value)
                figure = (Figure.share if basis is Basis.COHORT else Figure.quotient)(reached, began)
                rows.append(FigureRow((*group[:at], stage.value, *group[at:]), figure))
        return rows

    def _stage_counts(self, connection: Connection, question: Question, basis: Basis) -> list[FigureRow]:
        others = tuple(dimension for dimension in question.group_by if dimension is not Dimension.STAGE)
        asked = replace(question, group_by=others)
        at = question.group_by.index(Dimension.STAGE) if Dimension.STAGE in question.group_by else 0
        if basis is Basis.COHORT:
            tallies = self.queries.cohort(connection, asked, Stage.SUBMITTED)
        else:
            tallies = self.queries.entries(connection, asked)
        tallies = tallies or _one(asked, FunnelTally())
        return [
            FigureRow((*group[:at], stage.value, *group[at:]), Figure.number(_reached(tallies[group], stage)))
            for stage in STAGES
            for group in _ordered(tallies)
        ]

    def _reason_rows(
        self, connection: Connection, kpi: ReasonKpi, question: Question, basis: Basis
    ) -> list[FigureRow]:
        group_by = kpi.grouped_by(question.group_by)
        at = group_by.index(kpi.split_by or Dimension.REASON_CODE)
        anchor = Stage.SUBMITTED if basis is Basis.COHORT else Stage.REJECTED
        found = self.queries.rejections(connection, replace(question, group_by=group_by), anchor)
        whole: dict[GroupKey, int] = {}
        for group, items in found.items():
            rest = (*group[:at], *group[at + 1 :])
            whole[rest] = whole.get(rest, 0) + items
        return [
            FigureRow(group, Figure.share(found[group], whole[(*group[:at], *group[at + 1 :])]))
            for group in _ordered(found)
        ]

    def _response_rows(
        self, connection: Connection, kpi: ResponseKpi | HorizonKpi, question: Question
    ) -> list[FigureRow]:
        if isinstance(kpi, HorizonKpi):
            found = self._responses.items_so_old(connection, question, kpi.measure, kpi.horizon)
        else:
            found = self._responses.items(connection, question, kpi.measure)
        found = found or _one(question, ResponseItems())
        return [FigureRow(group, _response_figure(kpi, found[group])) for group in _ordered(found)]

    def _other_rows(self, connection: Connection, kpi: Kpi, question: Question) -> list[FigureRow]:
        match kpi:
            case OfferKpi():
                ends = self.queries.offer_ends(connection, question) or _one(question, {})
                return [
                    FigureRow(group, Figure.share(ends[group].get("expired", 0), ends[group].get("items", 0)))
                    for group in _ordered(ends)
                ]
            case AmountKpi():
                amounts = self.queries.amounts(connection, question, kpi.anchor) or _one(question, {})
                currency = self.queries.currency(connection, question.tenant)
                return [
                    FigureRow(
                        group,
                        Figure.mean_of(amounts[group])
                        if kpi.mean
                        else Figure.sum_of(amounts[group], default_currency=currency),
                    )
                    for group in _ordered(amounts)
                ]
            case UnattendedKpi():
                number = self.queries.unattended(connection, question.tenant)
                return [FigureRow((), Figure.number(number))]
            case PipelineKpi():
                summed = self._deals.rows(connection, kpi, question)
                found = self._pipeline.rows(connection, kpi, question) if summed is None else summed
            case _:
                found = self._readings.rows(connection, kpi, question)
        figures = dict(found)
        return [FigureRow(group, figures[group]) for group in _ordered(figures)]


def _reached(tally: FunnelTally, stage: Stage) -> int:
    reached: int = tally.items if stage is Stage.SUBMITTED else getattr(tally, stage.value)
    return reached


def _response_figure(kpi: ResponseKpi | HorizonKpi, items: ResponseItems) -> Figure:
    if isinstance(kpi, ResponseKpi):
        return Figure.quantile(items.curve(), 0.5, invalid_count=items.invalid_count)
    answered, observed = items.within(kpi.horizon)
    numerator = observed - answered if kpi.unanswered else answered
    figure = Figure.share(numerator, observed, open_count=items.item_count - observed)
    return replace(figure, invalid_count=items.invalid_count)


def _clock_figure(kpi_id: str, tally: ClockTally) -> Figure:
    kpi = find_kpi(kpi_id)
    if not isinstance(kpi, ClockKpi):
        raise TypeError(f"{kpi_id} is not read from clocks")
    return kpi.value(tally)


def _score(
    commitment_id: str, party: str, terms: dict[str, CommitmentTerms], tally: ClockTally
) -> CommitmentScore:
    known = terms.get(commitment_id) or CommitmentTerms(
        commitment_id=commitment_id,
        title=commitment_id,
        parties=(party,),
        kind="",
        objective_basis_points=0,
        active=False,
    )
    return CommitmentScore(known, tally, _clock_figure("S1", tally))


def _one(question: Question, empty: T) -> dict[GroupKey, T]:
    return {} if question.group_by else {(): empty}


def _ordered(groups: Iterable[GroupKey]) -> list[GroupKey]:
    """Return the groups by their values, an absent one before any word."""
    return sorted(groups, key=lambda group: tuple((value is not None, value or "") for value in group))


def _check_dimensions(subject: str, asked: Sequence[Dimension], allowed: Sequence[Dimension]) -> None:
    for dimension in asked:
        if dimension not in allowed or asked.count(dimension) > 1:
            raise DimensionUnsupported(subject, dimension.name)
