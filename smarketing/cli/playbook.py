"""`smarketing playbook show | apply`: how a tenant wants its handoffs worked."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.messages import message_in
from smarketing.cli.output import record, span, table
from smarketing.cli.session import Session, session_of
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(ctx: typer.Context) -> None:
    """Show the playbook, defaults filled in; with --format json as `apply` reads it."""
    session = session_of(ctx)
    found = session.ask(LeadsClient, lambda leads: leads.playbook.get_playbook(_get(session)))
    session.show(found, lambda: _view(found))


@app.command()
def apply(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML; see docs/cli.md.")],
) -> None:
    """Make a file the playbook; what it leaves out takes its default, what was decided before stays."""
    session = session_of(ctx)
    wanted = message_in(file, playbookpb.Playbook)
    request = playbookpb.ApplyPlaybookRequest(parent=session.parent, playbook=wanted)

    async def applied(leads: LeadsClient) -> tuple[playbookpb.Playbook, playbookpb.Playbook]:
        before = await leads.playbook.get_playbook(_get(session))
        return before, await leads.playbook.apply_playbook(request)

    before, after = session.ask(LeadsClient, applied)
    fields = [
        field.name
        for field in after.DESCRIPTOR.fields
        if field.name not in {"name", "etag"} and getattr(before, field.name) != getattr(after, field.name)
    ]
    changed = ", ".join(fields) or "nothing"
    session.show(after, lambda: record([("changed", changed), ("etag", after.etag)]))


def _get(session: Session) -> playbookpb.GetPlaybookRequest:
    return playbookpb.GetPlaybookRequest(name=f"{session.parent}/playbook")


def _view(found: playbookpb.Playbook) -> RenderableType:
    order = found.claim_order
    codes = [
        (
            enum_word(leadspb.ReasonCode.Use.DESCRIPTOR, each.use),
            each.code,
            enum_word(termspb.Party.DESCRIPTOR, each.accountable_party),
            "yes" if each.evidence_required else "",
        )
        for each in found.reason_codes
    ]
    times = [
        (enum_word(leadspb.Handoff.NextAction.DESCRIPTOR, each.action), span(each.due_duration))
        for each in found.action_times
    ]
    head = record(
        [
            ("a point of score counts", span(order.score_advance_duration)),
            ("a step of value counts", span(order.value_advance_duration)),
            ("step of value", f"{order.value_step_minor_units:,} minor units"),
            ("takeovers before the queue", str(found.max_takeovers)),
            ("days to dispute", str(found.dispute_window_days)),
            ("days to answer", str(found.dispute_answer_days)),
            ("queue after a win", found.after_win_queue),
            ("kind of lead after a win", found.after_win_lead_type),
            ("etag", found.etag),
        ]
    )
    stages = [(each.stage, f"{each.probability_percent}%") for each in found.stages]
    return Group(
        head,
        table(("stage", "chance"), stages),
        table(("next action", "due after"), times),
        table(("for", "reason code", "counted on", "evidence"), codes),
    )
