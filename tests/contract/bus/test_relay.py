"""Rules of the one publisher of a log: in order, at least once, from a stored place (F24, F25)."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import pytest

from smarketing.eventlog.checkpoints import find_checkpoint, relay_name
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.link import stream_of
from smarketing.sql import Database
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.carriers import ABus, Carried, told, witnessed
from tests.contract.bus.followers import Make, Noted, running, told_the_head
from tests.contract.bus.served_log import LOG_ID, ServedLog, seen

pytestmark = pytest.mark.timeout(40)


@pytest.fixture
async def carried(a_bus: ABus, nats_server: NatsServer) -> Carried:
    """A stream with a witness, who is given whatever is published, and no relay yet."""
    carried = a_bus([nats_server], name="witness")
    await witnessed(carried)
    return carried


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may ill-treat."""
    server = NatsServer(tmp_path, max_payload=8192)
    server.start()
    yield server
    server.stop()


def place(log: ServedLog, carried: Carried) -> int:
    with log.database.reading() as connection:
        found = find_checkpoint(connection, relay_name(carried.name))
    return -1 if found is None else found.position


async def published(log: ServedLog, carried: Carried, position: int) -> None:
    """Return when the relay's stored place is there."""
    async with asyncio.timeout(20):
        await carried.when(lambda: place(log, carried) >= position)


async def test_every_event_is_published_in_order_under_an_id_of_its_own(
    log: ServedLog, carried: Carried
) -> None:
    carried.start_relay(window_events=7)
    await log.record(*(str(number) for number in range(30)))
    await published(log, carried, 30)

    assert await told(carried) == [(f"{LOG_ID}:{number}", number) for number in range(1, 31)]


async def test_a_relay_goes_on_where_the_last_one_was(log: ServedLog, carried: Carried) -> None:
    carried.start_relay()
    await log.record("a", "b")
    await published(log, carried, 2)
    await carried.stop_relay()
    await log.record("c")
    carried.start_relay()
    await published(log, carried, 3)

    assert [position for _, position in await told(carried)] == [1, 2, 3]


async def test_a_log_that_is_put_on_the_bus_late_is_carried_from_its_head(
    log: ServedLog, nats_server: NatsServer, a_bus: ABus
) -> None:
    await log.record("a", "b")
    carried = a_bus([nats_server], name="witness")
    await witnessed(carried)
    carried.start_relay()
    await log.record("c")
    await published(log, carried, 3)

    assert [position for _, position in await told(carried)] == [3]


async def forgotten_by_the_bus(carried: Carried) -> None:
    """Return when the bus knows no id of before any more."""
    # By its own clock, and it tells nobody: to ask would be to publish.
    await asyncio.sleep(carried.stream.duplicate_window_seconds + 0.3)


async def test_a_relay_for_which_another_stood_in_goes_on_where_that_one_was(
    log: ServedLog, carried: Carried
) -> None:
    carried.stream = replace(carried.stream, duplicate_window_seconds=0.1)
    first = carried.start_relay()
    await log.record("a")
    await published(log, carried, 1)
    await carried.stop_relay()
    carried.start_relay()
    await log.record("b", "c")
    await published(log, carried, 3)
    await carried.stop_relay()

    await forgotten_by_the_bus(carried)
    carried.relaying = asyncio.create_task(first.run())
    await log.record("d")
    await published(log, carried, 4)

    assert [position for _, position in await told(carried)] == [1, 2, 3, 4]


async def set_back(log: ServedLog, carried: Carried, position: int) -> None:
    """Leave the relay's place as a crash between publishing and storing would."""
    with log.database.writer_engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE consumer_checkpoint SET position = ? WHERE consumer = ?",
            (position, relay_name(carried.name)),
        )


