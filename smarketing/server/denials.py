"""Denied calls on the audit record, without letting a flood of them become a flood of writes."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from smarketing.logs import get_log
from smarketing.server.audit import AuditEntry, AuditTables, append_entries
from smarketing.sql.errors import StorageError
from smarketing.sql.writer import Writer

__all__ = ["DenialRecorder"]

_log = get_log(__name__)

_FLUSH_EVERY_SECONDS = 1.0


class DenialRecorder:
    """Gathers denials and writes them in batches; equal ones of one batch are one entry.

    At most `capacity` different ones are held between two writes, of each tenant at most `tenant_capacity`,
    so that a flood of one leaves room for the others'; what comes over that is counted in `overflowed` and
    not written.
    """

    def __init__(
        self,
        tables: AuditTables,
        writer: Writer,
        *,
        capacity: int = 256,
        tenant_capacity: int = 64,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._tables = tables
        self._writer = writer
        self._capacity = capacity
        self._tenant_capacity = tenant_capacity
        self._succeeded = succeeded
        self._waiting: dict[AuditEntry, None] = {}
        self.overflowed = 0

    def note(self, entry: AuditEntry) -> None:
        """Hold a denial for the next write; never blocks, never fails."""
        if entry in self._waiting:
            return
        of_tenant = sum(each.tenant == entry.tenant for each in self._waiting)
        if len(self._waiting) >= self._capacity or of_tenant >= self._tenant_capacity:
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
        """Flush every second until cancelled, and once more then; storage at fault only delays it."""
        try:
            while True:
                await asyncio.sleep(_FLUSH_EVERY_SECONDS)
                await self._flush_if_possible()
        finally:
            await self._flush_if_possible()

    async def _flush_if_possible(self) -> None:
        try:
            await self.flush()
        except StorageError as error:
            _log.warning("denials_not_written", fault=type(error).__name__, waiting=len(self._waiting))

    def _append(self, connection: Connection, entries: Sequence[AuditEntry], now: datetime) -> Sequence[None]:
        append_entries(self._tables, connection, entries, now=now)
        return [None] * len(entries)
