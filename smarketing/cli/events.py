"""`smarketing events`: read or follow the log of a service."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.cli.documents import document_of
from smarketing.cli.output import id_of, plain, when
from smarketing.cli.services import Service, ServiceOption, client_of
from smarketing.cli.session import Session, session_of

__all__ = ["show"]


def show(
    ctx: typer.Context,
    *,
    service: ServiceOption = Service.LEADS,
    after: Annotated[int, typer.Option(min=0, help="Events behind this position.")] = 0,
    log_id: Annotated[str, typer.Option(help="Refuse when the log is another.")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on as events are recorded.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=5_000, help="How many at most, without --follow.")] = 100,
    whole: Annotated[bool, typer.Option("--all-tenants", help="The whole log, for operators.")] = False,
) -> None:
    """Read a log from a position; with --follow without end, in JSON one event a line."""
    session = session_of(ctx)
    parent = "tenants/-" if whole else session.parent
    if follow:
        asyncio.run(_follow(session, service, parent, log_id, after))
        return
    request = eventlogpb.ReadEventsRequest(parent=parent, log_id=log_id, after_position=after, limit=limit)
    page = asyncio.run(_read(session, service, request))
    if session.wants_json:
        session.show_document(document_of(page))
        return
    for event in page.events:
        session.out.print(_line_of(event), soft_wrap=True)
    session.note(f"Log {page.log_id}, head {page.head_position}.")


async def _read(
    session: Session, service: Service, request: eventlogpb.ReadEventsRequest
) -> eventlogpb.ReadEventsResponse:
    async with client_of(session, service) as client:
        return await client.events.read_events(request)


async def _follow(session: Session, service: Service, parent: str, log_id: str, after: int) -> None:
    async with client_of(session, service) as client:
        watch = client.events.watch_events(parent, after_position=after, log_id=log_id)
        async with aclosing(watch) as responses:
            async for response in responses:
                for event in response.events:
                    if session.wants_json:
                        session.show_line(document_of(event))
                    else:
                        session.out.print(_line_of(event), soft_wrap=True)


def _line_of(event: eventlogpb.Event) -> str:
    kind = event.payload.type_url.rpartition(".")[2]
    words = [str(event.position), when(event.occur_time), kind, id_of(event.subject), id_of(event.actor)]
    return plain("  ".join(words))
