"""`smarketing sla channels …` and `sla endpoints …`: where alerts go, for a person and for a house."""

import sys
from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, number_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["app", "endpoints"]

app = typer.Typer(no_args_is_help=True, help="Ways by which a person is told of alerts.")
endpoints = typer.Typer(no_args_is_help=True, help="Addresses to which every alert goes; made with `apply`.")

_PAGE = 1_000
_STANDARD_INPUT = "-"

Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person's id.")]
Way = Annotated[str, typer.Argument(metavar="WAY", help="email, webhook or chat.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    person: Annotated[str, typer.Argument(help="A person's id; everybody you may see when none.")] = "-",
    limit: Limit = 50,
) -> None:
    """List ways, without their addresses, which are never shown."""
    session = session_of(ctx)
    request = slapb.ListAlertChannelsRequest(
        parent=session.name("people", person), page_size=min(limit, _PAGE)
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.alert_channels(request), limit))
    rows = [
        (
            id_of(each.name).split("/")[1],
            enum_word(slapb.AlertChannel.Way.DESCRIPTOR, each.way),
            enum_word(slapb.AlertChannel.Language.DESCRIPTOR, each.language) or "english",
            id_of(each.calendar).removeprefix("calendars/"),
            id_of(each.cover),
            when(each.update_time),
        )
        for each in found
    ]
    columns = ("person", "way", "language", "hours", "cover", "set")
    session.show_list("alert_channels", found, lambda: table(columns, rows), more=more)


@app.command("set")
def set_(
    ctx: typer.Context,
    *,
    person: Person,
    way: Way,
    address: Annotated[
        str, typer.Option(help="Where to; - reads it from standard input, out of the shell's history.")
    ],
    language: Annotated[str, typer.Option(help="english or korean.")] = "",
    calendar: Annotated[str, typer.Option(help="Id of the calendar with the person's hours.")] = "",
    cover: Annotated[str, typer.Option(help="Who is told instead outside of them: a person's id.")] = "",
) -> None:
    """Set a way for a person; the secret of a webhook is shown this once."""
    session = session_of(ctx)
    request = slapb.SetAlertChannelRequest(
        parent=session.name("people", person),
        alert_channel=slapb.AlertChannel(
            way=number_of(slapb.AlertChannel.Way, way),
            address=sys.stdin.readline().strip() if address == _STANDARD_INPUT else address,
            language=number_of(slapb.AlertChannel.Language, language),
            calendar=session.name("calendars", calendar) if calendar else "",
            cover=session.name("people", cover) if cover else "",
        ),
    )
    answer = session.ask(SlaClient, lambda sla: sla.set_alert_channel(request))
    session.show(answer, lambda: _view(answer.alert_channel, answer.secret))


@app.command()
def remove(ctx: typer.Context, *, person: Person, way: Way) -> None:
    """Remove a way: the person is told by it no more. `set` makes it again."""
    number_of(slapb.AlertChannel.Way, way)
    session = session_of(ctx)
    name = f"{session.name('people', person)}/alertChannels/{way.lower()}"
    request = slapb.DeleteAlertChannelRequest(name=name)
    removed = session.ask(SlaClient, lambda sla: sla.delete_alert_channel(request))
    session.show(removed, lambda: record([("removed", id_of(removed.name))]))


@endpoints.command("list")
def list_endpoints(ctx: typer.Context, limit: Limit = 50) -> None:
    """List addresses, and how many messages wait or were given up."""
    session = session_of(ctx)
    request = slapb.ListWebhookEndpointsRequest(parent=session.parent, page_size=min(limit, _PAGE))
    found, more = session.ask(SlaClient, lambda sla: taken(sla.webhook_endpoints(request), limit))
    rows = [
        (
            id_of(each.name).removeprefix("webhookEndpoints/"),
            each.url,
            str(each.pending_count),
            str(each.dead_letter_count),
            when(each.last_success_time),
            when(each.delete_time),
        )
        for each in found
    ]
    columns = ("endpoint", "url", "waiting", "given up", "last told", "removed")
    session.show_list("webhook_endpoints", found, lambda: table(columns, rows), more=more)


@endpoints.command("delete")
def delete_endpoint(
    ctx: typer.Context,
    endpoint: Annotated[str, typer.Argument(help="The endpoint's id, as `list` shows it.")],
) -> None:
    """Remove an address: no alert goes there any more."""
    session = session_of(ctx)
    request = slapb.DeleteWebhookEndpointRequest(name=session.name("webhookEndpoints", endpoint))
    removed = session.ask(SlaClient, lambda sla: sla.delete_webhook_endpoint(request))
    session.show(
        removed,
        lambda: record(
            [
                ("endpoint", id_of(removed.name).removeprefix("webhookEndpoints/")),
                ("url", removed.url),
                ("removed", when(removed.delete_time)),
            ]
        ),
    )


def _view(channel: slapb.AlertChannel, secret: str) -> RenderableType:
    return record(
        [
            ("way", id_of(channel.name)),
            ("language", enum_word(slapb.AlertChannel.Language.DESCRIPTOR, channel.language) or "english"),
            ("hours", id_of(channel.calendar)),
            ("cover", id_of(channel.cover)),
            ("secret", secret),
        ]
    )
