"""A lease: of the replicas of a service one does the work that needs to be done once.

Whatever it is for stays correct with two holders; the lease only keeps them from doing it twice. A holder
trusts it until its time is over by its own monotonic clock, counted from before it asked: an answer that
was long on its way lengthens nothing. Every change of the holder raises the token.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import structlog
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, select, update

from smarketing.sql.errors import StorageError
from smarketing.sql.rows import UpsertRows
from smarketing.sql.types import BigInt, UtcMicros
from smarketing.sql.writer import Writer

__all__ = ["ASKS_AGAIN", "LENGTH", "Lease", "LeaseLost", "appear", "define_leases"]

_log = structlog.get_logger(__name__)

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

LENGTH: Final = timedelta(seconds=6)
"""For which a lease is given."""
ASKS_AGAIN: Final = timedelta(seconds=1.5)
"""After which its holder, and who wants it, asks again."""
_table: Final = Table(
    "lease",
    MetaData(),
    Column("task", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", BigInt, nullable=False),
    Column("until_time", UtcMicros, nullable=False),
    sqlite_strict=True,
)
_put: Final = UpsertRows(_table, key=["task"], replace=["holder", "token", "until_time"])


class LeaseLost(Exception):
    """Somebody else holds the lease by now: what depends on it must not be written."""


def appear(connection: Connection, group: str, holder: str, *, until: datetime, now: datetime) -> list[str]:
    """Say that a replica is there until an instant, and return the holders that are, in their order."""
    _put.upsert(connection, [(f"{group}/{holder}", holder, 0, until)])
    ours = _table.c.task.startswith(f"{group}/", autoescape=True)
    connection.execute(delete(_table).where(ours, _table.c.until_time <= now))
    found = connection.execute(select(_table.c.holder).where(ours).order_by(_table.c.holder))
    return list(found.scalars())


def define_leases(metadata: MetaData) -> Table:
    """Declare the table of leases."""
    return _table.to_metadata(metadata)


class Lease:
    """One replica's part in a lease; where one process owns the database it always holds it.

    `run` must run. `monotonic` is the clock by which it is trusted.
    """

    def __init__(
        self,
        writer: Writer,
        name: str,
        *,
        holder: str,
        monotonic: Callable[[], float],
        length: timedelta = LENGTH,
        asks_again: timedelta = ASKS_AGAIN,
    ) -> None:
        self._writer = writer
        self._name = name
        self._holder = holder
        self._monotonic = monotonic
        self._length = length
        self._asks_again = asks_again
        self._is_shared = writer.database.is_remote
        self._token = 0
        self._trusted_until = 0.0
        self._gained = asyncio.Event()
        self._working: set[asyncio.Future[None]] = set()

    def held(self) -> bool:
        """Whether this replica is the one, by what it knows."""
        return not self._is_shared or self._monotonic() < self._trusted_until

    def check(self, connection: Connection) -> None:
        """Let the transaction commit only while this replica is the one by the database, too.

        Raises:
            LeaseLost: otherwise.
        """
        if not self._is_shared:
            return
        query = select(_table.c.token).where(_table.c.task == self._name, _table.c.holder == self._holder)
        token = connection.execute(query.with_for_update(read=True)).scalar_one_or_none()
        if token is None or token != self._token:
            raise LeaseLost(self._name)

    async def run(self) -> None:
        """Ask for it, and for more of it, until cancelled; then give it back."""
        if not self._is_shared:
            await asyncio.Event().wait()
        try:
            while True:
                await self.ask()
                await asyncio.sleep(self._asks_again.total_seconds())
        finally:
            await self._give_back()

    async def ask(self) -> bool:
        """Take the lease if nobody has it, or lengthen it; return whether it is held."""
        before = self._monotonic()
        try:
            (token,) = await self._writer.run(self._take, [None])
        except StorageError as error:
            _log.info("lease_not_renewed", lease=self._name, fault=str(error))
            return self.held()
        was_held = self.held() and token == self._token
        if token is None:
            self._trusted_until = 0.0
            return False
        self._token = token
        # The last quarter is for whatever the two clocks and a pause of this process make of it.
        self._trusted_until = before + 0.75 * self._length.total_seconds()
        if self.held():
            if not was_held:
                _log.info("lease_taken", lease=self._name, token=token)
            self._gained.set()
        return self.held()

    async def while_held(self, work: Work, *, meanwhile: Work | None = None) -> None:
        """Do the work whenever the lease is held, until cancelled; it is cancelled when the lease is lost.

        `meanwhile` is done in the same way whenever another replica holds it.
        """
        while True:
            await self._until_held(meanwhile)
            working = asyncio.ensure_future(work())
            self._working.add(working)
            try:
                while self.held() and not working.done():
                    rest = self._trusted_until - self._monotonic() if self._is_shared else None
                    await asyncio.wait([working], timeout=rest)
                if working.done() and not (working.cancelled() and not self.held()):
                    return working.result()
                if not working.cancelled():
                    _log.warning("lease_lost", lease=self._name)
            finally:
                self._working.discard(working)
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)

    async def give_up(self) -> None:
        """End the work that is done by it, and let another replica have it at once."""
        was_held, self._trusted_until = self.held(), 0.0
        working = tuple(self._working)
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        if was_held:
            _log.info("lease_given_up", lease=self._name)
            await self._end_it()

    async def _until_held(self, meanwhile: Work | None) -> None:
        while not self.held():
            self._gained.clear()
            tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._gained.wait())]
            if meanwhile is not None:
                tasks.append(asyncio.ensure_future(meanwhile()))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _give_back(self) -> None:
        if self.held():
            self._trusted_until = 0.0
            await self._end_it()

    async def _end_it(self) -> None:
        try:
            await self._writer.run(self._end, [None])
        except StorageError as error:
            _log.info("lease_not_given_back", lease=self._name, fault=str(error))

    def _take(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[int | None]:
        """Return the token under which this replica has the lease; None while another one has it."""
        row = connection.execute(
            select(_table.c.holder, _table.c.token, _table.c.until_time)
            .where(_table.c.task == self._name)
            .with_for_update()
        ).one_or_none()
        holder, token, until = row or ("", 0, now)
        is_ours = holder == self._holder and token == self._token
        if not is_ours:
            if until > now:
                return [None] * len(requests)
            token += 1
        _put.upsert(connection, [(self._name, self._holder, token, now + self._length)])
        return [token] * len(requests)

    def _end(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[None]:
        ours = (_table.c.task == self._name, _table.c.holder == self._holder, _table.c.token == self._token)
        connection.execute(update(_table).where(*ours).values(until_time=now))
        return [None] * len(requests)
