"""`smarketing reports import | inputs | quotas`: what figures need and no log tells."""

from collections.abc import Iterator
from typing import Annotated

import typer
from google.protobuf.message import Message
from rich.table import Table

from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.cli.figures import value_text
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
from smarketing.cli.leads import taken
from smarketing.cli.options import date_message
from smarketing.cli.output import table
from smarketing.cli.session import session_of
from smarketing.client import Answer, ReportsClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("import")(import_)
    app.command("inputs")(inputs)
    app.command("quotas")(quotas)


def import_(
    ctx: typer.Context,
    *,
    file: FileArgument,
    mapping: MapOption,
    state: StateOption = None,
    rejected: RejectedOption = None,
    restart: RestartOption = False,
) -> None:
    """Import costs, goals, revenue or counts from a CSV file through a mapping."""
    session = session_of(ctx)
    carry(
        session,
        kind=MappingKind.INPUTS,
        files=(file, mapping, state, rejected),
        restart=restart,
        timing=Timing(),
        prepare=_input,
        connect=ReportsClient,
        target=session.settings.reports,
        send=_send,
        outcome_of=_outcome_of,
    )


def inputs(
    ctx: typer.Context,
    *,
    source_system: Annotated[str, typer.Option(help="Only what this system told.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="So many at most; 0 for all.")] = 50,
) -> None:
    """List what was recorded."""
    session = session_of(ctx)
    request = inputspb.ListInputsRequest(parent=session.parent, source_system=source_system)
    found, more = session.ask(ReportsClient, lambda reports: taken(reports.inputs(request), limit))

    columns = ("system", "id", "from", "until", "what", "campaign", "says")
    session.show_list("inputs", found, lambda: table(columns, map(_row, found)), more=more)


def quotas(
    ctx: typer.Context,
    *,
    start: Annotated[str, typer.Option("--from", help="First day of the period: 2026-01-01.")],
    end: Annotated[str, typer.Option("--until", help="The day behind its last.")],
) -> None:
    """Show quotas from party to team to person, with what was booked."""
    session = session_of(ctx)
    request = inputspb.GetQuotasRequest(
        parent=session.parent,
        period=reportspb.Period(start_date=date_message(start), end_date=date_message(end)),
    )
    found = session.ask(ReportsClient, lambda reports: reports.get_quotas(request))

    def view() -> Table:
        rows = [
            (
                each.node.removeprefix(f"{session.parent}/"),
                enum_word(inputspb.Quota.Origin.DESCRIPTOR, each.origin),
                value_text(each.quota),
                value_text(each.booked),
                value_text(each.attainment),
                value_text(each.sum_below) if each.HasField("sum_below") else "",
            )
            for each in found.quotas
        ]
        return table(("of", "origin", "quota", "booked", "attained", "those below"), rows)

    session.show(found, view)


def _send(reports: ReportsClient, parent: str, messages: Iterator[inputspb.Input]) -> object:
    return reports.record_inputs(parent, messages)


def _input(message: Message) -> inputspb.Input:
    assert isinstance(message, inputspb.Input)  # noqa: S101 - the mapping's kind says so
    return message


def _outcome_of(answer: Answer[inputspb.Input, inputspb.InputResult]) -> str:
    return enum_word(inputspb.InputResult.Outcome.DESCRIPTOR, answer.result.outcome)


def _row(each: inputspb.Input) -> tuple[str, ...]:
    kind = each.WhichOneof("content") or ""
    first, last = each.start_date, each.end_date
    return (
        each.source_system,
        each.external_id,
        f"{first.year}-{first.month:02}-{first.day:02}",
        f"{last.year}-{last.month:02}-{last.day:02}",
        kind,
        each.campaign,
        _said(each, kind),
    )


def _said(each: inputspb.Input, kind: str) -> str:
    content = getattr(each, kind) if kind else None
    amount = getattr(content, "amount", None)
    if amount is not None:
        return money_text(amount)
    return str(getattr(content, "count", ""))
