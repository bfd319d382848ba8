"""Rules of following a log over a bus that is not to be believed (F24 to F26, F30, promise P3)."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from nats.aio.msg import Msg

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog import reading
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.jetstream import _Place
from smarketing.eventlog.link import durable_of, stream_of, subject_of
from smarketing.eventlog.reading import LogRegressed
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Database
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.carriers import QUICK, ABus, Carried
from tests.contract.bus.followers import Make, Noted, deliveries, running, told_the_head
from tests.contract.bus.served_log import OTHER_LOG_ID, ServedLog, seen

pytestmark = pytest.mark.timeout(40)


@pytest.fixture
async def carried(a_bus: ABus, nats_server: NatsServer) -> Carried:
    """A stream of the log's that nobody publishes to but the test."""
    carried = a_bus([nats_server], name="reports")
    carried.start_relay()
    await carried.ready()
    await carried.stop_relay()
    return carried


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may ill-treat."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


async def events_of(channel: grpc.aio.Channel) -> list[eventlogpb.Event]:
    return await deliveries(Feed(channel, name="truth"))


async def publish(carried: Carried, *bodies: bytes) -> None:
    """Put messages on the stream, past the relay and in any order."""
    client = await carried.owners_link.client()
    for body in bodies:
        await client.jetstream().publish(subject_of(carried.name), body)


def with_body(event: eventlogpb.Event, content: str) -> bytes:
    other = eventlogpb.Event()
    other.CopyFrom(event)
    other.payload.value = StringValue(value=content).SerializeToString()
    return other.SerializeToString()


