"""The task that forgets answers which nobody may ask for again."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Table

from smarketing.server.idempotency import purge_records
from smarketing.sql.writer import Writer

__all__ = ["purge_for_ever"]

_EVERY: Final = timedelta(minutes=1)
_AT_ONCE: Final = 1000
"""Records in one transaction: callers wait behind it for milliseconds, not for the whole backlog."""


async def purge_for_ever(
    writer: Writer, records: Table, *, succeeded: Callable[[], None], every: timedelta = _EVERY
) -> None:
    """Drop the records of repeated requests that are past their retention, a bounded part at a time."""

    def purge(connection: Connection, requests: Sequence[None], now: datetime) -> list[int]:
        return [purge_records(records, connection, now=now, limit=_AT_ONCE)] * len(requests)

    while True:
        while (await writer.run(purge, [None]))[0] >= _AT_ONCE:
            pass
        succeeded()
        await asyncio.sleep(every.total_seconds())
