"""Whether a service can answer: never a matter of whether it lives, which health says apart."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy import Connection

from smarketing.sql import StorageError, Writer

__all__ = ["StorageReadiness"]

_log = structlog.get_logger(__name__)

_ANSWERS_WITHIN_SECONDS: Final = 2.0


class StorageReadiness:
    """Says whether the store answers and may be written, besides what else a service waits for.

    A server's database goes away and comes back, or becomes a standby; a file is there as long as we are.
    """

    def __init__(
        self,
        writer: Writer,
        also: Callable[[], Awaitable[bool]],
        *,
        within_seconds: float = _ANSWERS_WITHIN_SECONDS,
    ) -> None:
        self._writer = writer
        self._also = also
        self._within_seconds = within_seconds

    async def __call__(self) -> bool:
        """Return whether calls can be answered."""
        return await self._also() and (not self._writer.database.is_remote or await self._answers())

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._within_seconds):
                return await self._writer.read(_may_be_written)
        except (StorageError, TimeoutError) as error:
            _log.info("storage_does_not_answer", fault=str(error) or type(error).__name__)
            return False


def _may_be_written(connection: Connection) -> bool:
    question = "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'"
    found: bool = connection.exec_driver_sql(question).scalar_one()
    return found
