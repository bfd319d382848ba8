"""`smarketing leads score explain | models | show | propose | activate`: how leads are rated, and why."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.cli.leads import taken
from smarketing.cli.messages import message_in
from smarketing.cli.options import Limit
from smarketing.cli.output import id_of, plain, record, span, table, when
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="How leads are rated by the tenant's own models, and why.")

Version = Annotated[str, typer.Argument(metavar="VERSION", help="The model's number: 3.")]


@app.command()
def explain(
    ctx: typer.Context,
    *,
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id.")],
    model: Annotated[str, typer.Option(help="By this version; the active one when none.")] = "",
) -> None:
    """Say how a lead scores at this instant, and which rule gave or took what."""
    session = session_of(ctx)
    request = scoringpb.ScoreLeadRequest(
        name=session.name("leads", lead), score_model=session.name("scoreModels", model) if model else ""
    )
    score = session.ask(LeadsClient, lambda leads: leads.scoring.score_lead(request))
    session.show(score, lambda: _score_view(score))


@app.command()
def models(ctx: typer.Context, limit: Limit = 50) -> None:
    """List score models, the newest first."""
    session = session_of(ctx)
    request = scoringpb.ListScoreModelsRequest(parent=session.parent, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.scoring.score_models(request), limit))
    rows = [
        (
            _version(each),
            each.display_name,
            _state(each),
            str(len(each.fit_rules)),
            str(len(each.engagement_rules)),
            when(each.activate_time),
            _rescored(each),
        )
        for each in found
    ]
    columns = ("version", "name", "state", "fit rules", "engagement rules", "activated", "open ones rated")
    session.show_list("score_models", found, lambda: table(columns, rows), more=more)


@app.command()
def show(ctx: typer.Context, version: Version) -> None:
    """Show all that a model says; with --format json as `propose` reads it."""
    session = session_of(ctx)
    request = scoringpb.GetScoreModelRequest(name=session.name("scoreModels", version))
    found = session.ask(LeadsClient, lambda leads: leads.scoring.get_score_model(request))
    session.show(found, lambda: _model_view(found))


@app.command()
def propose(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML; see docs/cli.md.")],
) -> None:
    """Keep the next version of the model; it rates nothing before it is activated."""
    session = session_of(ctx)
    model = message_in(file, scoringpb.ScoreModel)
    request = scoringpb.ProposeScoreModelRequest(parent=session.parent, score_model=model)
    kept = session.ask(LeadsClient, lambda leads: leads.scoring.propose_score_model(request))
    session.show(kept, lambda: _model_view(kept))


@app.command()
def activate(
    ctx: typer.Context,
    *,
    version: Version,
    etag: Annotated[str, typer.Option(help="Only when the model still has this etag.")] = "",
) -> None:
    """Make a version the one that rates; open handoffs are rated anew in the background."""
    session = session_of(ctx)
    request = scoringpb.ActivateScoreModelRequest(name=session.name("scoreModels", version), etag=etag)
    active = session.ask(LeadsClient, lambda leads: leads.scoring.activate_score_model(request))
    session.show(active, lambda: _model_view(active))


def _version(model: scoringpb.ScoreModel) -> str:
    return id_of(model.name).removeprefix("scoreModels/")


def _state(model: scoringpb.ScoreModel) -> str:
    return enum_word(scoringpb.ScoreModel.State.DESCRIPTOR, model.state)


def _rescored(model: scoringpb.ScoreModel) -> str:
    if not model.HasField("rescoring"):
        return ""
    done = model.rescoring
    ended = "done" if done.HasField("finish_time") else "so far"
    return f"{done.scored_count:,}, {done.changed_count:,} changed, {ended}"


def _score_view(score: scoringpb.LeadScore) -> RenderableType:
    rows = [
        (
            each.rule_id,
            f"{each.points_thousandths / 1_000:+g}",
            each.field or f"{each.behaviour_count} times",
            "at its most" if each.capped else "",
        )
        for each in score.reasons
    ]
    head = record(
        [
            ("score", f"{score.rating.score} {score.rating.band}".strip()),
            ("fit", f"{score.fit_grade}, {score.fit_points} points"),
            ("engagement", f"{score.engagement_level}, {score.engagement_points} points"),
            ("model", id_of(score.rating.score_model).removeprefix("scoreModels/")),
            ("at", when(score.score_time)),
        ]
    )
    return Group(head, table(("rule", "points", "because of", ""), rows))


def _model_view(model: scoringpb.ScoreModel) -> RenderableType:
    operators, kinds = scoringpb.FitRule.Operator.DESCRIPTOR, intakepb.Behaviour.Kind.DESCRIPTOR
    fit = [
        (
            rule.rule_id,
            f"{rule.points:+}",
            rule.field,
            enum_word(operators, rule.operator),
            ", ".join(rule.values),
        )
        for rule in model.fit_rules
    ]
    engagement = [
        (
            rule.rule_id,
            f"{rule.points:+}",
            ", ".join(enum_word(kinds, kind) for kind in rule.kinds),
            str(rule.max_points),
            span(rule.half_life_duration) if rule.HasField("half_life_duration") else "never",
        )
        for rule in model.engagement_rules
    ]
    cells = [(cell.grade, cell.level, str(cell.score)) for cell in model.cells]
    bands = ", ".join(f"{band.band} from {band.from_score}" for band in model.bands)
    head = record(
        [
            ("version", _version(model)),
            ("name", model.display_name),
            ("state", _state(model)),
            ("activated", when(model.activate_time)),
            ("open handoffs rated", _rescored(model)),
            ("bands", bands),
            (
                "requalifies from",
                str(model.requalify_from_score) if model.HasField("requalify_from_score") else "",
            ),
            ("etag", model.etag),
        ]
    )
    return Group(
        head,
        table(("fit rule", "points", "field", "is", "of"), fit),
        table(("engagement rule", "points", "each", "at most", "halves in"), engagement),
        table(("grade", "level", "score"), cells),
        plain(""),
    )
