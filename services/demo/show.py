"""What the demo prints."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.demo.running import HOST, Places, log_of
from services.demo.wire import PartyScore

__all__ = ["Screen"]

_PIPE_COLUMNS = 116
_WIDE_COLUMNS = 112


class _Told(Protocol):
    def __call__(self, share: float) -> None:
        """Show the share that is done, 0 to 1."""


class Screen:
    """Writes to a terminal, or plainly into a pipe."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = _PIPE_COLUMNS

    def say(self, *lines: str) -> None:
        """Print lines."""
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def head(self, title: str) -> None:
        """Print a heading."""
        self._console.print()
        self._console.print(title, style="bold")

    @contextmanager
    def progress(self, title: str) -> Iterator[_Told]:
        """Show how far long work is."""
        if not self._console.is_terminal:
            self.say(f"{title} ...")
            yield lambda share: None  # noqa: ARG005 -- a pipe is told the beginning only
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=36),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=1.0)
            yield lambda share: progress.update(task, completed=share)

    def scorecard(self, parties: Sequence[PartyScore]) -> None:
        """Print each party's part."""
        for party in parties:
            self._console.print()
            self._console.print(_table_of(party, narrow=self._console.width < _WIDE_COLUMNS))
            if party.party == "System":
                # A figure of 100 % must say why it is no accident.
                self.say("  A lead is offered in the transaction that takes it in, so this is always kept.")

    def places(self, places: Places, data_dir: Path, account: Path) -> None:
        """Print where everything is, and what to try."""
        leads, sla, reports = (f"{HOST}:{port}" for port in places.grpc)
        self.head("Dashboard")
        self.say(f"  {places.dashboard}", f"  sign in with the token in {_short(account)}")
        self.head("Services (gRPC)")
        self.say(f"  leads {leads}   sla {sla}   reports {reports}")
        self.say(f"  metrics {'  '.join(places.metrics)}")
        self.say(f"  their log: {_short(log_of(data_dir))}; alerts are sent to {places.alerts}")
        self.head("Try next, in another terminal")
        for line in _commands(places, data_dir):
            self.say(f"  {line}")
        self.say("")


def _table_of(party: PartyScore, *, narrow: bool) -> Table:
    """Return the scores; a narrow screen is spared the intervals."""
    table = Table(
        box=box.SIMPLE_HEAD, title=party.party, title_justify="left", title_style="bold", pad_edge=False
    )
    table.add_column("figure", ratio=1)
    promises = any(score.promised for score in party.scores)
    counts = ("promised", "met", "missed", "retracted", "overdue") if promises else ()
    for column in ("value", *counts):
        table.add_column(column, justify="right", no_wrap=True)
    for score in party.scores:
        style = {True: "green", False: "red", None: ""}[score.is_kept]
        value = score.value.partition(" (")[0] if narrow and score.value[:1].isdigit() else score.value
        told = (score.promised, score.met, score.missed, score.retracted, score.overdue)
        table.add_row(score.title, value, *told[: len(counts)], style=style)
    return table


def _commands(places: Places, data_dir: Path) -> list[str]:
    tokens = _short(data_dir / "tokens")
    leads, sla, reports = places.grpc
    lines = [f"export SMARKETING_TOKEN_FILE={tokens}/marcus.token"]
    if leads != 7001:
        lines.append(
            f"export SMARKETING_LEADS={HOST}:{leads} SMARKETING_SLA={HOST}:{sla} "
            f"SMARKETING_REPORTS={HOST}:{reports}"
        )
    return [
        *lines,
        ".venv/bin/smarketing status",
        ".venv/bin/smarketing reports funnel --by source",
        ".venv/bin/smarketing sla clocks --overdue",
        ".venv/bin/smarketing sla alerts",
        ".venv/bin/smarketing leads offers",
        f"SMARKETING_TOKEN_FILE={tokens}/anna.token .venv/bin/python examples/sales_desk.py anna",
    ]


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
