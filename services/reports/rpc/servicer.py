"""ReportService: parse, ask the read model, render."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import grpc.aio

from services.reports import wire
from services.reports.domain.as_of import AskedAsOf
from services.reports.domain.errors import DimensionUnsupported
from services.reports.domain.figures import Figure
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS, find_kpi
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import micros_of
from services.reports.domain.reports import REPORTS, Matter, Section
from services.reports.rpc.as_of import AsOfReader
from services.reports.rpc.policy import own_side_of
from services.reports.store.figures import (
    ClockRow,
    CommitmentScore,
    FigureRow,
    Figures,
    FunnelRow,
    PartyScores,
    ResponseRow,
    ScoreLine,
)
from services.reports.store.month_ends import Asked, MonthEnds, month_in
from services.reports.store.queries import Question
from services.reports.usecases.past_states import PastStates
from smarketing import names
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.reports.v1.reports_pb2_grpc import ReportServiceServicer
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.server.auth import ANY_TENANT
from smarketing.server.calls import current_call
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import permission_denied
from smarketing.sql import Writer

__all__ = ["ReportServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class ReportServicer(ReportServiceServicer):
    """Answers from the read model; every answer is of one state of it."""

    def __init__(
        self,
        writer: Writer,
        figures: Figures,
        past: PastStates,
        *,
        now: Callable[[], datetime],
        pages: PageTokens,
    ) -> None:
        self._writer = writer
        self._figures = figures
        self._past = past
        tables = figures.queries.tables
        self._as_of = AsOfReader(figures.queries)
        self._month_ends = MonthEnds(tables.month_end, tables.tenant_setting)
        self._now = now
        self._pages = pages

    async def ListKpis(  # noqa: N802 -- the contract names it
        self, request: reportspb.ListKpisRequest, context: _Context
    ) -> reportspb.ListKpisResponse:
        """Return a page of definitions."""
        del context
        names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        after = self._pages.read(request)
        kpis = [kpi for kpi_id, kpi in KPIS.items() if after is None or kpi_id > str(after[0])]
        page = kpis[:size]
        more = len(kpis) > size
        return reportspb.ListKpisResponse(
            kpis=[wire.kpi_to(kpi) for kpi in page],
            next_page_token=self._pages.issue(request, [page[-1].kpi_id]) if more else "",
        )

    async def QueryKpi(  # noqa: N802 -- the contract names it
        self, request: reportspb.QueryKpiRequest, context: _Context
    ) -> reportspb.QueryKpiResponse:
        """Return one figure, in groups."""
        del context
        question = self._question(request, request.group_by)
        side = own_side_of(current_call().caller)
        kpi = find_kpi(request.kpi_id)
        if side and side not in kpi.parties:
            raise permission_denied()
        basis = wire.basis_from(request.basis)

        def read(connection: Any) -> tuple[list[FigureRow], reportspb.MonthEnd | None]:
            rows = self._figures.query(connection, kpi.kpi_id, question, basis)
            if request.HasField("as_of"):
                return rows, None
            asked = Asked(kpi.kpi_id, basis or "", question.group_by)
            return rows, self._month_end(connection, asked, question)

        (rows, month_end), as_of = await self._ask(request, question, read)
        group_by = kpi.grouped_by(question.group_by)
        return reportspb.QueryKpiResponse(
            kpi=wire.kpi_to(kpi),
            as_of=as_of,
            rows=_rows_to(group_by, rows),
            month_end=month_end,
        )

    async def GetScorecard(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetScorecardRequest, context: _Context
    ) -> reportspb.Scorecard:
        """Return both parties beside each other, or the caller's own."""
        del context
        question = self._question(request, ())
        scores, as_of = await self._ask(
            request, question, lambda connection: self._figures.scores(connection, question)
        )
        return reportspb.Scorecard(
            period=_period_of(request),
            as_of=as_of,
            parties=[
                _party_to(party)
                for party in scores.parties
                if not question.party or party.party == question.party
            ],
            joint=[_line_to(line) for line in scores.joint],
        )

    async def GetFunnel(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetFunnelRequest, context: _Context
    ) -> reportspb.Funnel:
        """Return how many handoffs reached each stage."""
        del context
        question = self._question(request, request.group_by)
        basis = wire.basis_from(request.basis) or Basis.COHORT
        rows, as_of = await self._ask(
            request, question, lambda connection: self._figures.funnel(connection, question, basis)
        )
        return reportspb.Funnel(
            period=_period_of(request),
            basis=wire.basis_to(basis),
            as_of=as_of,
            rows=[_funnel_row_to(question.group_by, row) for row in rows],
        )

    async def GetCompliance(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetComplianceRequest, context: _Context
    ) -> reportspb.Compliance:
        """Return how commitments were kept."""
        del context
        question = self._question(request, request.group_by)
        rows, as_of = await self._ask(
            request, question, lambda connection: self._figures.compliance(connection, question)
        )
        group_by = question.group_by or (Dimension.COMMITMENT,)
        return reportspb.Compliance(
            period=_period_of(request),
            as_of=as_of,
            rows=[_clock_row_to(group_by, row) for row in rows],
        )

    async def GetResponseTimes(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetResponseTimesRequest, context: _Context
    ) -> reportspb.ResponseTimes:
        """Return response times that count those who still wait."""
        del context
        question = self._question(request, request.group_by, most=1)
        rows, as_of = await self._ask(
            request, question, lambda connection: self._figures.response_times(connection, question)
        )
        return reportspb.ResponseTimes(
            period=_period_of(request),
            as_of=as_of,
            rows=[_response_row_to(question.group_by, row) for row in rows],
        )

    async def GetLeadQuality(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetLeadQualityRequest, context: _Context
    ) -> reportspb.KpiReport:
        """Return how good leads were."""
        del context
        return await self._report(request, Matter.LEAD_QUALITY)

    async def GetRoi(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetRoiRequest, context: _Context
    ) -> reportspb.KpiReport:
        """Return what was put in and what came back."""
        del context
        return await self._report(request, Matter.ROI)

    async def GetPipeline(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetPipelineRequest, context: _Context
    ) -> reportspb.KpiReport:
        """Return what is open, and how it moves."""
        del context
        return await self._report(request, Matter.PIPELINE)

    async def GetForecast(  # noqa: N802 -- the contract names it
        self, request: reportspb.GetForecastRequest, context: _Context
    ) -> reportspb.KpiReport:
        """Return what is expected."""
        del context
        return await self._report(request, Matter.FORECAST)

    async def _report(self, request: Any, matter: Matter) -> reportspb.KpiReport:
        question = self._question(request, ())
        found, as_of = await self._ask(
            request, question, lambda connection: self._figures.report(connection, question, REPORTS[matter])
        )
        return reportspb.KpiReport(
            period=_period_of(request), as_of=as_of, sections=[_section_to(*each) for each in found]
        )

    def _question(self, request: Any, group_by: Iterable[int], *, most: int = 2) -> Question:
        names.TENANT.parse(request.parent, field="parent")
        numbers = list(group_by)
        if len(numbers) > most:
            raise field_invalid("group_by", f"at most {most}")
        dimensions: list[Dimension] = []
        for dimension in wire.dimensions_from(numbers):
            if dimension is None:
                raise DimensionUnsupported("anything", "DIMENSION_UNSPECIFIED")
            dimensions.append(dimension)
        asked = _past_of(request)
        return Question(
            tenant=request.parent,
            period=wire.period_from(_period_of(request)),
            group_by=tuple(dimensions),
            now=asked.time if asked is not None else micros_of(self._now()),
            party=own_side_of(current_call().caller),
        )

    async def _ask(
        self, request: Any, question: Question, query: Callable[[Any], T]
    ) -> tuple[T, reportspb.AsOf]:
        """Return what a query finds, and as of which positions: both from one state of the tables."""
        # Positions of a whole log count what other tenants do: only callers above tenants are told.
        above = current_call().caller.tenant == ANY_TENANT

        def read(connection: Any) -> tuple[T, reportspb.AsOf]:
            return query(connection), self._as_of.read(connection, question, above=above)

        asked = _past_of(request)
        if asked is None:
            return await self._writer.read(read)
        now = micros_of(self._now())
        return await self._past.read(question.tenant, asked, read, now=now, above=above)

    def _month_end(self, connection: Any, asked: Asked, question: Question) -> reportspb.MonthEnd | None:
        """Return the figure as it was when its month was over; None for who sees one party's alone."""
        month = month_in(question.period)
        if month is None or question.party:
            return None
        kept = self._month_ends.find(connection, question.tenant, month, asked)
        return None if kept is None else reportspb.MonthEnd.FromString(kept)


