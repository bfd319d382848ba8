"""`smarketing leads find | follow-ups`: who somebody is, and what was done about them."""

import sys
from typing import Annotated

import typer

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import search_pb2 as searchpb
from smarketing.cli.leads import Filter, taken
from smarketing.cli.options import All, Handoff, Limit
from smarketing.cli.session import session_of
from smarketing.cli.views import follow_ups_view, leads_view
from smarketing.client import LeadsClient

__all__ = ["register"]

_STANDARD_INPUT = "-"


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("find")(find)
    app.command("follow-ups")(follow_ups)


def find(
    ctx: typer.Context,
    *,
    email: Annotated[
        str,
        typer.Option(help="By e-mail address; - reads it from standard input, out of the shell's history."),
    ] = "",
    phone: Annotated[str, typer.Option(help="By phone number; - as for --email.")] = "",
    source_system: Annotated[str, typer.Option(help="With --external-id: the sender.")] = "",
    external_id: Annotated[
        str, typer.Option(help="By the sender's own id of a submission; - as above.")
    ] = "",
    limit: Limit = 50,
) -> None:
    """Find leads by who they are, with their personal data."""
    session = session_of(ctx)
    request = searchpb.FindLeadsRequest(
        parent=session.parent,
        email=_given(email),
        phone=_given(phone),
        source_system=source_system,
        external_id=_given(external_id),
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.search.leads(request), limit))
    session.show_list("leads", found, lambda: leads_view(found), more=more)


def follow_ups(
    ctx: typer.Context,
    *,
    handoff: Handoff,
    filter_: Filter = "",
    newest_first: Annotated[bool, typer.Option("--newest-first", help="The latest at the top.")] = False,
    limit: Limit = 50,
    unlimited: All = False,
) -> None:
    """List the follow-ups of a handoff, oldest first."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = leadspb.ListFollowUpsRequest(
        parent=session.handoff(handoff),
        page_size=min(most or 1_000, 1_000),
        filter=filter_,
        order_by="occur_time desc" if newest_first else "",
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.follow_ups(request), most))
    session.show_list("follow_ups", found, lambda: follow_ups_view(found), more=more)


def _given(text: str) -> str:
    return sys.stdin.readline().strip() if text == _STANDARD_INPUT else text
