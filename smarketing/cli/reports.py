"""`smarketing reports scorecard | funnel | quality | roi | pipeline | forecast | kpi | …`: shared figures."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Group

from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.figures import as_of_text, group_text, value_text
from smarketing.cli.inputs import register
from smarketing.cli.leads import taken
from smarketing.cli.options import date_message, number_of, timestamp_of
from smarketing.cli.output import table
from smarketing.cli.session import session_of
from smarketing.client import ReportsClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The figures that both departments and leadership share.")
register(app)

From = Annotated[str, typer.Option("--from", help="First day of the period: 2026-01-01.")]
Until = Annotated[str, typer.Option("--until", help="The day behind its last.")]
By = Annotated[list[str] | None, typer.Option("--by", help="Group by source, source_channel, month, team …")]
Basis = Annotated[str, typer.Option(help="cohort or event.")]
AsOf = Annotated[
    str, typer.Option("--as-of", help="An instant of the last thirteen months: as it was known then.")
]


@app.command()
def scorecard(ctx: typer.Context, start: From = "", end: Until = "", as_of: AsOf = "") -> None:
    """Show what each party promised and how it stands."""
    session = session_of(ctx)
    request = reportspb.GetScorecardRequest(
        parent=session.parent, period=_period(start, end), as_of=_past(as_of)
    )
    card = session.ask(ReportsClient, lambda reports: reports.get_scorecard(request))

    def view() -> Group:
        columns = ("figure", "value", "promised", "met", "missed", "excused", "open", "overdue")
        parts = [
            table(
                columns,
                [*map(_score_row, party.commitments), *map(_line_row, party.lines)],
                title=enum_word(termspb.Party.DESCRIPTOR, party.party),
            )
            for party in card.parties
        ]
        joint = table(("figure", "value"), [_line_row(line)[:2] for line in card.joint], title="joint")
        return Group(*parts, joint, as_of_text(card.as_of))

    session.show(card, view)


@app.command()
def funnel(
    ctx: typer.Context,
    *,
    start: From = "",
    end: Until = "",
    basis: Basis = "",
    by: By = None,
    as_of: AsOf = "",
) -> None:
    """Show how many handoffs reached each stage."""
    session = session_of(ctx)
    request = reportspb.GetFunnelRequest(
        parent=session.parent,
        period=_period(start, end),
        basis=number_of(reportspb.Basis, basis),
        group_by=_dimensions(by),
        as_of=_past(as_of),
    )
    found = session.ask(ReportsClient, lambda reports: reports.get_funnel(request))
    stages = (
        "submitted",
        "accepted",
        "worked",
        "qualified",
        "converted",
        "won",
        "lost",
        "rejected",
        "archived",
    )

    def view() -> Group:
        rows = [
            (
                group_text(row.group),
                *(str(getattr(row, f"{stage}_count")) for stage in stages),
                value_text(row.won_ratio),
                ", ".join(money_text(amount) for amount in row.won_amounts),
            )
            for row in found.rows
        ]
        return Group(table(("group", *stages, "won of submitted", "sold for"), rows), as_of_text(found.as_of))

    session.show(found, view)


@app.command()
def compliance(
    ctx: typer.Context, *, start: From = "", end: Until = "", by: By = None, as_of: AsOf = ""
) -> None:
    """Show how commitments were kept, each clock counted at its due instant."""
    session = session_of(ctx)
    request = reportspb.GetComplianceRequest(
        parent=session.parent,
        period=_period(start, end),
        group_by=_dimensions(by),
        as_of=_past(as_of),
    )
    found = session.ask(ReportsClient, lambda reports: reports.get_compliance(request))
    counts = ("met", "breached", "excused", "void", "open", "overdue")

    def view() -> Group:
        rows = [
            (
                group_text(row.group),
                value_text(row.compliance),
                value_text(row.strict_compliance),
                *(str(getattr(row, f"{count}_count")) for count in counts),
            )
            for row in found.rows
        ]
        return Group(table(("group", "kept", "strictly", *counts), rows), as_of_text(found.as_of))

    session.show(found, view)


@app.command("response-times")
def response_times(
    ctx: typer.Context, *, start: From = "", end: Until = "", by: By = None, as_of: AsOf = ""
) -> None:
    """Show response times that count those who still wait."""
    session = session_of(ctx)
    request = reportspb.GetResponseTimesRequest(
        parent=session.parent,
        period=_period(start, end),
        group_by=_dimensions(by),
        as_of=_past(as_of),
    )
    found = session.ask(ReportsClient, lambda reports: reports.get_response_times(request))

    def view() -> Group:
        rows = [
            (
                group_text(row.group),
                enum_word(reportspb.ResponseTimesRow.Measure.DESCRIPTOR, row.measure),
                *(value_text(value) for value in (row.p50, row.p75, row.p90, row.p95)),
                str(row.item_count),
                str(row.waiting_count),
            )
            for row in found.rows
        ]
        columns = ("group", "measure", "p50", "p75", "p90", "p95", "items", "waiting")
        return Group(table(columns, rows), as_of_text(found.as_of))

    session.show(found, view)


@app.command()
def quality(ctx: typer.Context, start: From = "", end: Until = "", as_of: AsOf = "") -> None:
    """Show how good leads were, and what marketing should act on."""
    session = session_of(ctx)
    request = reportspb.GetLeadQualityRequest(
        parent=session.parent, period=_period(start, end), as_of=_past(as_of)
    )
    report = session.ask(ReportsClient, lambda reports: reports.get_lead_quality(request))
    session.show(report, lambda: _report_view(report))


@app.command()
def roi(ctx: typer.Context, start: From = "", end: Until = "", as_of: AsOf = "") -> None:
    """Show what was put in and what came back, by campaign and by model of attribution."""
    session = session_of(ctx)
    request = reportspb.GetRoiRequest(parent=session.parent, period=_period(start, end), as_of=_past(as_of))
    report = session.ask(ReportsClient, lambda reports: reports.get_roi(request))
    session.show(report, lambda: _report_view(report))


@app.command()
def pipeline(ctx: typer.Context, start: From = "", end: Until = "", as_of: AsOf = "") -> None:
    """Show what is open, what it is worth, and where it stands still."""
    session = session_of(ctx)
    request = reportspb.GetPipelineRequest(
        parent=session.parent, period=_period(start, end), as_of=_past(as_of)
    )
    report = session.ask(ReportsClient, lambda reports: reports.get_pipeline(request))
    session.show(report, lambda: _report_view(report))


@app.command()
def forecast(ctx: typer.Context, start: From = "", end: Until = "", as_of: AsOf = "") -> None:
    """Show what is expected, and how far earlier expectations were off."""
    session = session_of(ctx)
    request = reportspb.GetForecastRequest(
        parent=session.parent, period=_period(start, end), as_of=_past(as_of)
    )
    report = session.ask(ReportsClient, lambda reports: reports.get_forecast(request))
    session.show(report, lambda: _report_view(report))


@app.command()
def kpi(
    ctx: typer.Context,
    *,
    kpi_id: Annotated[str, typer.Argument(help="The figure's id: S1, H5.")],
    start: From = "",
    end: Until = "",
    basis: Basis = "",
    by: By = None,
    as_of: AsOf = "",
) -> None:
    """Compute one figure, in groups when asked."""
    session = session_of(ctx)
    request = reportspb.QueryKpiRequest(
        parent=session.parent,
        kpi_id=kpi_id,
        period=_period(start, end),
        basis=number_of(reportspb.Basis, basis),
        group_by=_dimensions(by),
        as_of=_past(as_of),
    )
    answer = session.ask(ReportsClient, lambda reports: reports.query_kpi(request))

    def view() -> Group:
        rows = [
            (group_text(row.group), *_value_columns(row.value), *_at_month_end(answer, row))
            for row in answer.rows
        ]
        title = f"{answer.kpi.kpi_id} {answer.kpi.title}"
        frozen = ("at the month's end",) if answer.HasField("month_end") else ()
        shown = table(("group", "value", "numerator", "denominator", *frozen), rows, title=title)
        return Group(shown, as_of_text(answer.as_of))

    session.show(answer, view)


@app.command()
def kpis(ctx: typer.Context) -> None:
    """List the definitions of all figures."""
    session = session_of(ctx)
    request = reportspb.ListKpisRequest(parent=session.parent, page_size=1_000)
    found, more = session.ask(ReportsClient, lambda reports: taken(reports.kpis(request), 0))
    rows = [(each.kpi_id, each.title, each.unit, each.formula) for each in found]
    session.show_list("kpis", found, lambda: table(("id", "title", "unit", "formula"), rows), more=more)


def _report_view(report: reportspb.KpiReport) -> Group:
    """Return the figures as a whole in one table, and a table for each that is in groups."""
    counts = ("numerator", "denominator")
    whole = [section for section in report.sections if not section.group_by]
    grouped = [section for section in report.sections if section.group_by and section.rows]
    rows = [
        (section.kpi.kpi_id, section.kpi.title, *_value_columns(row.value))
        for section in whole
        for row in section.rows
    ]
    tables = [
        table(
            (_dimension_words(section.group_by), "value", *counts),
            [(group_text(row.group), *_value_columns(row.value)) for row in section.rows],
            title=f"{section.kpi.kpi_id} {section.kpi.title}",
        )
        for section in grouped
    ]
    return Group(table(("id", "figure", "value", *counts), rows), *tables, as_of_text(report.as_of))


def _value_columns(value: reportspb.KpiValue) -> tuple[str, str, str]:
    return (
        value_text(value),
        str(value.numerator) if value.HasField("numerator") else "",
        str(value.denominator) if value.HasField("denominator") else "",
    )


def _dimension_words(dimensions: Iterable[reportspb.Dimension.ValueType]) -> str:
    return ", ".join(enum_word(reportspb.Dimension.DESCRIPTOR, each).replace("_", " ") for each in dimensions)


def _at_month_end(answer: reportspb.QueryKpiResponse, row: reportspb.KpiRow) -> tuple[str, ...]:
    """Return what a row was when its month was over; nothing where no such copy is."""
    if not answer.HasField("month_end"):
        return ()
    found = next((each for each in answer.month_end.rows if list(each.group) == list(row.group)), None)
    return ("—" if found is None else value_text(found.value),)


def _period(start: str, end: str) -> reportspb.Period | None:
    if not start and not end:
        return None
    if not start or not end:
        raise typer.BadParameter("a period needs both --from and --until")
    return reportspb.Period(start_date=date_message(start), end_date=date_message(end))


def _past(as_of: str) -> reportspb.AsOf | None:
    """Return the past state that an option says: what had been recorded until an instant."""
    return reportspb.AsOf(as_of_time=timestamp_of(as_of)) if as_of else None


def _dimensions(by: list[str] | None) -> list[reportspb.Dimension.ValueType]:
    return [number_of(reportspb.Dimension, word) for word in by or []]


def _score_row(score: reportspb.CommitmentScore) -> tuple[str, ...]:
    return (
        score.title or score.commitment_id,
        value_text(score.compliance),
        f"{score.objective_basis_points / 100:g} %",
        str(score.met_count),
        str(score.breached_count),
        str(score.excused_count),
        str(score.open_count),
        str(score.overdue_count),
    )


def _line_row(line: reportspb.ScorecardLine) -> tuple[str, ...]:
    return (f"{line.kpi_id} {line.title}", value_text(line.value), *[""] * 6)
