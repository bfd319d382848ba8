"""`smarketing privacy show | set`: how long a tenant keeps people."""

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from rich.console import RenderableType

from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.cli.options import number_of, read
from smarketing.cli.output import record, span
from smarketing.cli.session import Session, session_of
from smarketing.cli.sure import agreed
from smarketing.client import LeadsClient
from smarketing.mapping.texts import duration_of, enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_FOR_EVER = "never"


@app.command()
def show(ctx: typer.Context) -> None:
    """Show how long people are kept, and what becomes of erased people who come back."""
    session = session_of(ctx)
    found = session.ask(LeadsClient, lambda leads: leads.privacy.get_privacy_settings(_get(session)))
    session.show(found, lambda: _view(found))


@app.command("set")
def set_(
    ctx: typer.Context,
    *,
    retention: Annotated[
        str, typer.Option(help="Erase people so long after their last handoff closed: 730d; never.")
    ] = "",
    on_return: Annotated[str, typer.Option(help="Erased people who come back: refuse or take_in.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many people it would erase now.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Change the settings, the others stay; asks when people would be erased by it."""
    if not retention and not on_return:
        raise typer.BadParameter("give --retention, --on-return or both")
    session = session_of(ctx)
    wanted = session.ask(LeadsClient, lambda leads: leads.privacy.get_privacy_settings(_get(session)))
    _change(wanted, retention, on_return)
    request = privacypb.UpdatePrivacySettingsRequest(
        parent=session.parent, settings=wanted, validate_only=True
    )
    tried = session.ask(LeadsClient, lambda leads: leads.privacy.update_privacy_settings(request))
    if not dry_run:
        if tried.erasable_count and not yes:
            agreed(f"Forget {tried.erasable_count} people for ever?")
        request.validate_only = False
        done = session.ask(LeadsClient, lambda leads: leads.privacy.update_privacy_settings(request))
        # Of a change the service counts nobody; whoever asked is told all the same.
        done.erasable_count = tried.erasable_count
        tried = done
    session.show(tried, lambda: _view(tried.settings, tried.erasable_count))


def _get(session: Session) -> privacypb.GetPrivacySettingsRequest:
    return privacypb.GetPrivacySettingsRequest(name=f"{session.parent}/privacySettings")


def _change(settings: privacypb.PrivacySettings, retention: str, on_return: str) -> None:
    if retention == _FOR_EVER:
        settings.ClearField("retention_duration")
    elif retention:
        duration = Duration()
        duration.FromTimedelta(read(duration_of, retention))
        settings.retention_duration.CopyFrom(duration)
    if on_return:
        settings.on_return = number_of(privacypb.PrivacySettings.OnReturn, on_return)


def _view(settings: privacypb.PrivacySettings, erasable: int = 0) -> RenderableType:
    kept = span(settings.retention_duration) if settings.HasField("retention_duration") else "for ever"
    return record(
        [
            ("kept after the last handoff closed", kept),
            ("who comes back", enum_word(privacypb.PrivacySettings.OnReturn.DESCRIPTOR, settings.on_return)),
            ("erased by it now", str(erasable or "")),
        ]
    )
