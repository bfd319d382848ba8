"""`smarketing opportunities show | update | milestone | history | reopen`: what it is worth."""

from typing import Annotated

import typer

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.cli.leads import taken
from smarketing.cli.options import (
    All,
    At,
    Limit,
    Money,
    Person,
    date_message,
    money_option,
    number_of,
    timestamp_of,
)
from smarketing.cli.output import id_of, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import opportunity_view
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

Opportunity = Annotated[str, typer.Argument(metavar="OPPORTUNITY", help="The opportunity's id.")]
Etag = Annotated[str, typer.Option(help="Only when the opportunity still has this etag.")]


@app.command()
def show(ctx: typer.Context, opportunity: Opportunity) -> None:
    """Show an opportunity; `leads convert` makes one, `leads close` ends it."""
    session = session_of(ctx)
    request = leadspb.GetOpportunityRequest(name=session.name("opportunities", opportunity))
    found = session.ask(LeadsClient, lambda leads: leads.get_opportunity(request))
    session.show(found, lambda: opportunity_view(found))


@app.command()
def update(
    ctx: typer.Context,
    *,
    opportunity: Opportunity,
    stage: Annotated[str, typer.Option(help="One of the playbook's stages.")] = "",
    amount: Money = "",
    probability: Annotated[
        int | None, typer.Option(min=0, max=100, help="Chance of winning in percent; else the new stage's.")
    ] = None,
    expected_close: Annotated[str, typer.Option(help="When it is expected to close: 2026-12-31.")] = "",
    person: Person = "",
    etag: Etag = "",
) -> None:
    """Change what an open opportunity is worth, how likely it is, when it closes, or its stage."""
    if not (stage or amount or expected_close) and probability is None:
        raise typer.BadParameter("say what changes: --stage, --amount, --probability or --expected-close")
    session = session_of(ctx)
    request = workpb.UpdateOpportunityRequest(
        name=session.name("opportunities", opportunity),
        etag=etag,
        person=session.name("people", person) if person else "",
        stage=stage,
        amount=money_option(amount),
        probability_percent=probability,
        expected_close_date=date_message(expected_close),
    )
    changed = session.ask(LeadsClient, lambda leads: leads.work.update_opportunity(request))
    session.show(changed, lambda: opportunity_view(changed))


@app.command()
def milestone(
    ctx: typer.Context,
    *,
    opportunity: Opportunity,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="proposal_sent, contract_sent, contract_signed, contract_declined, contract_expired.",
        ),
    ],
    amount: Money = "",
    external_id: Annotated[str, typer.Option(help="The document's id where it is kept.")] = "",
    at: At = "",
    person: Person = "",
) -> None:
    """Record a step outside: a proposal or a contract; `leads close` still ends the opportunity."""
    session = session_of(ctx)
    request = workpb.RecordMilestoneRequest(
        name=session.name("opportunities", opportunity),
        person=session.name("people", person) if person else "",
        kind=number_of(workpb.OpportunityChange.Kind, kind),
        occur_time=timestamp_of(at),
        amount=money_option(amount),
        external_id=external_id,
    )
    recorded = session.ask(LeadsClient, lambda leads: leads.work.record_milestone(request))
    session.show(recorded, lambda: table(_COLUMNS, [_row(recorded)]))


@app.command()
def history(
    ctx: typer.Context, *, opportunity: Opportunity, limit: Limit = 200, unlimited: All = False
) -> None:
    """List how an opportunity came to be what it is, oldest first."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = workpb.ListOpportunityChangesRequest(
        parent=session.name("opportunities", opportunity), page_size=min(most or 1_000, 1_000)
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.work.opportunity_changes(request), most))
    session.show_list("changes", found, lambda: table(_COLUMNS, map(_row, found)), more=more)


@app.command()
def reopen(ctx: typer.Context, *, opportunity: Opportunity, person: Person = "", etag: Etag = "") -> None:
    """Open a won or lost opportunity again."""
    session = session_of(ctx)
    request = leadspb.ReopenOpportunityRequest(
        name=session.name("opportunities", opportunity),
        etag=etag,
        person=session.name("people", person) if person else "",
    )
    opened = session.ask(LeadsClient, lambda leads: leads.reopen_opportunity(request))
    session.show(opened, lambda: opportunity_view(opened))


_COLUMNS = ("no", "happened", "what", "who", "stage", "amount", "chance")


def _row(change: workpb.OpportunityChange) -> tuple[str, ...]:
    return (
        str(change.number),
        when(change.occur_time),
        enum_word(workpb.OpportunityChange.Kind.DESCRIPTOR, change.kind).replace("_", " "),
        id_of(change.person),
        change.stage,
        money_text(change.amount) if change.HasField("amount") else "",
        f"{change.probability_percent}%" if change.HasField("probability_percent") else "",
    )
