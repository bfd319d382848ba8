"""`smarketing sla alerts [show | acknowledge | snooze | resolve]`: misses, and coming ones."""

from datetime import timedelta
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType

from smarketing import wallclock
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.leads import taken
from smarketing.cli.options import All, Limit, number_of, read, timestamp_of
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import SlaClient
from smarketing.mapping.texts import duration_of, enum_word

__all__ = ["app"]

app = typer.Typer(help="Misses, and coming ones; without a further word the list.")

_PAGE = 1_000

Alert = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id.")]


@app.callback(invoke_without_command=True)
def list_(
    ctx: typer.Context,
    *,
    state: Annotated[list[str] | None, typer.Option(help="open, acknowledged, resolved.")] = None,
    owner: Annotated[str, typer.Option(help="Only this person's.")] = "",
    handoff: Annotated[str, typer.Option(help="Only of LEAD/NUMBER.")] = "",
    limit: Limit = 50,
    unlimited: All = False,
) -> None:
    """List alerts, newest first, or deal with one."""
    if ctx.invoked_subcommand is not None:
        return
    session = session_of(ctx)
    most = 0 if unlimited else limit
    request = slapb.ListAlertsRequest(
        parent=session.parent,
        page_size=min(most or _PAGE, _PAGE),
        states=[number_of(slapb.Alert.State, word) for word in state or []],
        owner=session.assignee(owner) if owner else "",
        handoff=session.handoff(handoff) if handoff else "",
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.alerts(request), most))
    rows = [
        (
            id_of(alert.name).removeprefix("alerts/"),
            _state(alert),
            "missed" if alert.missed else "warning",
            alert.commitment_title or alert.commitment_id,
            short(alert.handoff),
            when(alert.due_time),
            id_of(alert.owner),
        )
        for alert in found
    ]
    columns = ("alert", "state", "kind", "commitment", "handoff", "due", "owner")
    session.show_list("alerts", found, lambda: table(columns, rows), more=more)


# Where every other noun lists with a word of its own, so does this one.
app.command("list", hidden=True)(list_)


@app.command()
def show(ctx: typer.Context, alert: Alert) -> None:
    """Show an alert: what was missed, who was told, who dealt with it."""
    session = session_of(ctx)
    request = slapb.GetAlertRequest(name=session.name("alerts", alert))
    found = session.ask(SlaClient, lambda sla: sla.get_alert(request))
    session.show(found, lambda: _view(found))


@app.command()
def acknowledge(ctx: typer.Context, alert: Alert) -> None:
    """Say "I have seen it"."""
    session = session_of(ctx)
    request = slapb.AcknowledgeAlertRequest(name=session.name("alerts", alert))
    seen = session.ask(SlaClient, lambda sla: sla.acknowledge_alert(request))
    session.show(seen, lambda: _view(seen))


@app.command()
def snooze(
    ctx: typer.Context,
    *,
    alert: Alert,
    until: Annotated[
        str, typer.Argument(metavar="UNTIL", help="For how long (2h, 3d), or until when, with an offset.")
    ],
) -> None:
    """Put an alert off, 30 days at most: nobody is told of it until then."""
    session = session_of(ctx)
    request = slapb.SnoozeAlertRequest(name=session.name("alerts", alert), until_time=_until(until))
    put_off = session.ask(SlaClient, lambda sla: sla.snooze_alert(request))
    session.show(put_off, lambda: _view(put_off))


@app.command()
def resolve(ctx: typer.Context, alert: Alert) -> None:
    """Say "it is dealt with"."""
    session = session_of(ctx)
    request = slapb.ResolveAlertRequest(name=session.name("alerts", alert))
    ended = session.ask(SlaClient, lambda sla: sla.resolve_alert(request))
    session.show(ended, lambda: _view(ended))


def _until(text: str) -> Timestamp | None:
    if "-" in text or ":" in text:
        return timestamp_of(text)
    length: timedelta = read(_length_of, text)
    instant = Timestamp()
    instant.FromDatetime(wallclock.utc_now() + length)
    return instant


def _length_of(text: str) -> timedelta:
    try:
        return duration_of(text)
    except ValueError:
        raise ValueError("is neither a duration such as 2h nor an instant with an offset") from None


def _state(alert: slapb.Alert) -> str:
    return enum_word(slapb.Alert.State.DESCRIPTOR, alert.state)


def _view(alert: slapb.Alert) -> RenderableType:
    return record(
        [
            ("alert", id_of(alert.name).removeprefix("alerts/")),
            ("state", _state(alert)),
            ("kind", "missed" if alert.missed else "warning"),
            ("commitment", alert.commitment_title or alert.commitment_id),
            ("rung", alert.rung_id),
            ("handoff", short(alert.handoff)),
            ("clock", id_of(alert.clock).removeprefix("clocks/")),
            ("owner", id_of(alert.owner)),
            ("due", when(alert.due_time)),
            ("told", ", ".join(id_of(each) for each in alert.recipients)),
            ("acknowledged by", id_of(alert.acknowledged_by)),
            ("put off until", when(alert.snooze_until_time)),
            ("resolved by", id_of(alert.resolved_by)),
            ("resolved as", alert.resolve_reason),
        ]
    )