@pytest.mark.parametrize("seed", range(4))
async def test_a_bus_that_loses_repeats_and_shuffles_changes_nothing(  # noqa: PLR0917 -- fixtures
    seed: int, log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    dice = random.Random(seed)
    source = carried.source(Feed(channel, name="wild"))
    async with running(make(feed=source)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        await log.record(*(str(number) for number in range(90)))
        bodies = [event.SerializeToString() for event in await events_of(channel)]
        wild = [body for body in bodies if dice.random() > 0.1] + dice.choices(bodies, k=40)
        dice.shuffle(wild)
        await publish(carried, *wild, *bodies[:20])
        await consumer.wait_until(90)

    assert seen(follower) == [(number + 1, str(number)) for number in range(90)]


async def test_events_that_the_bus_brings_are_not_asked_of_the_owner(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    observer = Noted()
    source = carried.source(Feed(channel, name="calm"))
    async with running(make(feed=source, observer=observer)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        carried.start_relay()
        for number in range(20):
            await log.record(str(number))
            await consumer.wait_until(number + 1)
        await carried.acknowledged(20)

    assert len(seen(follower)) == 20
    assert (observer.gaps, carried.observer.refused) == (0, [])


async def test_what_is_no_event_of_this_log_is_passed_over_and_told(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    await log.record("a")
    source = carried.source(Feed(channel, name="strange"))
    async with running(make(feed=source)) as consumer:
        await consumer.wait_until(1)
        await carried.subscribed()
        [event] = await events_of(channel)
        foreign = eventlogpb.Event(log_id=OTHER_LOG_ID, position=2)
        far = eventlogpb.Event(log_id=event.log_id, position=10**12)
        await publish(carried, b"\xff\xff\xff", foreign.SerializeToString(), far.SerializeToString())
        await carried.refused(3)
        await log.record("b")
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]
    assert sorted(carried.observer.refused) == ["foreign", "foreign", "unreadable"]


async def test_of_two_bodies_of_one_position_the_owners_is_taken(
    log: ServedLog, channel: grpc.aio.Channel, carried: Carried
) -> None:
    await log.record("a", "b", "c")
    a, b, c = await events_of(channel)
    source = carried.source(Feed(channel, name="liar"))
    bodies = [a.SerializeToString(), with_body(b, "forged"), b.SerializeToString(), c.SerializeToString()]
    client = await carried.owners_link.client()
    messages = [Msg(_client=client, data=body) for body in bodies]

    batch = await source._sifted(messages, _Place(a.log_id, 0))

    assert [StringValue.FromString(event.payload.value).value for event in batch.events] == ["a", "b", "c"]
    assert carried.observer.refused == ["mismatch"]


async def test_a_consumer_that_applied_what_the_owner_never_said_stops(
    log: ServedLog, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    consumer = make(feed=carried.source(Feed(channel, name="believer")))
    following = asyncio.create_task(consumer.run())
    await told_the_head(consumer)
    await carried.subscribed()
    # Were its owner there, the consumer might read the event itself before the bus brings another one.
    await log.stop()
    await log.record("a")
    page = await log.writer.read(partial(reading.read, view=WHOLE_LOG, after=0, limit=1))
    [event] = page.events
    await publish(carried, with_body(event, "forged"))
    await carried.acknowledged(1)
    await log.start()
    await channel.channel_ready()
    await publish(carried, event.SerializeToString())

    with pytest.raises(LogRegressed):
        async with asyncio.timeout(10):
            await following


async def test_another_body_of_what_was_applied_is_ignored_and_told(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    source = carried.source(Feed(channel, name="late liar"))
    async with running(make(feed=source)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        await log.record("a")
        [event] = await events_of(channel)
        await publish(carried, event.SerializeToString())
        await carried.acknowledged(1)
        await publish(carried, with_body(event, "forged"))
        await carried.refused(1)
        await log.record("b")
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]
    assert carried.observer.refused == ["mismatch"]


async def test_a_subscription_that_the_bus_forgot_is_made_anew(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    source = carried.source(Feed(channel, name="forgotten"))
    async with running(make(feed=source)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        client = await carried.owners_link.client()
        await client.jetstream().delete_consumer(stream_of(carried.name), durable_of("reports.leads"))
        await carried.resubscribed(1)
        await carried.subscribed()
        carried.start_relay()
        await log.record("a", "b")
        await carried.acknowledged(2)

    assert seen(follower) == [(1, "a"), (2, "b")]


async def test_for_a_reader_that_is_gone_for_long_the_bus_keeps_nothing_and_it_misses_nothing(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    pace = replace(QUICK, forgotten_after_seconds=0.5)
    carried.start_relay()
    async with running(make(feed=carried.source(Feed(channel, name="long gone"), pace=pace))):
        await carried.subscribed()
    await carried.consumers(0)
    await log.record("a", "b")
    await carried.relayed(2)
    info = await carried.stream_info()
    assert info is not None
    assert info.state.messages == 0

    async with running(make(feed=carried.source(Feed(channel, name="back"), pace=pace))) as consumer:
        await consumer.wait_until(2)
    assert seen(follower) == [(1, "a"), (2, "b")]


async def test_with_the_bus_away_events_come_from_the_owner_and_after_it_is_back_from_the_bus(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    own_server: NatsServer,
    a_bus: ABus,
) -> None:
    carried = a_bus([own_server], name="reports")
    relay = carried.start_relay()
    source = carried.source(Feed(channel, name="outage"))
    async with running(make(feed=source)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        for outage in range(2):
            own_server.kill()
            await log.record(f"away {outage}")
            await consumer.wait_until(2 * outage + 1)
            assert relay.position == 2 * outage
            own_server.start()
            await log.record(f"back {outage}")
            await carried.acknowledged(2 * outage + 2)
        assert relay.position == 4

    assert [content for _, content in seen(follower)] == ["away 0", "back 0", "away 1", "back 1"]


async def test_a_bus_that_stops_answering_is_noticed_by_its_silence(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    own_server: NatsServer,
    a_bus: ABus,
) -> None:
    carried = a_bus([own_server], name="reports")
    carried.start_relay()
    source = carried.source(Feed(channel, name="silence"))
    async with running(make(feed=source)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        own_server.pause()
        await log.record("a")
        await consumer.wait_until(1)
        async with asyncio.timeout(8):  # before the client itself notices, by its pings
            await carried.resubscribed(1)
        own_server.resume()
        await log.record("b")
        await carried.acknowledged(2)

    assert seen(follower) == [(1, "a"), (2, "b")]
