"""Rows of the handoffs that a fold touched last, so that the next batch need not read them again.

They are those of the database as long as the log is folded in to where it was when they were kept: a
transaction that was rolled back, another process that went on, or a log that began anew shows in that.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Table, select

__all__ = ["RecentFacts"]

_Row: TypeAlias = Sequence[Any]

_MOST_ROWS: Final = 40_000
"""About a kilobyte each."""


class RecentFacts:
    """A bounded number of rows, the least recently touched leave first."""

    def __init__(self, folded_log: Table, service: str, *, most_rows: int = _MOST_ROWS) -> None:
        columns = folded_log.c
        self._where = select(columns.log_id, columns.position).where(columns.service == service)
        self._most = most_rows
        self._place: tuple[Any, ...] | None = None
        self._rows: dict[str, _Row] = {}

    def begin(self, connection: Connection) -> None:
        """Forget the rows unless the log is folded in to the place at which they were kept."""
        row = connection.execute(self._where).one_or_none()
        if row is None or tuple(row) != self._place:
            self._rows.clear()
        # What is kept from now on is true only once this transaction is committed.
        self._place = None

    def end(self, log_id: str, position: int) -> None:
        """Note where the log will be folded in to when the transaction is committed."""
        self._place = (log_id, position)

    def take(self, names: Iterable[str]) -> dict[str, _Row]:
        """Return those of the rows that are known."""
        rows = self._rows
        return {name: rows[name] for name in names if name in rows}

    def keep(self, written: Iterable[_Row]) -> None:
        """Take over the rows that were written, by the name in their first column."""
        rows = self._rows
        for row in written:
            rows.pop(row[0], None)
            rows[row[0]] = row
        surplus = len(rows) - self._most
        if surplus > 0:
            for name in list(rows)[:surplus]:
                del rows[name]