def _past_of(request: Any) -> AskedAsOf | None:
    return wire.as_of_from(request.as_of if request.HasField("as_of") else None)


def _period_of(request: Any) -> reportspb.Period | None:
    return request.period if request.HasField("period") else None


def _party_to(scores: PartyScores) -> reportspb.PartyScorecard:
    return reportspb.PartyScorecard(
        party=wire.party_to(scores.party),
        commitments=[_score_to(score) for score in scores.commitments],
        lines=[_line_to(line) for line in scores.lines],
    )


def _score_to(score: CommitmentScore) -> reportspb.CommitmentScore:
    terms, tally = score.terms, score.tally
    return reportspb.CommitmentScore(
        commitment_id=terms.commitment_id,
        title=terms.title,
        kind=wire.kind_to(terms.kind),
        objective_basis_points=terms.objective_basis_points,
        compliance=wire.figure_to(score.compliance),
        met_count=tally.met,
        breached_count=tally.breached,
        excused_count=tally.excused,
        void_count=tally.void,
        open_count=tally.open,
        overdue_count=tally.overdue,
        retracted_count=tally.retracted,
    )


def _line_to(line: ScoreLine) -> reportspb.ScorecardLine:
    return reportspb.ScorecardLine(
        kpi_id=line.kpi.kpi_id, title=line.kpi.title, value=wire.figure_to(line.figure)
    )


