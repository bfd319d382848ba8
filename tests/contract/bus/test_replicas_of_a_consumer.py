"""Rules of several replicas of one service that follow the same log into one database."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from sqlalchemy import Connection

from smarketing import wallclock
from smarketing.eventlog.checkpoints import reset_checkpoint
from smarketing.eventlog.consumer import Consumer, ConsumerStopped
from smarketing.eventlog.feed import Feed, FeedBatch
from smarketing.sql import Database, Writer, open_database
from smarketing.sql.leases import Lease
from tests.builders import postgres
from tests.contract.bus.carriers import BOTH
from tests.contract.bus.followers import Make, Noted, Scripted, deliveries, running, told_the_head
from tests.contract.bus.replicas import keep, prepare, until
from tests.contract.bus.served_log import KNOWN, LOG_ID, NOON, ServedLog, seen

pytestmark = pytest.mark.timeout(40)


@BOTH
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


@BOTH
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


@BOTH
async def test_a_replica_that_has_applied_nothing_yet_sets_the_others_place_not_back(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record(*"abcd")
    feed = Feed(channel, name="late")
    events = await deliveries(feed)
    begun, woken = asyncio.Event(), asyncio.Event()

    class Late(Scripted):
        async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:  # noqa: ARG002 -- the protocol's
            """Yield what the other one has applied and gone beyond, and then the rest."""
            begun.set()
            await woken.wait()
            yield FeedBatch(LOG_ID, events[:2], 4)
            yield FeedBatch(LOG_ID, events[2:], 4)
            await asyncio.Event().wait()

    async with running(make(feed=Late(feed))) as late:
        await begun.wait()
        async with running(make()) as awake:
            await awake.wait_until(4)
        woken.set()
        await late.wait_until(4)
        await log.record("e")
        async with running(make()) as third:
            await third.wait_until(5)

    assert seen(follower) == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]


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


class Replica:
    """A process of the service that follows, as far as that goes: it asks for the lease, and works by it."""

    def __init__(self, name: str, writer: Writer, channel: grpc.aio.Channel) -> None:
        self.noted, self._writer = Noted(), writer
        self.lease = Lease(
            writer, "work", holder=name, monotonic=wallclock.monotonic, length=timedelta(seconds=1)
        )
        self.consumer = Consumer(
            "reports.leads",
            feed=Feed(channel, name=name),
            writer=writer,
            apply=keep,
            payload_types=[KNOWN],
            now=lambda: NOON,
            observer=self.noted,
        )
        follow, look_on = self.consumer.run, self.consumer.look_on
        self._tasks = [
            asyncio.create_task(self._ask()),
            asyncio.create_task(self.lease.while_held(follow, meanwhile=look_on)),
        ]

    async def _ask(self) -> None:
        while True:
            await self.lease.ask()
            await asyncio.sleep(0.1)

    async def vanish(self) -> None:
        """End without a word, as by SIGKILL: the lease is not given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def kept(self) -> list[tuple[int, str]]:
        return seen(self._writer.database)


@asynccontextmanager
async def two_replicas(channel: grpc.aio.Channel) -> AsyncIterator[tuple[Replica, Replica]]:
    """Give a replica that follows a log into a PostgreSQL, and one that came later."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        replicas: list[Replica] = []
        for name in ("one", "two"):
            database = stack.enter_context(open_database(url))
            if not replicas:
                prepare(database)
            writer = await stack.enter_async_context(Writer(database, now=wallclock.utc_now))
            replicas.append(Replica(name, writer, channel))
            stack.push_async_callback(replicas[-1].vanish)
            await until(replicas[0].lease.held)
        yield replicas[0], replicas[1]


async def test_one_replica_follows_the_other_looks_on_and_takes_over_when_that_one_is_gone(
    log: ServedLog, channel: grpc.aio.Channel
) -> None:
    async with two_replicas(channel) as (one, two):
        await log.record("a", "b")
        await asyncio.gather(one.consumer.wait_until(2), two.consumer.wait_until(2))
        await until(lambda: two.consumer.caught_up)
        assert (one.noted.handled, two.noted.handled) == ({"applied": 2}, {})

        await one.vanish()
        await log.record("c")
        await two.consumer.wait_until(3)

        assert (one.noted.handled, two.noted.handled) == ({"applied": 2}, {"applied": 1})
        assert two.kept == [(1, "a"), (2, "b"), (3, "c")]


@BOTH
async def test_who_looked_on_while_another_replica_followed_follows_on_from_there(
    log: ServedLog, make: Make
) -> None:
    one, two = make(), make()
    await log.record("a")
    async with running(one):
        await one.wait_until(1)
    looking = asyncio.create_task(one.look_on())
    await log.record("b")
    async with running(two):
        await one.wait_until(2)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await log.record("c")
    async with running(one):
        await one.wait_until(3)
        await told_the_head(one)

    assert one.head_position == 3
