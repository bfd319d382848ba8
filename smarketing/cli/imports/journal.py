"""How far an import came: what is written here was answered, so it need not be sent again."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from smarketing.cli.imports.table import Row

__all__ = ["Journal", "JournalMismatch", "Rejects"]


class JournalMismatch(Exception):
    """The state file belongs to another import."""

    def __init__(self, path: Path, differing: Sequence[str]) -> None:
        super().__init__(
            f"{path} belongs to an import with another {', '.join(differing)}. "
            "Give --restart to begin anew (what the service has already is answered as a duplicate), "
            "or another --state."
        )
        self.path = path


class Journal:
    """The state file: a line that says which import it is, then one for each answered batch."""

    def __init__(self, path: Path, identity: Mapping[str, str], *, restart: bool) -> None:
        """Open the state of an import.

        Raises:
            JournalMismatch: the file is another import's.
        """
        lines = [] if restart or not path.exists() else _lines_of(path)
        if lines:
            differing = sorted(name for name, value in identity.items() if lines[0].get(name) != value)
            if differing:
                raise JournalMismatch(path, differing)
        last = lines[-1] if len(lines) > 1 else {}
        self.row: int = last.get("row", 0)
        """Every row up to this one is settled."""
        self.line: int = last.get("line", 0)
        """The line of that row."""
        fresh = path.with_name(path.name + ".new")
        self._file = os.fdopen(_private(fresh), "wb")
        self._write(dict(identity))
        if last:
            self._write(last)
        # Never a moment without the old state or the new.
        fresh.replace(path)

    def settle(self, row: int, line: int) -> None:
        """Say that every row up to `row` is answered, refused or passed over; on disk when this returns."""
        self.row, self.line = row, line
        self._write({"row": row, "line": line})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, value: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(value) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Rejects:
    """The file of rows that were not taken: line, reason, and the row as it was."""

    def __init__(self, path: Path, columns: Sequence[str], *, settled_line: int) -> None:
        self.path = path
        """Where it is; it exists only when a row was rejected."""
        self._columns = ["line", "reason", *columns]
        self.count = 0
        """Rows in it."""
        self._file: io.TextIOWrapper | None = None
        # Rows behind what is settled are read again and would be written twice.
        kept = path.with_name(path.name + ".kept")
        if settled_line and path.exists():
            path.replace(kept)
        path.unlink(missing_ok=True)
        if kept.exists():
            for record in _records_until(kept, settled_line):
                self._append(record)
            self.flush()
            kept.unlink()

    def add(self, row: Row, reason: str) -> None:
        """Write a row with the reason why it was not taken."""
        self._append([str(row.line), reason, *row.cells])

    def flush(self) -> None:
        """Bring what was added to disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, record: Sequence[str]) -> None:
        if self._file is None:
            # Rows hold people's data: nobody but their owner reads the file.
            self._file = os.fdopen(_private(self.path), "w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(self._columns)
        csv.writer(self._file).writerow(record)
        self.count += 1


def _lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the first and the last whole line; what a crash cut off in the middle does not count."""
    lines: list[dict[str, Any]] = []
    with path.open("rb") as file:
        for text in file:
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError:
                break
            lines = [*lines[:1], value]
    return lines


def _records_until(path: Path, line: int) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader, None)
        for record in reader:
            if record and record[0].isdigit() and int(record[0]) <= line:
                yield record


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