def _section_to(section: Section, rows: Sequence[FigureRow]) -> reportspb.KpiSection:
    kpi = find_kpi(section.kpi_id)
    group_by = kpi.grouped_by(section.group_by)
    return reportspb.KpiSection(
        kpi=wire.kpi_to(kpi),
        basis=wire.basis_to(section.basis) if section.basis else reportspb.BASIS_UNSPECIFIED,
        group_by=wire.dimensions_to(group_by),
        rows=_rows_to(group_by, rows),
    )


def _rows_to(group_by: Sequence[Dimension], rows: Iterable[FigureRow]) -> list[reportspb.KpiRow]:
    return [
        reportspb.KpiRow(group=wire.group_to(group_by, row.group), value=wire.figure_to(row.figure))
        for row in rows
    ]


def _funnel_row_to(group_by: Sequence[Dimension], row: FunnelRow) -> reportspb.FunnelRow:
    tally = row.tally
    return reportspb.FunnelRow(
        group=wire.group_to(group_by, row.group),
        submitted_count=tally.items,
        accepted_count=tally.accepted,
        worked_count=tally.worked,
        qualified_count=tally.qualified,
        converted_count=tally.converted,
        won_count=tally.won,
        lost_count=tally.lost,
        rejected_count=tally.rejected,
        disqualified_count=tally.disqualified,
        recycled_count=tally.recycled,
        void_count=tally.void,
        archived_count=tally.archived,
        won_amounts=[
            termspb.Money(currency_code=amount.currency, minor_units=amount.minor_units)
            for amount in row.won_amounts
        ],
        won_ratio=wire.figure_to(row.won_ratio),
    )


def _clock_row_to(group_by: Sequence[Dimension], row: ClockRow) -> reportspb.ComplianceRow:
    tally = row.tally
    return reportspb.ComplianceRow(
        group=wire.group_to(group_by, row.group),
        compliance=wire.figure_to(row.compliance),
        strict_compliance=wire.figure_to(row.strict_compliance),
        met_count=tally.met,
        breached_count=tally.breached,
        excused_count=tally.excused,
        void_count=tally.void,
        open_count=tally.open,
        overdue_count=tally.overdue,
    )


def _response_row_to(group_by: Sequence[Dimension], row: ResponseRow) -> reportspb.ResponseTimesRow:
    curve = row.items.curve()

    def quantile(share: float) -> reportspb.KpiValue:
        return wire.figure_to(Figure.quantile(curve, share))

    return reportspb.ResponseTimesRow(
        group=wire.group_to(group_by, row.group),
        measure=wire.measure_to(row.measure),
        p50=quantile(0.5),
        p75=quantile(0.75),
        p90=quantile(0.9),
        p95=quantile(0.95),
        item_count=curve.item_count,
        waiting_count=curve.waiting_count,
        invalid_interval_count=row.items.invalid_count,
        curve=[wire.point_to(point) for point in curve.thinned(wire.CURVE_POINTS)],
    )
