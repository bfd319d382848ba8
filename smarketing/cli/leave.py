"""`smarketing calendars leave add | list | cancel`: when people are away."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, timestamp_of
from smarketing.cli.output import id_of, table, when
from smarketing.cli.session import session_of
from smarketing.client import SlaClient

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="When people are away.")

Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person's id.")]


@app.command()
def add(
    ctx: typer.Context,
    *,
    person: Person,
    start: Annotated[str, typer.Argument(metavar="START", help="From when, with an offset.")],
    end: Annotated[str, typer.Argument(metavar="END", help="Until when, with an offset.")],
) -> None:
    """Note that a person is away."""
    session = session_of(ctx)
    leave = slapb.Leave(start_time=timestamp_of(start), end_time=timestamp_of(end))
    request = slapb.CreateLeaveRequest(parent=session.name("people", person), leave=leave)
    noted = session.ask(SlaClient, lambda sla: sla.create_leave(request))
    session.show(noted, lambda: _view([noted]))


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    person: Annotated[
        str, typer.Argument(metavar="PERSON", help="A person's id; everybody when none.")
    ] = "-",
    limit: Limit = 50,
) -> None:
    """List leave, cancelled leave included."""
    session = session_of(ctx)
    request = slapb.ListLeaveRequest(parent=session.name("people", person), page_size=min(limit, 1_000))
    found, more = session.ask(SlaClient, lambda sla: taken(sla.leaves(request), limit))
    session.show_list("leave", found, lambda: _view(found), more=more)


@app.command()
def cancel(
    ctx: typer.Context,
    leave: Annotated[str, typer.Argument(metavar="LEAVE", help="people/ID/leave/ID, as `list` shows it.")],
) -> None:
    """Take leave back."""
    session = session_of(ctx)
    request = slapb.CancelLeaveRequest(name=session.assignee(leave))
    cancelled = session.ask(SlaClient, lambda sla: sla.cancel_leave(request))
    session.show(cancelled, lambda: _view([cancelled]))


def _view(found: list[slapb.Leave]) -> RenderableType:
    rows = [
        (id_of(each.name), when(each.start_time), when(each.end_time), when(each.cancel_time))
        for each in found
    ]
    return table(("leave", "from", "until", "cancelled"), rows)
