"""Every change of an input, in the order of the tenant's changes: past inputs are read from these."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select

from services.reports.domain.inputs import InputEntry
from services.reports.domain.periods import Micros
from smarketing.sql import InsertRows

__all__ = ["InputJournal"]

_ROWS: Final = 2_000


class InputJournal:
    """Reads and writes inside the caller's transaction."""

    def __init__(self, changes: Table) -> None:
        self._changes = changes
        self._insert = InsertRows(changes)

    def note(self, connection: Connection, entries: Sequence[InputEntry], now: Micros) -> None:
        """Note that these entries are now as they are."""
        last: dict[str, int] = {}
        rows = []
        for entry in entries:
            number = last.get(entry.tenant)
            if number is None:
                number = self.count(connection, entry.tenant)
            last[entry.tenant] = number + 1
            rows.append((entry.tenant, number + 1, now, json.dumps(asdict(entry), sort_keys=True)))
        self._insert.insert(connection, rows)

    def count(self, connection: Connection, tenant: str) -> int:
        """Return how many changes there were."""
        changes = self._changes.c
        return connection.scalar(select(func.max(changes.number)).where(changes.tenant == tenant)) or 0

    def count_at(self, connection: Connection, tenant: str, time: Micros) -> int:
        """Return how many changes there were until an instant."""
        changes = self._changes.c
        query = select(func.max(changes.number)).where(changes.tenant == tenant, changes.change_time <= time)
        return connection.scalar(query) or 0

    def entries_at(self, connection: Connection, tenant: str, number: int) -> list[InputEntry]:
        """Return the inputs as they were after so many changes."""
        changes = self._changes.c
        query = (
            select(changes.entry)
            .where(changes.tenant == tenant, changes.number <= number)
            .order_by(changes.number)
        )
        found: dict[tuple[str, str], InputEntry] = {}
        for (told,) in connection.execution_options(yield_per=_ROWS).execute(query):
            entry = InputEntry(**json.loads(told))
            found[entry.source_system, entry.external_id] = entry
        return list(found.values())

    def put_past(
        self, connection: Connection, table: Table, tenant: str, number: int, entries: Iterable[InputEntry]
    ) -> None:
        """Let a scratch database have these inputs of the tenant, after so many changes, and no journal."""
        rows: list[dict[str, Any]] = [asdict(entry) for entry in entries]
        for row in rows:
            row["withdrawn"] = int(row["withdrawn"])
        if rows:
            connection.execute(insert(table), rows)
        if number:
            self._insert.insert(connection, [(tenant, number, 0, "")])