async def test_what_is_published_again_soon_is_dropped_by_the_bus_and_later_by_the_consumer(
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, carried: Carried
) -> None:
    observer = Noted()
    async with running(make(feed=carried.source(Feed(channel, name="again")), observer=observer)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        carried.start_relay()
        await log.record("a", "b")
        await carried.acknowledged(2)
        await carried.stop_relay()

        await set_back(log, carried, 0)
        carried.start_relay()
        await published(log, carried, 2)
        assert [position for _, position in await told(carried)] == [1, 2]
        await carried.stop_relay()

        await forgotten_by_the_bus(carried)
        await set_back(log, carried, 0)
        carried.start_relay()
        await carried.acknowledged(4)
        await log.record("c")
        await consumer.wait_until(3)

    assert [position for _, position in await told(carried)] == [1, 2, 1, 2, 3]
    assert (seen(follower), observer.handled["duplicate"]) == ([(1, "a"), (2, "b"), (3, "c")], 2)


async def test_of_two_relays_at_once_each_event_comes_once_and_in_order(
    log: ServedLog, carried: Carried
) -> None:
    second = Carried(log, [], name="other")
    second.name, second.owners_link = carried.name, carried.link
    carried.start_relay(window_events=5)
    second.start_relay(window_events=3)
    for first in range(0, 60, 6):
        await log.record(*(str(number) for number in range(first, first + 6)))
    await published(log, carried, 60)
    await second.stop_relay()

    assert [position for _, position in await told(carried)] == list(range(1, 61))


async def test_an_event_that_the_bus_cannot_carry_is_left_to_the_owner(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    own_server: NatsServer,
    a_bus: ABus,
) -> None:
    carried = a_bus([own_server], name="large")
    carried.start_relay()
    observer = Noted()
    async with running(make(feed=carried.source(Feed(channel, name="large")), observer=observer)) as consumer:
        await told_the_head(consumer)
        await carried.subscribed()
        await log.record("a", "b" * 20_000, "c")
        await consumer.wait_until(3)
        await published(log, carried, 3)

    assert [content[:1] for _, content in seen(follower)] == ["a", "b", "c"]


async def test_a_full_bus_makes_the_relay_wait_and_nobody_else(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nats_server: NatsServer,
    a_bus: ABus,
) -> None:
    carried = a_bus([nats_server], name="full", max_bytes=6_000)
    await witnessed(carried)
    relay = carried.start_relay()
    async with running(make(feed=carried.source(Feed(channel, name="full")))) as consumer:
        # The third does not fit, and those behind it would.
        await log.record(*(f"{number}" + "x" * (5_500 if number == 2 else 100) for number in range(30)))
        await carried.when(lambda: relay.position == 2)
        await consumer.wait_until(30)
        await log.record("more")
        await consumer.wait_until(31)
        assert (relay.position, [position for _, position in await told(carried)]) == (2, [1, 2])

        client = await carried.link.client()
        await client.jetstream().delete_consumer(stream_of(carried.name), "witness")
        await published(log, carried, 31)

    assert len(seen(follower)) == 31


async def test_a_relay_that_waits_for_room_leaves_nothing_behind_on_its_connection(
    log: ServedLog, nats_server: NatsServer, a_bus: ABus
) -> None:
    carried = a_bus([nats_server], name="full", max_bytes=8_000)
    await witnessed(carried)
    client = await carried.owners_link.client()
    attempts = 0

    async def admit() -> None:
        nonlocal attempts
        attempts += 1

    async def subscriptions() -> int:
        async with httpx.AsyncClient(trust_env=False) as http:
            told = await http.get(f"{nats_server.monitor}/connz", params={"cid": client.client_id or 0})
        [connection] = told.json()["connections"]
        return int(connection["subscriptions"])

    relay = carried.start_relay(admit=admit, ack_seconds=0.3, longest_pause_seconds=0.05)
    await log.record("fits", "x" * 5_500, "y" * 5_500)
    await carried.when(lambda: relay.position == 2 and attempts >= 3)
    before = await subscriptions()
    await carried.when(lambda: attempts >= 10)

    assert (relay.position, await subscriptions()) == (2, before)
    assert await carried.owners_link.client() is client


async def test_a_bus_that_dies_among_many_messages_has_them_all_in_order_afterwards(
    log: ServedLog, own_server: NatsServer, a_bus: ABus
) -> None:
    carried = a_bus([own_server], name="killed")
    await witnessed(carried)
    relay = carried.start_relay(window_events=200)
    await log.record(*(str(number) for number in range(1500)))
    for number in range(2):
        async with asyncio.timeout(20):
            while relay.position < 300 + 500 * number:  # noqa: ASYNC110 -- nothing tells of it
                await asyncio.sleep(0)
        own_server.kill()
        own_server.start()
    await published(log, carried, 1500)

    positions = [position for _, position in await told(carried)]
    assert list(dict.fromkeys(positions)) == list(range(1, 1501))
