"""Rules of several replicas of one service that follow the same log into one database."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import grpc
import pytest
from sqlalchemy import Connection

from smarketing.eventlog.checkpoints import reset_checkpoint
from smarketing.eventlog.consumer import ConsumerStopped
from smarketing.eventlog.feed import Feed, FeedBatch
from smarketing.sql import Database, Writer
from tests.contract.bus.carriers import BOTH
from tests.contract.bus.followers import Make, Noted, Scripted, deliveries, running
from tests.contract.bus.served_log import LOG_ID, NOON, ServedLog, seen

pytestmark = [pytest.mark.timeout(40), BOTH]


async def test_of_many_replicas_that_are_given_every_event_one_applies_it(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*(str(number) for number in range(200)))
    observers = [Noted() for _ in range(3)]
    consumers = [
        make(observer=observer, batch_events=size)
        for observer, size in zip(observers, (7, 10, 64), strict=True)
    ]
    async with running(consumers[0]), running(consumers[1]), running(consumers[2]):
        await asyncio.gather(*(consumer.wait_until(200) for consumer in consumers))

    assert seen(follower) == [(number + 1, str(number)) for number in range(200)]
    assert sum(observer.handled.get("applied", 0) for observer in observers) == 200


async def test_a_replica_that_slept_takes_up_where_the_other_is(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"abcd")
    feed = Feed(channel, name="asleep")
    events = await deliveries(feed)
    woken = asyncio.Event()

    class Asleep(Scripted):
        async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:  # noqa: ARG002 -- the protocol's
            """Yield one event, and the others when woken."""
            yield FeedBatch(LOG_ID, events[:1], 4)
            await woken.wait()
            yield FeedBatch(LOG_ID, events[1:], 4)
            await asyncio.Event().wait()

    async with running(make(feed=Asleep(feed))) as asleep:
        await asleep.wait_until(1)
        async with running(make()) as awake:
            await awake.wait_until(4)
        woken.set()
        await asleep.wait_until(4)

    assert seen(follower) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


async def test_a_consumer_whose_place_is_set_back_while_it_runs_stops(
    log: ServedLog, follower: Database, follower_writer: Writer, make: Make
) -> None:
    await log.record("a", "b")
    consumer = make()
    following = asyncio.create_task(consumer.run())
    await consumer.wait_until(2)

    def back(connection: Connection, positions: Sequence[int], _now: object) -> Sequence[int]:
        reset_checkpoint(connection, "reports.leads", log_id=LOG_ID, position=positions[0], now=NOON)
        return positions

    await follower_writer.run(back, [0])
    await log.record("c")
    with pytest.raises(ConsumerStopped, match="set its place back"):
        async with asyncio.timeout(10):
            await following
    assert seen(follower) == [(1, "a"), (2, "b")]
