"""Rules of what carries events from a log: it comes back, is bounded, and may lose, repeat and shuffle."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from smarketing.eventlog.consumer import (
    Consumer,
    UnfillableGap,
)
from smarketing.eventlog.feed import Feed, FeedBatch, backoff_seconds
from smarketing.sql import Database, Writer
from tests.contract.bus.followers import Make, Noted, Scripted, deliveries, running
from tests.contract.bus.served_log import KNOWN, LOG_ID, NOON, ServedLog, keep, seen

pytestmark = pytest.mark.timeout(40)


async def test_the_feed_comes_back_after_the_peer_was_away(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    observer = Noted()
    async with running(make(observer=observer)) as consumer:
        await consumer.wait_until(1)
        await log.stop()
        await log.record("b")
        await log.start()
        await log.record("c")
        await consumer.wait_until(3)

    assert seen(follower) == [(1, "a"), (2, "b"), (3, "c")]
    assert observer.handled == {"applied": 3}


async def test_the_feed_moves_on_from_a_draining_server(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
        log.draining.begin()
        await log.record("b")
        await log.stop()
        await log.start()
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]


async def test_a_silent_peer_is_asked_anew(
    log: ServedLog, follower_writer: Writer, channel: grpc.aio.Channel
) -> None:
    feed = Feed(channel, name="impatient", silence_seconds=0.05)
    consumer = Consumer(
        "impatient", feed=feed, writer=follower_writer, apply=keep, payload_types=[KNOWN], now=lambda: NOON
    )
    async with running(consumer):
        await log.watched(3)
        await log.record("a")
        await consumer.wait_until(1)


async def test_a_slow_consumer_holds_a_bounded_part_of_the_log_in_memory(tmp_path: Path) -> None:
    log = ServedLog(tmp_path)
    log.write_seconds = 0.5
    await log.start()
    for _ in range(20):
        await log.record(*("x" * 100_000 for _ in range(20)))
    async with log.channel() as channel:
        feed = Feed(channel, name="slow", buffer_bytes=3_000_000)
        async with aclosing(feed.follow(log_id="", after=0)) as following, asyncio.timeout(30):
            received = list((await anext(following)).events)
            # Until the log gets nothing more through to this reader, which has taken one response.
            await log.servicer.refused.wait()
            [refusal] = log.servicer.refusals
            while len(received) < 400:
                received += (await anext(following)).events

    # Of 40 MB: the buffer and what overfills it, one response taken, one that waits, a window of 4 MiB.
    assert int(refusal.metadata["resume_position"]) * 100_000 < 14_000_000
    assert [event.position for event in received] == list(range(1, 401))
    await log.close()


class Unreliable:
    """A transport that loses, repeats and shuffles what the real feed delivers, from a seed."""

    def __init__(self, feed: Feed, *, seed: int) -> None:
        self._feed = feed
        self._random = random.Random(seed)

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield mangled batches, from the beginning of the log at times."""
        async for batch in self._feed.follow(log_id=log_id, after=self._random.choice([0, after])):
            events = [event for event in batch.events if self._random.random() > 0.01]
            events += self._random.choices(batch.events, k=len(batch.events) // 3) if batch.events else []
            if self._random.random() < 0.5:
                self._random.shuffle(events)
            cut = self._random.randrange(len(events) + 1)
            for part in (events[:cut], events[cut:], events[:cut]):
                yield replace(batch, events=part)
            yield replace(batch, events=[])
            yield replace(batch, events=[])

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Read the log itself."""
        return await self._feed.read(log_id=log_id, after=after, limit=limit)


@pytest.mark.parametrize("seed", range(10))
async def test_a_transport_that_loses_repeats_and_shuffles_changes_nothing(
    seed: int, log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*(str(number) for number in range(700)))
    source = Unreliable(Feed(channel, name="unreliable"), seed=seed)
    async with running(make(feed=source, batch_events=64)) as consumer:
        await consumer.wait_until(700)
        await log.record(*(str(number) for number in range(700, 1000)))
        await consumer.wait_until(1000)

    assert seen(follower) == [(number + 1, str(number)) for number in range(1000)]


async def test_a_gap_is_filled_from_the_log_and_told(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"abcde")
    feed = Feed(channel, name="gap")
    events = await deliveries(feed)
    observer = Noted()
    source = Scripted(feed, FeedBatch(LOG_ID, [events[0], events[4]], 5))
    async with running(make(feed=source, observer=observer)) as consumer:
        await consumer.wait_until(5)

    assert [content for _, content in seen(follower)] == list("abcde")
    assert observer.gaps == 1


async def test_a_gap_that_the_log_itself_has_stops_the_consumer(
    log: ServedLog, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"abc")
    feed = Feed(channel, name="hole")
    events = await deliveries(feed)

    class Holed(Scripted):
        async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
            page = await super().read(log_id=log_id, after=after, limit=limit)
            return replace(page, events=page.events[1:])

    consumer = make(feed=Holed(feed, FeedBatch(LOG_ID, [events[2]], 3)))
    with pytest.raises(UnfillableGap):
        await consumer.run()


async def test_duplicates_are_ignored_and_counted(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"ab")
    feed = Feed(channel, name="twice")
    events = await deliveries(feed)
    observer = Noted()
    source = Scripted(feed, FeedBatch(LOG_ID, events[:1], 2), FeedBatch(LOG_ID, events, 2))
    async with running(make(feed=source, observer=observer)) as consumer:
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]
    assert observer.handled == {"applied": 2, "duplicate": 1}


def test_backoff_grows_is_bounded_and_differs_between_readers() -> None:
    waits = [backoff_seconds("a", attempt) for attempt in range(20)]

    assert all(0.02 < wait <= 5 for wait in waits)
    assert waits[10] > 10 * waits[0]
    assert backoff_seconds("a", 9) != backoff_seconds("b", 9)
