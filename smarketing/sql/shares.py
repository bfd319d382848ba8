"""Shares leases out: of several that are alike, each replica that is there takes its part, and no more."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from smarketing.sql.errors import StorageError
from smarketing.sql.leases import ASKS_AGAIN, LENGTH, Lease, appear
from smarketing.sql.writer import Writer

__all__ = ["Shares", "shares_of"]

_log = structlog.get_logger(__name__)


def shares_of(holder: str, holders: Sequence[str], count: int) -> frozenset[int]:
    """Return which of `count` shares are a holder's, among all that are there: every second of two, say.

    Who sees the same holders agrees; each share is one's alone, and nobody has two more than another.
    """
    if holder not in holders:
        return frozenset()
    return frozenset(range(sorted(holders).index(holder), count, len(holders)))


class Shares:
    """One replica's part in `count` leases, called `{name}/0`, `{name}/1` and so on. `run` must run."""

    def __init__(
        self,
        writer: Writer,
        name: str,
        count: int,
        *,
        holder: str,
        monotonic: Callable[[], float],
        length: timedelta = LENGTH,
        asks_again: timedelta = ASKS_AGAIN,
    ) -> None:
        self._writer = writer
        self._name = name
        self._holder = holder
        self._length = length
        self._asks_again = asks_again
        self.leases = [
            Lease(writer, f"{name}/{number}", holder=holder, monotonic=monotonic, length=length)
            for number in range(count)
        ]

    async def run(self) -> None:
        """Ask for this replica's part, and give up what is another one's, until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._asks_again.total_seconds())
        finally:
            await self._leave()

    async def look(self) -> None:
        """See who is there, and come to what is due to this replica then."""
        try:
            (holders,) = await self._writer.run(self._appear, [None])
        except StorageError as error:
            _log.info("shares_not_seen", shares=self._name, fault=str(error))
            return
        ours = shares_of(self._holder, holders, len(self.leases))
        # First what is given up, so that it does not wait behind what is asked for.
        await asyncio.gather(
            *(
                lease.give_up()
                for number, lease in enumerate(self.leases)
                if number not in ours and lease.held()
            )
        )
        await asyncio.gather(*(self.leases[number].ask() for number in ours))

    async def _leave(self) -> None:
        await asyncio.gather(*(lease.give_up() for lease in self.leases))
        try:
            await self._writer.run(self._vanish, [None])
        except StorageError as error:
            _log.info("shares_not_left", shares=self._name, fault=str(error))

    def _appear(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[list[str]]:
        holders = appear(connection, f"{self._name}-by", self._holder, until=now + self._length, now=now)
        return [holders for _ in requests]

    def _vanish(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[None]:
        appear(connection, f"{self._name}-by", self._holder, until=now, now=now)
        return [None for _ in requests]
