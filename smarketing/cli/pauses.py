"""`smarketing sla clock | pause | resume | reassess`: one clock, and what people do to it."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import clocks_pb2 as clockspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.output import id_of, record, span, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]

Clock = Annotated[str, typer.Argument(metavar="CLOCK", help="The clock's id.")]
Reason = Annotated[str, typer.Option(help="A code of the agreement's pause reasons; `sla terms` has them.")]
Etag = Annotated[str, typer.Option(help="Only when the clock still has this etag.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    for command in (clock, pause, resume, reassess):
        app.command(command.__name__)(command)


def clock(ctx: typer.Context, clock: Clock) -> None:
    """Show one clock; `explain` accounts for its time."""
    session = session_of(ctx)
    request = slapb.GetClockRequest(name=session.name("clocks", clock))
    found = session.ask(SlaClient, lambda sla: sla.get_clock(request))
    session.show(found, lambda: _view(found))


def pause(ctx: typer.Context, *, clock: Clock, reason: Reason, etag: Etag = "") -> None:
    """Let a clock stand still from now on, for a reason that the agreement knows."""
    session = session_of(ctx)
    request = clockspb.PauseClockRequest(name=session.name("clocks", clock), etag=etag, reason_code=reason)
    paused = session.ask(SlaClient, lambda sla: sla.pauses.pause_clock(request))
    session.show(paused, lambda: _view(paused))


def resume(ctx: typer.Context, *, clock: Clock, reason: Reason, etag: Etag = "") -> None:
    """Let a clock run on, as far as it stands still for this reason."""
    session = session_of(ctx)
    request = clockspb.ResumeClockRequest(name=session.name("clocks", clock), etag=etag, reason_code=reason)
    running = session.ask(SlaClient, lambda sla: sla.pauses.resume_clock(request))
    session.show(running, lambda: _view(running))


def reassess(ctx: typer.Context, *, clock: Clock, etag: Etag = "") -> None:
    """Measure an open clock by the version in force now; one past due by it is missed then and there."""
    session = session_of(ctx)
    request = clockspb.ReassessClockRequest(name=session.name("clocks", clock), etag=etag)
    measured = session.ask(SlaClient, lambda sla: sla.pauses.reassess_clock(request))
    session.show(measured, lambda: _view(measured))


def _view(clock: slapb.Clock) -> RenderableType:
    return record(
        [
            ("clock", id_of(clock.name).removeprefix("clocks/")),
            ("commitment", clock.commitment_id),
            ("handoff", short(clock.handoff)),
            ("state", enum_word(slapb.Clock.State.DESCRIPTOR, clock.state)),
            ("version", id_of(clock.agreement_version).removeprefix("agreements/")),
            ("owner", id_of(clock.owner)),
            ("due", f"{when(clock.due_time)}{' (provisional)' if clock.provisional else ''}"),
            ("counted", span(clock.elapsed_duration)),
            ("remaining", span(clock.remaining_duration)),
            ("etag", clock.etag),
        ]
    )
