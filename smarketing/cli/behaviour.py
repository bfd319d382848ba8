"""`smarketing leads behaviour import`: what leads did, out of a file."""

import itertools
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated

import typer
from google.protobuf.message import Message

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
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
from smarketing.client import Answer, LeadsClient, error_of_status
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What leads did: visits, clicks, forms.")

_BATCH_SIZE = 500

_Answer = Answer[intakepb.Behaviour, scoringpb.RecordBehavioursResult]


@app.callback()
def behaviour() -> None:
    """Keep `import` a command of its own although it is the only one."""


@app.command("import")
def import_(
    ctx: typer.Context,
    *,
    file: FileArgument,
    mapping: MapOption,
    source_system: Annotated[
        str, typer.Option(help="Who tells of it: the sender of the submissions that it is about.")
    ],
    state: StateOption = None,
    rejected: RejectedOption = None,
    restart: RestartOption = False,
) -> None:
    """Import behaviours from a CSV file through a mapping; an interrupted import goes on where it was."""

    def send(
        leads: LeadsClient, parent: str, messages: Iterator[intakepb.Behaviour]
    ) -> AsyncGenerator[list[_Answer], None]:
        return _answers(leads, parent, source_system, messages)

    session = session_of(ctx)
    carry(
        session,
        kind=MappingKind.BEHAVIOURS,
        files=(file, mapping, state, rejected),
        restart=restart,
        timing=Timing(),
        prepare=_behaviour,
        connect=LeadsClient,
        target=session.settings.leads,
        send=send,
        outcome_of=_outcome_of,
    )


async def _answers(
    leads: LeadsClient, parent: str, source_system: str, messages: Iterator[intakepb.Behaviour]
) -> AsyncGenerator[list[_Answer], None]:
    sent = 0
    while batch := list(itertools.islice(messages, _BATCH_SIZE)):
        request = scoringpb.RecordBehavioursRequest(
            parent=parent, source_system=source_system, behaviours=batch
        )
        response = await leads.scoring.record_behaviours(request)
        yield [
            Answer(
                index=sent + number,
                item=item,
                result=result,
                refusal=error_of_status(result.error) if result.HasField("error") else None,
            )
            for number, (item, result) in enumerate(zip(batch, response.results, strict=True))
        ]
        sent += len(batch)


def _behaviour(message: Message) -> intakepb.Behaviour:
    assert isinstance(message, intakepb.Behaviour)  # noqa: S101 - the mapping's kind says so
    return message


def _outcome_of(answer: _Answer) -> str:
    return enum_word(scoringpb.RecordBehavioursResult.Outcome.DESCRIPTOR, answer.result.outcome)
