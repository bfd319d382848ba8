"""`smarketing feedback record | list | status`: what the field hears, and what becomes of it."""

import sys
from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.cli.leads import taken
from smarketing.cli.options import Handoff, Limit, Money, Person, money_option, number_of
from smarketing.cli.output import id_of, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_STANDARD_INPUT = "-"


@app.command()
def record(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    type_: Annotated[
        str,
        typer.Option("--type", help="price, feature, terms, competitor, message, audience, other."),
    ],
    theme: Annotated[str, typer.Option(help="A short code of your own: onboarding-cost; no personal data.")],
    verbatim: Annotated[
        str, typer.Option(help="What the lead said, kept sealed; - reads it from standard input.")
    ] = "",
    competitor: Annotated[str, typer.Option(help="The other supplier.")] = "",
    price: Money = "",
    person: Person = "",
) -> None:
    """Record what the field heard from a lead, for marketing and product."""
    session = session_of(ctx)
    heard = workpb.Feedback(
        handoff=session.handoff(handoff),
        type=number_of(workpb.Feedback.Type, type_),
        theme=theme,
        verbatim=sys.stdin.readline().strip() if verbatim == _STANDARD_INPUT else verbatim,
        competitor=competitor,
        price=money_option(price),
    )
    request = workpb.RecordFeedbackRequest(
        parent=session.parent,
        person=session.name("people", person) if person else "",
        feedback=heard,
    )
    kept = session.ask(LeadsClient, lambda leads: leads.work.record_feedback(request))
    session.show(kept, lambda: _view([kept]))


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    status: Annotated[str, typer.Option(help="Only: new, acknowledged, in_progress, done, declined.")] = "",
    type_: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    limit: Limit = 50,
) -> None:
    """List feedback, newest first; what was said word by word only with --format json."""
    session = session_of(ctx)
    request = workpb.ListFeedbackRequest(
        parent=session.parent,
        page_size=min(limit, 1_000),
        status=number_of(workpb.Feedback.Status, status),
        type=number_of(workpb.Feedback.Type, type_),
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.work.feedback(request), limit))
    session.show_list("feedback", found, lambda: _view(found), more=more)


@app.command()
def status(
    ctx: typer.Context,
    *,
    feedback: Annotated[str, typer.Argument(metavar="FEEDBACK", help="The feedback's id.")],
    status: Annotated[str, typer.Argument(metavar="acknowledged|in_progress|done|declined")],
    etag: Annotated[str, typer.Option(help="Only when the feedback still has this etag.")] = "",
) -> None:
    """Say, for marketing, what becomes of a piece of feedback."""
    session = session_of(ctx)
    request = workpb.SetFeedbackStatusRequest(
        name=session.name("feedback", feedback),
        etag=etag,
        status=number_of(workpb.Feedback.Status, status),
    )
    changed = session.ask(LeadsClient, lambda leads: leads.work.set_feedback_status(request))
    session.show(changed, lambda: _view([changed]))


def _view(found: list[workpb.Feedback]) -> RenderableType:
    rows = [
        (
            id_of(each.name).removeprefix("feedback/"),
            when(each.create_time),
            enum_word(workpb.Feedback.Type.DESCRIPTOR, each.type),
            each.theme,
            each.competitor,
            money_text(each.price) if each.HasField("price") else "",
            short(each.handoff),
            enum_word(workpb.Feedback.Status.DESCRIPTOR, each.status).replace("_", " "),
        )
        for each in found
    ]
    return table(("feedback", "heard", "type", "theme", "competitor", "price", "handoff", "status"), rows)
