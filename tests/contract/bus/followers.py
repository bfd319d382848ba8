"""Who follows a log in these tests, and what it is fed by."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint
from smarketing.eventlog.consumer import (
    Consumer,
)
from smarketing.eventlog.feed import Feed, FeedBatch
from smarketing.sql import Database


class Noted:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.handled: dict[str, int] = {}
        self.gaps = 0
        self.regressions = 0
        self.delays: list[float] = []

    def events_handled(self, _consumer: str, outcome: str, count: int) -> None:
        """Note it."""
        self.handled[outcome] = self.handled.get(outcome, 0) + count

    def batch_applied(self, _consumer: str, delay_seconds: float) -> None:
        """Note it."""
        self.delays.append(delay_seconds)

    def gap_met(self, _consumer: str) -> None:
        """Note it."""
        self.gaps += 1

    def log_regressed(self, _consumer: str) -> None:
        """Note it."""
        self.regressions += 1


Make = Callable[..., Consumer]
"""Makes a consumer of the log under test, with what a test wants otherwise."""


@asynccontextmanager
async def running(consumer: Consumer, *, seconds: float = 30) -> AsyncIterator[Consumer]:
    task = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(seconds):
            yield consumer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def told_the_head(consumer: Consumer) -> None:
    """Return when the consumer has heard from its log, and has all that it held then."""
    while not consumer.caught_up:  # noqa: ASYNC110 -- nothing tells of it
        await asyncio.sleep(0)


def checkpoint(database: Database) -> Checkpoint | None:
    with database.reading() as connection:
        return find_checkpoint(connection, "reports.leads")


class Scripted:
    """A transport that delivers what it is told, over the real log."""

    def __init__(self, feed: Feed, *batches: FeedBatch) -> None:
        self._feed = feed
        self._batches = batches

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:  # noqa: ARG002 -- the protocol's
        """Yield the script, then nothing for ever."""
        for batch in self._batches:
            yield batch
        await asyncio.Event().wait()

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Read the log itself."""
        return await self._feed.read(log_id=log_id, after=after, limit=limit)


async def deliveries(feed: Feed) -> list[eventlogpb.Event]:
    return list((await feed.read(log_id="", after=0, limit=100)).events)
