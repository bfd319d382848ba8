"""A CSV file as a stream of numbered rows; a row that is none is said to be faulty, and reading goes on."""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CsvForm", "Row", "Table", "TableFaulty", "sha256_of"]

_BLOCK_BYTES = 1 << 20


class TableFaulty(Exception):
    """The file has no usable header; nothing of it can be read."""


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How the file is written."""

    delimiter: str = ","
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file."""

    number: int
    """1, 2, 3 … the header not counted."""
    line: int
    """The line of the file on which it begins."""
    cells: Sequence[str]
    """As written."""
    values: Mapping[str, str]
    """By column; empty when faulty."""
    fault: str = ""
    """Why it cannot be used; empty when it can."""


class Table:
    """An open CSV file; one row is in memory at a time."""

    def __init__(self, path: Path, form: CsvForm) -> None:
        self._raw = path.open("rb")
        self.size = path.stat().st_size
        """Bytes of the file."""
        # A sign that is no text must spoil its row, not the reading: it is carried along and found below.
        encoding = "utf-8-sig" if form.encoding == "utf-8" else form.encoding
        text = io.TextIOWrapper(self._raw, encoding=encoding, errors="surrogateescape", newline="")
        self._reader = csv.reader(text, delimiter=form.delimiter, strict=True)
        try:
            self.columns = self._header(path)
            """Names of the columns, in order."""
        except TableFaulty:
            self._raw.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._raw.tell()

    def rows(self) -> Iterator[Row]:
        """Yield every record behind the header; empty lines are none."""
        number = 0
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield Row(number, line, (), {}, f"is not CSV: {error}")
                continue
            if not cells:
                continue
            number += 1
            yield self._row(number, line, cells)

    def _row(self, number: int, line: int, cells: list[str]) -> Row:
        if len(cells) != len(self.columns):
            fault = f"has {len(cells)} fields where the header has {len(self.columns)}"
            return Row(number, line, cells, {}, fault)
        if any(not cell.isprintable() and _is_broken(cell) for cell in cells):
            return Row(number, line, [_mended(cell) for cell in cells], {}, "has bytes that are no text")
        return Row(number, line, cells, dict(zip(self.columns, cells, strict=True)))

    def _header(self, path: Path) -> Sequence[str]:
        try:
            columns = next(self._reader)
        except (StopIteration, csv.Error):
            raise TableFaulty(f"{path} has no header line.") from None
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise TableFaulty(f"{path} has several columns named {', '.join(map(repr, twice))}.")
        if any(_is_broken(column) for column in columns):
            raise TableFaulty(f"The header of {path} is not in the encoding that the mapping says.")
        return tuple(columns)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _is_broken(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _mended(text: str) -> str:
    return "".join("\ufffd" if "\udc80" <= character <= "\udcff" else character for character in text)
