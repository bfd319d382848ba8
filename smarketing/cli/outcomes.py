"""`smarketing outcomes import`: what another system knows became of leads."""

import typer
from google.protobuf.message import Message

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.imports.command import (
    FileArgument,
    MapOption,
    RejectedOption,
    RestartOption,
    StateOption,
    carry,
)
from smarketing.cli.imports.mapping import MappingKind
from smarketing.cli.imports.run import Timing
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient
from smarketing.client.leads import OutcomeAnswer
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Won and lost deals that another system knows.")


@app.callback()
def outcomes() -> None:
    """Keep `import` a command of its own although it is the only one."""


@app.command("import")
def import_(
    ctx: typer.Context,
    *,
    file: FileArgument,
    mapping: MapOption,
    state: StateOption = None,
    rejected: RejectedOption = None,
    restart: RestartOption = False,
) -> None:
    """Import outcomes from a CSV file through a mapping; an interrupted import goes on where it was."""
    session = session_of(ctx)
    carry(
        session,
        kind=MappingKind.OUTCOMES,
        files=(file, mapping, state, rejected),
        restart=restart,
        timing=Timing(),
        prepare=_outcome,
        connect=LeadsClient,
        target=session.settings.leads,
        send=lambda leads, parent, messages: leads.record_outcomes(parent, messages),
        outcome_of=_outcome_of,
    )


def _outcome(message: Message) -> leadspb.Outcome:
    assert isinstance(message, leadspb.Outcome)  # noqa: S101 - the mapping's kind says so
    return message


def _outcome_of(answer: OutcomeAnswer) -> str:
    return enum_word(leadspb.RecordOutcomesResult.Outcome.DESCRIPTOR, answer.result.outcome)
