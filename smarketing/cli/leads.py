"""`smarketing leads get | list | offers | watch`: what there is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, TypeVar

import typer

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.documents import document_of
from smarketing.cli.options import All, Limit, number_of
from smarketing.cli.output import id_of, when
from smarketing.cli.session import Session, session_of
from smarketing.cli.views import handoff_view, handoffs_view, lead_view, offers_view, short, state_of
from smarketing.client import LeadsClient

__all__ = ["Filter", "register", "taken"]

T = TypeVar("T")

Assignees = Annotated[
    list[str] | None, typer.Argument(help="People, queues/ID or teams/ID; your own when none.")
]

Filter = Annotated[
    str,
    typer.Option(
        "--filter", help="Comparisons joined by AND: 'qualification.score >= 50 AND archived = false'."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("get")(get)
    app.command("list")(list_)
    app.command("offers")(offers)
    app.command("watch")(watch)


async def taken(items: AsyncIterator[T], limit: int) -> tuple[list[T], bool]:
    """Return the first items, and whether there were more; 0 is no limit."""
    kept: list[T] = []
    async for item in items:
        if limit and len(kept) == limit:
            return kept, True
        kept.append(item)
    return kept, False


def get(
    ctx: typer.Context,
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="LEAD for the person, LEAD/NUMBER for a handoff.")
    ],
) -> None:
    """Show a lead with its personal data, or one of its handoffs."""
    session = session_of(ctx)
    own = name.split("/", 2)[-1] if name.startswith("tenants/") else name
    if "/" in own.removeprefix("leads/"):
        handoff_request = leadspb.GetHandoffRequest(name=session.handoff(name))
        handoff = session.ask(LeadsClient, lambda leads: leads.get_handoff(handoff_request))
        session.show(handoff, lambda: handoff_view(handoff))
        return
    lead_request = leadspb.GetLeadRequest(name=session.name("leads", name))
    lead = session.ask(LeadsClient, lambda leads: leads.get_lead(lead_request))
    session.show(lead, lambda: lead_view(lead))


def list_(
    ctx: typer.Context,
    *,
    lead: Annotated[str, typer.Option(help="Only this lead's.")] = "-",
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; may be given several times.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Only this person's.")] = "",
    queue: Annotated[str, typer.Option(help="Only in this queue.")] = "",
    source_system: Annotated[str, typer.Option(help="Only of this sender.")] = "",
    external_id: Annotated[str, typer.Option(help="Only this submission of the sender.")] = "",
    filter_: Filter = "",
    order_by: Annotated[
        str, typer.Option(help="'submit_time desc' (the default), submit_time or next_due_time.")
    ] = "",
    limit: Limit = 50,
    unlimited: All = False,
) -> None:
    """List handoffs, newest first unless --order-by says otherwise."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = leadspb.ListHandoffsRequest(
        parent=session.name("leads", lead),
        page_size=min(most or 1_000, 1_000),
        states=[number_of(leadspb.Handoff.State, word) for word in state or []],
        owner=session.assignee(owner) if owner else "",
        queue=session.name("queues", queue) if queue else "",
        source_system=source_system,
        external_id=external_id,
        filter=filter_,
        order_by=order_by,
    )
    handoffs, more = session.ask(LeadsClient, lambda leads: taken(leads.handoffs(request), most))
    session.show_list("handoffs", handoffs, lambda: handoffs_view(handoffs), more=more)


def offers(
    ctx: typer.Context, assignees: Assignees = None, limit: Limit = 50, unlimited: All = False
) -> None:
    """List open offers, the one that ends first at the top."""
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = leadspb.ListOffersRequest(
        parent=session.parent, page_size=min(most or 1_000, 1_000), assignees=session.names(assignees or [])
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.offers(request), most))
    session.show_list("handoffs", found, lambda: offers_view(found), more=more)


def watch(
    ctx: typer.Context,
    *,
    assignees: Assignees = None,
    resume_token: Annotated[str, typer.Option(help="Continue behind an earlier watch.")] = "",
    count: Annotated[int, typer.Option(min=0, help="End after so many changes; 0 is never.")] = 0,
) -> None:
    """Follow offers as they are made and end; with --format json one document a line."""
    session = session_of(ctx)
    request = leadspb.WatchOffersRequest(
        parent=session.parent, assignees=session.names(assignees or []), resume_token=resume_token
    )
    asyncio.run(_watched(session, request, count))


async def _watched(session: Session, request: leadspb.WatchOffersRequest, count: int) -> None:
    shown = 0
    async with LeadsClient(session.settings) as leads, aclosing(leads.watch_offers(request)) as responses:
        async for response in responses:
            if session.wants_json and response.handoffs:
                session.show_line(document_of(response))
            for handoff in response.handoffs:
                shown += 1
                if not session.wants_json:
                    session.out.print(_line_of(handoff))
            if count and shown >= count:
                return


def _line_of(handoff: leadspb.Handoff) -> str:
    offer = handoff.offer
    state = leadspb.Offer.State.Name(offer.state).removeprefix("STATE_").lower()
    words = [short(handoff.name), state_of(handoff), f"offer {state} to {id_of(offer.assignee)}"]
    if offer.state == leadspb.Offer.STATE_OPEN and offer.HasField("expire_time"):
        words.append(f"until {when(offer.expire_time)}")
    return "  ".join(words)
