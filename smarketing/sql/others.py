"""Notices what other processes committed to a database that several share."""

import asyncio
from typing import Final

import structlog
from sqlalchemy import Connection

from smarketing.sql.errors import StorageError
from smarketing.sql.writer import Writer

__all__ = ["Others"]

_log = structlog.get_logger(__name__)

_LOOKS_EVERY_SECONDS: Final = 0.25


class Others:
    """Wakes who listens to a writer's commits when another process made one.

    The server is asked four times a second whether any transaction ended that wrote; of one that only read
    it keeps no trace, so processes that merely look wake nobody. A file has one owner, and there it rests.
    """

    def __init__(self, writer: Writer, *, every_seconds: float = _LOOKS_EVERY_SECONDS) -> None:
        self._writer = writer
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Look, and look again, until cancelled."""
        if not self._writer.database.is_remote:
            await asyncio.Event().wait()
        seen: str | None = None
        while True:
            try:
                now_seen = await self._writer.read(_transactions)
            except StorageError as error:
                # Whoever listens will find out by itself; afterwards all of it has to be looked at anew.
                _log.info("others_not_seen", fault=str(error))
                now_seen = ""
            if now_seen and now_seen != seen:
                self._writer.announce()
            seen = now_seen
            await asyncio.sleep(self._every_seconds)


def _transactions(connection: Connection) -> str:
    """Return which writing transactions have ended, by their ids."""
    found: str = connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one()
    return found
