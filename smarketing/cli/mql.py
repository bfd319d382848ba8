"""`smarketing leads mql list | show | propose | activate`: what counts as marketing-qualified."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.leads import taken
from smarketing.cli.messages import message_in
from smarketing.cli.options import Limit
from smarketing.cli.output import id_of, record, span, table, when
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What the tenant calls marketing-qualified.")

Version = Annotated[str, typer.Argument(metavar="VERSION", help="The definition's number: 3.")]


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = 50) -> None:
    """List definitions, the newest first."""
    session = session_of(ctx)
    request = scoringpb.ListMqlDefinitionsRequest(parent=session.parent, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.scoring.mql_definitions(request), limit))
    rows = [
        (
            _version(each),
            each.display_name,
            _state(each),
            str(each.min_fit_points),
            str(each.min_engagement_points),
            when(each.activate_time),
        )
        for each in found
    ]
    columns = ("version", "name", "state", "fit from", "engagement from", "activated")
    session.show_list("mql_definitions", found, lambda: table(columns, rows), more=more)


@app.command()
def show(ctx: typer.Context, version: Version) -> None:
    """Show all that a definition says; with --format json as `propose` reads it."""
    session = session_of(ctx)
    request = scoringpb.GetMqlDefinitionRequest(name=session.name("mqlDefinitions", version))
    found = session.ask(LeadsClient, lambda leads: leads.scoring.get_mql_definition(request))
    session.show(found, lambda: _view(found))


@app.command()
def propose(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML; see docs/cli.md.")],
) -> None:
    """Keep the next version of the definition, for marketing; sales activates it."""
    session = session_of(ctx)
    definition = message_in(file, scoringpb.MqlDefinition)
    if definition.score_model:
        definition.score_model = session.name("scoreModels", definition.score_model)
    request = scoringpb.ProposeMqlDefinitionRequest(parent=session.parent, mql_definition=definition)
    kept = session.ask(LeadsClient, lambda leads: leads.scoring.propose_mql_definition(request))
    session.show(kept, lambda: _view(kept))


@app.command()
def activate(
    ctx: typer.Context,
    *,
    version: Version,
    etag: Annotated[str, typer.Option(help="Only when the definition still has this etag.")] = "",
) -> None:
    """Hold every new handoff against a version, for sales."""
    session = session_of(ctx)
    request = scoringpb.ActivateMqlDefinitionRequest(name=session.name("mqlDefinitions", version), etag=etag)
    active = session.ask(LeadsClient, lambda leads: leads.scoring.activate_mql_definition(request))
    session.show(active, lambda: _view(active))


def _version(definition: scoringpb.MqlDefinition) -> str:
    return id_of(definition.name).removeprefix("mqlDefinitions/")


def _state(definition: scoringpb.MqlDefinition) -> str:
    return enum_word(scoringpb.MqlDefinition.State.DESCRIPTOR, definition.state)


def _view(definition: scoringpb.MqlDefinition) -> RenderableType:
    raised = definition.hand_raise
    channels, kinds = termspb.SourceChannel.DESCRIPTOR, intakepb.Behaviour.Kind.DESCRIPTOR
    by_itself = [
        *raised.lead_types,
        *(enum_word(channels, each) for each in raised.source_channels),
        *(enum_word(kinds, each) for each in raised.behaviours),
    ]
    within = definition.HasField("engagement_window")
    return record(
        [
            ("version", _version(definition)),
            ("name", definition.display_name),
            ("state", _state(definition)),
            ("points by", id_of(definition.score_model)),
            ("fit from", str(definition.min_fit_points)),
            ("engagement from", str(definition.min_engagement_points)),
            ("engagement of", span(definition.engagement_window) if within else "all time"),
            ("by itself", ", ".join(by_itself)),
            ("fields to fill in", ", ".join(definition.required_fields)),
            ("activated", when(definition.activate_time)),
            ("etag", definition.etag),
        ]
    )
