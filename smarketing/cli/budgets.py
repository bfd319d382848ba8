"""`smarketing sla budgets [show]` and `sla periods [show]`: what may still be missed, and what is owed."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit
from smarketing.cli.output import id_of, record, span, table, when
from smarketing.cli.session import session_of
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["app", "periods"]

app = typer.Typer(help="How much may still be missed; without a further word the list.")
periods = typer.Typer(help="What marketing handed over beside its quota; without a further word the list.")

_PAGE = 1_000

Agreement = Annotated[str, typer.Argument(metavar="AGREEMENT", help="The agreement's id.")]


@app.callback(invoke_without_command=True)
def list_budgets(ctx: typer.Context, limit: Limit = 50) -> None:
    """List the error budgets of all commitments in force, or show one."""
    if ctx.invoked_subcommand is not None:
        return
    session = session_of(ctx)
    request = budgetspb.ListBudgetsRequest(parent=session.parent, page_size=min(limit, _PAGE))
    found, more = session.ask(SlaClient, lambda sla: taken(sla.budgets.budgets(request), limit))
    rows = [
        (
            id_of(each.agreement).removeprefix("agreements/"),
            each.commitment_id,
            _budget_state(each),
            f"{each.objective_basis_points / 100:g}%",
            f"{each.breached_count} of {each.settled_count}",
            _ratio(each, "remaining_ratio"),
            _rate(each, "fast_burn_rate"),
            _rate(each, "slow_burn_rate"),
        )
        for each in found
    ]
    columns = ("agreement", "commitment", "state", "objective", "missed", "left", "fast burn", "slow burn")
    session.show_list("budgets", found, lambda: table(columns, rows), more=more)


# Where every other noun lists with a word of its own, so do these.
app.command("list", hidden=True)(list_budgets)


@app.command("show")
def show_budget(
    ctx: typer.Context,
    *,
    agreement: Agreement,
    commitment: Annotated[str, typer.Argument(metavar="COMMITMENT", help="The commitment's id.")],
) -> None:
    """Show the error budget of one commitment, and what was agreed for its state."""
    session = session_of(ctx)
    request = budgetspb.GetBudgetRequest(
        agreement=session.name("agreements", agreement), commitment_id=commitment
    )
    found = session.ask(SlaClient, lambda sla: sla.budgets.get_budget(request))
    session.show(found, lambda: _budget_view(found))


@periods.callback(invoke_without_command=True)
def list_periods(ctx: typer.Context, limit: Limit = 50) -> None:
    """List the periods of marketing's promises, the latest first, or show one."""
    if ctx.invoked_subcommand is not None:
        return
    session = session_of(ctx)
    request = periodspb.ListMarketingPeriodsRequest(parent=session.parent, page_size=min(limit, _PAGE))
    found, more = session.ask(SlaClient, lambda sla: taken(sla.periods.marketing_periods(request), limit))
    rows = [
        (
            id_of(each.agreement).removeprefix("agreements/"),
            each.period,
            _verdict(each),
            _pace(each),
            money_text(each.delivered) if each.HasField("delivered") else "",
            money_text(each.quota) if each.HasField("quota") else "",
            _ratio(each, "attainment_ratio"),
            str(each.submitted_count),
        )
        for each in found
    ]
    columns = ("agreement", "period", "verdict", "pace", "delivered", "quota", "attained", "handoffs")
    session.show_list("marketing_periods", found, lambda: table(columns, rows), more=more)


periods.command("list", hidden=True)(list_periods)


@periods.command("show")
def show_period(
    ctx: typer.Context,
    *,
    agreement: Agreement,
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="2026-09, 2026-Q3 or 2026.")],
) -> None:
    """Show one period: value against quota, and how good what was handed over was."""
    session = session_of(ctx)
    request = periodspb.GetMarketingPeriodRequest(
        agreement=session.name("agreements", agreement), period=period
    )
    found = session.ask(SlaClient, lambda sla: sla.periods.get_marketing_period(request))
    session.show(found, lambda: _period_view(found))


def _budget_state(budget: budgetspb.Budget) -> str:
    return enum_word(budgetspb.Budget.State.DESCRIPTOR, budget.state)


def _verdict(period: periodspb.MarketingPeriod) -> str:
    return enum_word(periodspb.MarketingPeriod.Verdict.DESCRIPTOR, period.verdict)


def _pace(period: periodspb.MarketingPeriod) -> str:
    return enum_word(periodspb.MarketingPeriod.Pace.DESCRIPTOR, period.pace).replace("_", " ")


def _ratio(message: budgetspb.Budget | periodspb.MarketingPeriod, field: str) -> str:
    return f"{getattr(message, field):.1%}" if message.HasField(field) else "—"  # type: ignore[arg-type] # any of theirs


def _rate(budget: budgetspb.Budget, field: str) -> str:
    return f"{getattr(budget, field):.2f}" if budget.HasField(field) else "—"  # type: ignore[arg-type] # as above


def _budget_view(budget: budgetspb.Budget) -> RenderableType:
    exhausted = budget.HasField("exhaustion_duration")
    kinds = slapb.ConsequenceKind.DESCRIPTOR
    return record(
        [
            ("agreement", id_of(budget.agreement_version).removeprefix("agreements/")),
            ("commitment", budget.commitment_id),
            ("promised by", ", ".join(enum_word(termspb.Party.DESCRIPTOR, each) for each in budget.parties)),
            ("state", _budget_state(budget)),
            ("objective", f"{budget.objective_basis_points / 100:g}%"),
            (
                "window",
                f"{span(budget.window_duration)} {enum_word(slapb.TimeBasis.DESCRIPTOR, budget.basis)} time",
            ),
            ("missed", f"{budget.breached_count} of {budget.settled_count}"),
            ("left", _ratio(budget, "remaining_ratio")),
            ("left so far", _ratio(budget, "remaining_so_far_ratio")),
            ("fast burn", _rate(budget, "fast_burn_rate") + (", burns" if budget.burning_fast else "")),
            ("slow burn", _rate(budget, "slow_burn_rate") + (", burns" if budget.burning_slowly else "")),
            ("lasts for", span(budget.exhaustion_duration) if exhausted else ""),
            ("what follows", ", ".join(enum_word(kinds, each.kind) for each in budget.consequences)),
            ("as of", when(budget.as_of_time)),
        ]
    )


def _period_view(period: periodspb.MarketingPeriod) -> RenderableType:
    def money(field: str) -> str:
        return money_text(getattr(period, field)) if period.HasField(field) else ""  # type: ignore[arg-type] # as above

    return record(
        [
            ("agreement", id_of(period.agreement_version).removeprefix("agreements/")),
            ("period", f"{period.period}, {when(period.start_time)} to {when(period.end_time)}"),
            ("verdict", _verdict(period)),
            ("pace", f"{_pace(period)} {_ratio(period, 'pace_ratio')}".strip()),
            ("quota", money("quota")),
            ("delivered", money("delivered")),
            ("of it open to rejection", money("pending")),
            ("attained", _ratio(period, "attainment_ratio")),
            ("handoffs", str(period.submitted_count)),
            ("of these without a value", str(period.unvalued_count or "")),
            ("met the MQL definition", _ratio(period, "conformance_ratio")),
            ("fields filled in", _ratio(period, "completeness_ratio")),
            ("with every field", _ratio(period, "fully_complete_ratio")),
            ("rejected, counted on marketing", _ratio(period, "rejected_ratio")),
            ("rejections not final yet", str(period.waiting_count or "")),
            ("as of", when(period.as_of_time)),
        ]
    )
