"""What a person sees on a terminal: tables, short times, and nothing that could move the cursor."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TextIO

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["console_on", "id_of", "plain", "record", "span", "table", "when"]

_PIPE_COLUMNS = 200


def console_on(stream: TextIO) -> Console:
    """Return a console that colours only a terminal, and does not cut what goes into a pipe."""
    console = Console(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    return console


def plain(text: str) -> str:
    """Return text that a lead or a sender wrote, without signs that steer a terminal."""
    return "".join(
        "\ufffd" if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else sign for sign in text
    )


def when(instant: Timestamp | None) -> str:
    """Return an instant in UTC to the second; empty when absent."""
    if instant is None or not (instant.seconds or instant.nanos):
        return ""
    return instant.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def instant_text(instant: datetime) -> str:
    """Return an instant as `when` does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(duration: Duration | timedelta) -> str:
    """Return a length of time in its two largest units: `2d 3h`, `-5m 10s`."""
    whole = duration.ToTimedelta() if isinstance(duration, Duration) else duration
    seconds = round(abs(whole.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    sign = "-" if whole < timedelta(0) and parts else ""
    return sign + (" ".join(parts[:2]) or "0s")


def id_of(name: str) -> str:
    """Return what distinguishes a resource within its tenant: `leads/a/handoffs/1` for a handoff."""
    _tenants, _, rest = name.partition("/")
    _tenant, _, own = rest.partition("/")
    return own or name


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> Table:
    """Return rows under headings."""
    shown = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(plain(cell) for cell in row))
    return shown


def record(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return one thing's fields below each other; empty ones are left out."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for label, value in pairs:
        if value:
            shown.add_row(label, plain(value))
    return shown
