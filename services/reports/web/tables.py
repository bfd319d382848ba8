"""The numbers behind the page as tables: shown beside each chart, and handed out as CSV and JSON."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from services.reports.domain.figures import Figure
from services.reports.store.fold import Folded
from services.reports.web.formats import Formats, Shown
from services.reports.web.texts import Texts

__all__ = ["Cell", "Column", "Table", "Value", "csv_of", "figure_cell", "folded_table", "json_of", "unit_of"]

Value: TypeAlias = str | int | float | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `key` for programs, the same in every language, `label` for people."""

    key: str
    label: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and how it is shown; `muted` where the text stands for a value that is not there."""

    text: str
    value: Value
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Some rows under their columns; `key` is its name in the address."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def csv_of(table: Table) -> str:
    """Return the table as RFC 4180 text; what a spreadsheet would take for a formula is made text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.key for column in table.columns])
    writer.writerows([_cell_of(cell.value) for cell in row] for row in table.rows)
    return out.getvalue()


def json_of(table: Table) -> list[dict[str, Value]]:
    """Return the table's rows as objects; a value that is not known is null."""
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, (cell.value for cell in row), strict=True)) for row in table.rows]


def figure_cell(figure: Figure, shown: Shown) -> Cell:
    """Return a figure: seconds, minor units, or the number itself, for programs."""
    return Cell(shown.text, _value_of(figure), muted=not shown.known)


def unit_of(figure: Figure, unit: str) -> str:
    """Return what a figure's cell is in, for programs."""
    return f"{figure.amount.currency} minor units" if figure.amount else unit


def _value_of(figure: Figure) -> Value:
    if figure.duration is not None:
        return figure.duration / 1_000_000
    if figure.amount is not None:
        return figure.amount.minor_units
    for value in (figure.ratio, figure.scalar, figure.count):
        if value is not None:
            return value
    return None


def folded_table(folded: Iterable[Folded], texts: Texts, formats: Formats) -> Table:
    """Return how far each log is counted."""
    columns = (
        Column("log", texts("log")),
        Column("position", texts("position"), numeric=True),
        Column("newest_event", texts("newest_event")),
    )
    rows = tuple(
        (
            Cell(log.service, log.service),
            Cell(formats.number(log.position), log.position),
            Cell(formats.instant(log.record_time), log.record_time / 1_000_000),
        )
        for log in folded
    )
    return Table("logs", texts("as_of"), columns, rows)


def _cell_of(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
