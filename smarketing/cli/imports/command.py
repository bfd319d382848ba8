"""What the import commands share: options, the progress bar, the summary and the exit code."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.message import Message
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from smarketing.cli.imports.mapping import MappingKind, read_mapping
from smarketing.cli.imports.run import Answered, Import, ImportOptions, ImportReport, Timing
from smarketing.cli.output import record
from smarketing.cli.session import Exit, Session
from smarketing.client import Answer, CallError, ClientSettings

__all__ = ["FileArgument", "MapOption", "RejectedOption", "RestartOption", "StateOption", "carry"]

M = TypeVar("M", bound=Message)
C = TypeVar("C")

FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A CSV file with a header line.")
]
MapOption = Annotated[
    Path,
    typer.Option("--map", exists=True, dir_okay=False, help="The mapping; see docs/cli.md and examples/."),
]
StateOption = Annotated[
    Path | None, typer.Option("--state", help="Where to note what was answered; else beside the file.")
]
RejectedOption = Annotated[
    Path | None, typer.Option("--rejected", help="Where rows that were not taken go; else FILE.rejected.csv.")
]
RestartOption = Annotated[bool, typer.Option("--restart", help="Forget what an earlier run noted.")]

_BAR_STEP_BYTES = 1 << 16


def carry(
    session: Session,
    *,
    kind: MappingKind,
    files: tuple[Path, Path, Path | None, Path | None],
    restart: bool,
    timing: Timing,
    prepare: Callable[[Message], M],
    connect: Callable[[ClientSettings], AbstractAsyncContextManager[C]],
    target: str,
    send: Callable[[C, str, Iterator[M]], Any],
    outcome_of: Callable[[Answer[Any, Any]], str],
) -> None:
    """Carry an import through and say what became of its rows.

    Raises:
        typer.Exit: with 5 when rows were rejected.
    """
    file, map_file, state, rejected = files
    options = ImportOptions(
        file=file,
        parent=session.parent,
        target=target,
        state=state or file.with_name(f"{file.name}.{kind.lower()}.state"),
        rejected=rejected or file.with_name(f"{file.name}.rejected.csv"),
        restart=restart,
        timing=timing,
    )
    with _bar(session) as bar:
        task = bar.add_task(file.name, total=None)
        shown = 0

        def on_progress(position: int, size: int) -> None:
            nonlocal shown
            if position - shown >= _BAR_STEP_BYTES or position == size:
                shown = position
                bar.update(task, completed=position, total=size)

        run = Import(read_mapping(map_file, kind), options, prepare, on_progress)
        try:
            asyncio.run(_sent(session, run, connect, send, outcome_of))
        except CallError:
            session.note(f"{run.settled} rows are settled; the same command goes on from there.")
            raise
    _show(session, run.report, options)


async def _sent(
    session: Session,
    run: Import[M],
    connect: Callable[[ClientSettings], AbstractAsyncContextManager[C]],
    send: Callable[[C, str, Iterator[M]], Any],
    outcome_of: Callable[[Answer[Any, Any]], str],
) -> None:
    async with connect(session.settings) as service:

        async def answers(messages: Iterator[M]) -> AsyncIterator[list[Answered]]:
            async with aclosing(send(service, session.parent, messages)) as batches:
                async for batch in batches:
                    yield [Answered(answer.refusal, outcome_of(answer)) for answer in batch]

        await run.run(answers)


def _bar(session: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=session.err,
        transient=True,
        disable=not session.err.is_terminal,
    )


def _show(session: Session, report: ImportReport, options: ImportOptions) -> None:
    if session.wants_json:
        session.show_document(
            {
                **{name: value for name, value in dataclasses.asdict(report).items() if name != "outcomes"},
                "outcomes": dict(sorted(report.outcomes.items())),
                "rejected_file": str(options.rejected) if report.rejected else "",
                "state_file": str(options.state),
            }
        )
    else:
        session.out.print(
            record(
                [
                    ("rows", str(report.rows)),
                    ("skipped", f"{report.skipped} settled by an earlier run" if report.skipped else ""),
                    (
                        "passed over",
                        f"{report.passed_over} not meant by `when`" if report.passed_over else "",
                    ),
                    *((outcome, str(count)) for outcome, count in sorted(report.outcomes.items())),
                    ("rejected", f"{report.rejected}, see {options.rejected}" if report.rejected else ""),
                ]
            )
        )
    if report.rejected:
        raise typer.Exit(Exit.PARTLY)
