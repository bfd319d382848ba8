"""The root of the `smarketing` command: shared options, and where the commands of each noun are."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from smarketing.cli.forms import Exit, Format
from smarketing.cli.group import Noun, RootGroup

__all__ = ["app", "main"]

_HERE = "smarketing.cli"


class _Root(RootGroup):
    # Nothing of these modules is read before one is called: `--help` answers at once.
    nouns: ClassVar[Mapping[str, Noun]] = {
        "leads": Noun(
            "Leads and their handoffs, from submission to outcome.", f"{_HERE}.leads_noun:leads_app"
        ),
        "opportunities": Noun(
            "Opportunities: worth, stages, and how they ended.", f"{_HERE}.opportunities:app"
        ),
        "outcomes": Noun("Won and lost deals that another system knows.", f"{_HERE}.outcomes:app"),
        "feedback": Noun("What the field hears, and what marketing does with it.", f"{_HERE}.feedback:app"),
        "routing": Noun("Who gets a lead, and how fairly.", f"{_HERE}.routing:app"),
        "playbook": Noun("How a tenant wants its handoffs worked.", f"{_HERE}.playbook:app"),
        "intake": Noun("How links are read, and whose word on a field counts.", f"{_HERE}.intake_rules:app"),
        "sources": Noun(
            "Systems that send webhooks, and what was set aside of them.", f"{_HERE}.sources:app"
        ),
        "write-backs": Noun("Addresses that are told what became of leads.", f"{_HERE}.sources:write_backs"),
        "sla": Noun("The agreement, its clocks, and alerts.", f"{_HERE}.sla_noun:sla_app"),
        "calendars": Noun(
            "Open hours, holidays, leave, and calendars of teams' and people's own.", f"{_HERE}.calendars:app"
        ),
        "reports": Noun("The shared figures.", f"{_HERE}.reports:app"),
        "tenants": Noun("Tenants of the installation, and how much each may use.", f"{_HERE}.tenants:app"),
        "directory": Noun("Teams, people, systems, queues and routing.", f"{_HERE}.directory:app"),
        "tokens": Noun("Tokens of people and systems.", f"{_HERE}.tokens:app"),
        "privacy": Noun("How long people are kept, and what becomes of who returns.", f"{_HERE}.privacy:app"),
        "audit": Noun("The audit trail.", f"{_HERE}.audit:app"),
        "events": Noun("Read or follow the log of a service.", f"{_HERE}.events:show"),
        "export": Noun("Write everything of a tenant to a folder.", f"{_HERE}.export:run"),
        "status": Noun(
            "Show health, readiness, log heads and lag; ends with 4 when a service is not ready.",
            f"{_HERE}.status:show",
        ),
        "apply": Noun(
            "Compare configuration files with what there is, and apply the difference.", f"{_HERE}.apply:run"
        ),
    }


app = typer.Typer(
    cls=_Root,
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
    from smarketing.cli.options import read
    from smarketing.cli.session import Session
    from smarketing.client import read_settings
    from smarketing.config import ConfigInvalid
    from smarketing.mapping.texts import duration_of
    from smarketing.names import is_id

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
        settings = dataclasses.replace(settings, timeout=read(duration_of, timeout))
    ctx.obj = Session(settings, output)


def main() -> None:
    """Run the command line."""
    app(prog_name="smarketing")
