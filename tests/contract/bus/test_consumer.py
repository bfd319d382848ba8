"""Rules of following a log: every event once, in order, whatever fails (F24 to F28, promises P3 and P4)."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Connection

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint, list_checkpoints, reset_checkpoint
from smarketing.eventlog.consumer import (
    Consumer,
    ConsumerStopped,
    EventSource,
    PoisonEvent,
    UnfillableGap,
    UnknownPayload,
)
from smarketing.eventlog.feed import Feed, FeedBatch, backoff_seconds
from smarketing.eventlog.reading import LogRegressed
from smarketing.sql import Database, StorageFault, StorageUnavailable, Writer
from tests.contract.bus.served_log import KNOWN, LOG_ID, NOON, OTHER_LOG_ID, ServedLog, keep, seen

pytestmark = pytest.mark.timeout(40)


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


@pytest.fixture
def make(channel: grpc.aio.Channel, follower_writer: Writer) -> Make:
    def make(
        apply: Callable[[Connection, Sequence[eventlogpb.Event], datetime], None] = keep,
        *,
        feed: EventSource | None = None,
        observer: Noted | None = None,
        batch_events: int = 500,
        max_attempts: int = 8,
    ) -> Consumer:
        return Consumer(
            "reports.leads",
            feed=feed or Feed(channel, name="reports.leads"),
            writer=follower_writer,
            apply=apply,
            payload_types=[KNOWN],
            now=lambda: NOON,
            observer=observer,
            batch_events=batch_events,
            max_attempts=max_attempts,
        )

    return make


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[Consumer]:
    task = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(30):
            yield consumer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def checkpoint(database: Database) -> Checkpoint | None:
    with database.reading() as connection:
        return find_checkpoint(connection, "reports.leads")


async def test_every_event_is_applied_once_in_order_and_the_checkpoint_says_so(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
        await log.record("c")
        await consumer.wait_until(3)

        assert seen(follower) == [(1, "a"), (2, "b"), (3, "c")]
        assert (consumer.position, consumer.log_id, consumer.head_position) == (3, LOG_ID, 3)
        expected = Checkpoint(
            consumer="reports.leads",
            log_id=LOG_ID,
            position=3,
            progress_time=NOON,
            attempts=0,
            record_time=NOON,
        )
        assert checkpoint(follower) == expected
        with follower.reading() as connection:
            assert list_checkpoints(connection) == [expected]


async def test_a_new_process_goes_on_where_the_last_one_was(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
    await log.record("b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]


async def test_a_consumer_has_caught_up_when_it_applied_what_the_log_first_held(
    log: ServedLog, make: Make
) -> None:
    await log.record("a", "b", "c")
    caught_up_at: list[tuple[int, bool]] = []

    def look(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        keep(connection, events, now)
        caught_up_at.append((consumer.position, consumer.caught_up))

    async with running(consumer := make(look, batch_events=1)):
        assert not consumer.caught_up
        await consumer.wait_until(3)

        assert consumer.caught_up
        assert caught_up_at == [(0, False), (1, False), (2, False)]


async def test_a_long_log_is_caught_up_with_in_bounded_batches(
    log: ServedLog, follower: Database, make: Make
) -> None:
    for first in range(0, 3000, 1000):
        await log.record(*(str(number) for number in range(first, first + 1000)))
    sizes: list[int] = []

    def counting(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        sizes.append(len(events))
        keep(connection, events, now)

    observer = Noted()
    async with running(make(counting, batch_events=100, observer=observer)) as consumer:
        await consumer.wait_until(3000)

    assert [content for _, content in seen(follower)] == [str(number) for number in range(3000)]
    assert max(sizes) == 100
    assert (observer.handled, observer.gaps) == ({"applied": 3000}, 0)


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
        while log.watches_begun < 3:  # noqa: ASYNC110 -- the server's own state
            await asyncio.sleep(0.01)
        await log.record("a")
        await consumer.wait_until(1)


async def test_a_slow_consumer_holds_a_bounded_part_of_the_log_in_memory(
    log: ServedLog, channel: grpc.aio.Channel
) -> None:
    for _ in range(20):
        await log.record(*("x" * 100_000 for _ in range(20)))
    feed = Feed(channel, name="slow", buffer_bytes=3_000_000)
    following = feed.follow(log_id="", after=0)
    first = await anext(following)
    async with asyncio.timeout(10):
        before = -1
        while (sent := next(iter(log.servicer._watches)).position) != before:
            before = sent
            await asyncio.sleep(0.3)

    # Of 40 MB: what the buffer holds, a response more, and what HTTP/2 keeps in between.
    assert sent * 100_000 < 20_000_000
    received = list(first.events)
    while len(received) < 400:
        received += (await anext(following)).events
    assert [event.position for event in received] == list(range(1, 401))
    await following.aclose()


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


async def _deliveries(feed: Feed) -> list[eventlogpb.Event]:
    return list((await feed.read(log_id="", after=0, limit=100)).events)


async def test_a_gap_is_filled_from_the_log_and_told(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"abcde")
    feed = Feed(channel, name="gap")
    events = await _deliveries(feed)
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
    events = await _deliveries(feed)

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
    events = await _deliveries(feed)
    observer = Noted()
    source = Scripted(feed, FeedBatch(LOG_ID, events[:1], 2), FeedBatch(LOG_ID, events, 2))
    async with running(make(feed=source, observer=observer)) as consumer:
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]
    assert observer.handled == {"applied": 2, "duplicate": 1}


async def test_a_restored_log_stops_the_consumer_until_an_operator_resets_it(
    log: ServedLog, follower: Database, follower_writer: Writer, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
    await log.stop()
    restored = ServedLog(tmp_path, log_id="8f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c33")
    restored.port = log.port
    await restored.start()
    await restored.record("x", "y", "z")
    observer = Noted()

    stopped = make(observer=observer)
    with pytest.raises(LogRegressed):
        await stopped.run()
    with pytest.raises(LogRegressed):
        await stopped.wait_until(3)
    assert (seen(follower), observer.regressions) == ([(1, "a"), (2, "b")], 1)

    def reset(connection: Connection, positions: Sequence[int], now: datetime) -> Sequence[int]:
        log_id = "8f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c33"
        reset_checkpoint(connection, "reports.leads", log_id=log_id, position=positions[0], now=now)
        return positions

    await follower_writer.run(reset, [2])
    async with running(make()) as consumer:
        await consumer.wait_until(3)
    assert seen(follower)[2:] == [(3, "z")]
    await restored.close()


async def test_a_log_that_lost_its_end_stops_the_consumer(
    log: ServedLog, follower: Database, follower_writer: Writer, make: Make
) -> None:
    await log.record("a")

    def ahead(connection: Connection, positions: Sequence[int], now: datetime) -> Sequence[int]:
        reset_checkpoint(connection, "reports.leads", log_id=LOG_ID, position=positions[0], now=now)
        return positions

    await follower_writer.run(ahead, [5])
    with pytest.raises(LogRegressed):
        await make().run()
    assert seen(follower) == []


async def test_a_log_restored_from_an_older_copy_is_told_though_it_has_grown_beyond_the_consumer_again(
    log: ServedLog, follower: Database, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
    await log.stop()
    restored = ServedLog(tmp_path / "restored", now=NOON + timedelta(hours=1))
    restored.port = log.port
    await restored.start()
    await restored.record("a", "x", "y")

    with pytest.raises(LogRegressed):
        await make().run()
    assert seen(follower) == [(1, "a"), (2, "b")]
    await restored.close()


async def test_a_log_restored_from_an_older_copy_is_told_by_who_follows_it_meanwhile(
    log: ServedLog, follower: Database, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    consumer = make()
    following = asyncio.create_task(consumer.run())
    await consumer.wait_until(2)
    restored = ServedLog(tmp_path / "restored", now=NOON + timedelta(hours=1))
    await restored.record("a", "x", "y")
    await log.stop()
    restored.port = log.port
    await restored.start()

    with pytest.raises(LogRegressed):
        async with asyncio.timeout(20):
            await following
    assert seen(follower) == [(1, "a"), (2, "b")]
    await restored.close()


async def test_another_log_delivered_midway_stops_the_consumer(
    log: ServedLog, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record("a", "b")
    feed = Feed(channel, name="swap")
    events = await _deliveries(feed)
    source = Scripted(feed, FeedBatch(LOG_ID, events[:1], 1), FeedBatch(OTHER_LOG_ID, events[1:], 2))

    consumer = make(feed=source)
    with pytest.raises(LogRegressed):
        await consumer.run()
    assert consumer.position == 1


async def test_an_unknown_event_that_may_be_skipped_is_passed_over(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    await log.record(1, 2, skippable=True)
    await log.record("b")
    await log.record(3, skippable=True)
    async with running(make()) as consumer:
        await consumer.wait_until(5)

    assert seen(follower) == [(1, "a"), (4, "b")]


async def test_an_unknown_event_that_may_not_be_skipped_stops_the_consumer_behind_the_last_known_one(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a", "b", 1, "c")

    consumer = make()
    with pytest.raises(UnknownPayload) as stop:
        await consumer.run()

    assert (stop.value.position, seen(follower)) == (2, [(1, "a"), (2, "b")])
    with pytest.raises(UnknownPayload):
        await consumer.wait_until(3)


def failing(times: int, at: str) -> Callable[[Connection, Sequence[eventlogpb.Event], datetime], None]:
    left = times

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        nonlocal left
        keep(connection, events, now)
        if left and any(at.encode() in event.payload.value for event in events):
            left -= 1
            raise ZeroDivisionError

    return apply


async def test_an_event_that_fails_for_a_while_is_applied_once_when_it_no_longer_does(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*"abcd")
    async with running(make(failing(3, "c"))) as consumer:
        await consumer.wait_until(4)

    assert [content for _, content in seen(follower)] == list("abcd")


async def test_an_event_that_always_fails_stops_the_consumer_right_before_it(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*"abcd")

    with pytest.raises(PoisonEvent) as stop:
        await make(failing(-1, "c"), max_attempts=4).run()

    assert (stop.value.position, [content for _, content in seen(follower)]) == (2, ["a", "b"])
    # The process survived, so with the handling mended the next one goes on by itself.
    async with running(make()) as consumer:
        await consumer.wait_until(4)
    assert [content for _, content in seen(follower)] == list("abcd")


async def test_an_event_that_ends_the_process_each_time_is_not_handled_for_ever(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    handled = 0

    def deadly(_connection: Connection, _events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        nonlocal handled
        handled += 1
        raise StorageUnavailable(StorageFault.LOCKED)  # no answer ever comes, as from a process that died

    for _ in range(3):
        before = handled
        async with running(make(deadly, max_attempts=3)):
            while handled == before:  # noqa: ASYNC110 -- set on the writer's thread
                await asyncio.sleep(0.005)
    count = handled
    with pytest.raises(PoisonEvent):
        await make(deadly, max_attempts=3).run()

    assert handled == count
    found = checkpoint(follower)
    assert found is not None
    assert (found.position, found.attempts) == (0, 4)


async def test_restarting_an_idle_consumer_is_no_attempt_at_anything(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
    for _ in range(5):
        begun = log.watches_begun
        async with running(make(max_attempts=2)):
            while log.watches_begun == begun:  # noqa: ASYNC110 -- the server's own state
                await asyncio.sleep(0.005)

    found = checkpoint(follower)
    assert found is not None
    assert found.attempts == 0


async def test_a_storage_fault_is_waited_out_and_is_not_the_events_fault(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    faults = iter([True] * 4)

    def refused(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        if next(faults, False):
            raise StorageUnavailable(StorageFault.LOCKED)
        keep(connection, events, now)

    async with running(make(refused, max_attempts=2)) as consumer:
        await consumer.wait_until(1)

    assert seen(follower) == [(1, "a")]


async def test_a_consumer_that_is_told_to_stop_says_so_to_whoever_waits(log: ServedLog, make: Make) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
        waiting: Awaitable[None] = asyncio.ensure_future(consumer.wait_until(2))
        await asyncio.sleep(0)

    with pytest.raises(ConsumerStopped):
        await waiting


async def test_the_delay_of_an_event_runs_from_its_recording(log: ServedLog, make: Make) -> None:
    await log.record("a")
    observer = Noted()
    async with running(make(observer=observer)) as consumer:
        await consumer.wait_until(1)

    assert observer.delays == [0.0]


def test_backoff_grows_is_bounded_and_differs_between_readers() -> None:
    waits = [backoff_seconds("a", attempt) for attempt in range(20)]

    assert all(0.02 < wait <= 5 for wait in waits)
    assert waits[10] > 10 * waits[0]
    assert backoff_seconds("a", 9) != backoff_seconds("b", 9)
