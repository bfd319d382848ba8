"""The root of the `smarketing` command: shared options, and one group of commands for each noun."""

import dataclasses
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from smarketing.cli import (
    agreements,
    apply,
    audit,
    backtests,
    calendars,
    directory,
    events,
    handoffs,
    intake,
    leads,
    lookups,
    outcomes,
    reports,
    sla,
    sources,
    status,
)
from smarketing.cli.group import RootGroup
from smarketing.cli.session import Exit, Format, Session
from smarketing.client import read_settings
from smarketing.config import ConfigInvalid
from smarketing.mapping.texts import duration_of
from smarketing.names import is_id

__all__ = ["app", "main"]

app = typer.Typer(
    cls=RootGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hand leads from marketing to sales, hold both to one agreement, and read the same figures.",
    epilog="--format, --tenant, --timeout and --token-file may stand anywhere in the line.",
)


@app.callback()
def prepare(
    ctx: typer.Context,
    output: Annotated[
        Format, typer.Option("--format", help="table for people, json for programs.")
    ] = Format.TABLE,
    tenant: Annotated[str, typer.Option(help="Whose data; SMARKETING_TENANT, else default.")] = "",
    timeout: Annotated[str, typer.Option(help="How long a call may take: 10s, 1m.")] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="File with the caller's token.", dir_okay=False)
    ] = None,
) -> None:
    """Read the environment and the shared options."""
    environ = dict(os.environ)
    if token_file is not None:
        environ.pop("SMARKETING_TOKEN", None)
        environ["SMARKETING_TOKEN_FILE"] = str(token_file)
    try:
        settings = read_settings(environ)
    except ConfigInvalid as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(Exit.USAGE) from None
    if tenant:
        settings = dataclasses.replace(settings, tenant=tenant)
    if not is_id(settings.tenant) and settings.tenant != "-":
        raise typer.BadParameter(f"{settings.tenant!r} is no tenant's id")
    if timeout:
        settings = dataclasses.replace(settings, timeout=_timeout_of(timeout))
    ctx.obj = Session(settings, output)


def main() -> None:
    """Run the command line."""
    app(prog_name="smarketing")


def _timeout_of(text: str) -> timedelta:
    try:
        return duration_of(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


leads_app = typer.Typer(no_args_is_help=True, help="Leads and their handoffs, from submission to outcome.")
leads.register(leads_app)
lookups.register(leads_app)
intake.register(leads_app)
handoffs.register(leads_app)
app.add_typer(leads_app, name="leads")
app.add_typer(outcomes.app, name="outcomes")
app.add_typer(sources.app, name="sources")
app.add_typer(sources.write_backs, name="write-backs")
backtests.register(sla.app)
agreements.register(sla.app)
app.add_typer(sla.app, name="sla")
app.add_typer(calendars.app, name="calendars")
app.add_typer(reports.app, name="reports")
app.add_typer(directory.app, name="directory")
app.add_typer(directory.tokens, name="tokens")
app.add_typer(audit.app, name="audit")
app.command("events")(events.show)
app.command("status")(status.show)
app.command("apply")(apply.run)
