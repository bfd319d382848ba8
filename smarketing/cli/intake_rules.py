"""`smarketing intake rules | apply`: how links are read, and whose word on a field counts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.messages import message_in
from smarketing.cli.output import record, table
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command()
def rules(ctx: typer.Context) -> None:
    """Show the rules of intake; with --format json as `apply` reads them."""
    session = session_of(ctx)
    request = intakepb.GetIntakeRulesRequest(name=f"{session.parent}/intakeRules")
    found = session.ask(LeadsClient, lambda leads: leads.intake.get_intake_rules(request))
    session.show(found, lambda: _view(found))


@app.command()
def apply(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML; see docs/cli.md.")],
) -> None:
    """Make the rules of intake those of a file; an `etag` in it makes sure that nobody was faster."""
    session = session_of(ctx)
    wanted = message_in(file, intakepb.IntakeRules)
    request = intakepb.ApplyIntakeRulesRequest(parent=session.parent, intake_rules=wanted)
    applied = session.ask(LeadsClient, lambda leads: leads.intake.apply_intake_rules(request))
    session.show(applied, lambda: _view(applied))


def _view(found: intakepb.IntakeRules) -> RenderableType:
    channels = termspb.SourceChannel.DESCRIPTOR
    links = [(each.source, each.medium, enum_word(channels, each.source_channel)) for each in found.utm_rules]
    owners = [(each.field, ", ".join(each.source_systems)) for each in found.field_owners]
    return Group(
        record([("etag", found.etag)]),
        table(("utm_source", "utm_medium", "channel"), links),
        table(("field", "only from"), owners),
    )
