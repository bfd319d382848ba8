"""Denied calls on the audit record, without letting a flood of them become a flood of writes."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from smarketing.server.audit import AuditEntry, AuditTables, append_entries
from smarketing.sql.writer import Writer

__all__ = ["DenialRecorder"]

_FLUSH_EVERY_SECONDS = 1.0


class DenialRecorder:
    """Gathers denials and writes them in batches; equal ones of one batch are one entry.

    At most `capacity` different ones are held between two writes; what comes over that is counted in
    `overflowed` and not written.
    """

    def __init__(
        self,
        tables: AuditTables,
        writer: Writer,
        *,
        capacity: int = 256,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._tables = tables
        self._writer = writer
        self._capacity = capacity
        self._succeeded = succeeded
        self._waiting: dict[AuditEntry, None] = {}
        self.overflowed = 0

    def note(self, entry: AuditEntry) -> None:
        """Hold a denial for the next write; never blocks, never fails."""
        if entry in self._waiting:
            return
        if len(self._waiting) >= self._capacity:
            self.overflowed += 1
            return
        self._waiting[entry] = None

    async def flush(self) -> None:
        """Write what is held; keep it when storage refuses, for the next time."""
        entries = list(self._waiting)
        if entries:
            await self._writer.run(self._append, entries)
            for entry in entries:
                self._waiting.pop(entry, None)
        self._succeeded()

    async def run(self) -> None:
        """Flush every second until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(_FLUSH_EVERY_SECONDS)
                await self.flush()
        finally:
            await self.flush()

    def _append(self, connection: Connection, entries: Sequence[AuditEntry], now: datetime) -> Sequence[None]:
        append_entries(self._tables, connection, entries, now=now)
        return [None] * len(entries)
