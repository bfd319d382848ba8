"""The numbers behind the page as tables: shown beside each chart, and handed out as CSV and JSON."""

import csv
import io
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["Cell", "Column", "Table", "Value", "csv_of", "json_of"]

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


def _cell_of(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
