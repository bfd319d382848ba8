"""Rules of a log on three servers, of which some die (F20, F22, F23)."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from functools import partial

import grpc
import pytest

from smarketing.eventlog.feed import Feed
from smarketing.eventlog.link import stream_of
from smarketing.eventlog.relay import Relay
from smarketing.sql import Database
from tests.builders.nats_servers import NatsServer, cluster
from tests.contract.bus.carriers import ABus, Carried, told, witnessed
from tests.contract.bus.followers import Make, running, told_the_head
from tests.contract.bus.served_log import ServedLog, seen

pytestmark = pytest.mark.timeout(300)

_FULL = os.environ.get("FAULTS") == "full"
_KILLS = 20 if _FULL else 1
_PATIENCE_SECONDS = 280 if _FULL else 60


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NatsServer]]:
    nodes = cluster(tmp_path_factory.mktemp("cluster"))
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        node.stop()


async def leader_of(carried: Carried, nodes: list[NatsServer]) -> NatsServer:
    """Return the node that leads the stream, once all three have it."""
    async with asyncio.timeout(30):
        while True:
            info = await carried.stream_info()
            if info is not None and info.cluster and info.cluster.leader:
                others = info.cluster.replicas or []
                if len(others) == 2 and all(peer.current and not peer.offline for peer in others):
                    return next(node for node in nodes if node.name == info.cluster.leader)
            await asyncio.sleep(0.05)


async def test_a_log_outlives_its_leaders(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nodes: list[NatsServer],
    a_bus: ABus,
) -> None:
    carried = a_bus(nodes, name="reports", replicas=3)
    await witnessed(carried)
    relay = carried.start_relay()
    recorded = 0
    async with running(
        make(feed=carried.source(Feed(channel, name="leaders"))), seconds=_PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        for _ in range(_KILLS):
            leader = await leader_of(carried, nodes)
            for _ in range(5):
                await log.record(*(str(recorded + number) for number in range(20)))
                recorded += 20
            leader.kill()
            await log.record(str(recorded))
            recorded += 1
            await consumer.wait_until(recorded)
            leader.start()
        await carried.when(lambda: relay.position == recorded)
        await leader_of(carried, nodes)

    assert seen(follower) == [(number + 1, str(number)) for number in range(recorded)]
    # The follower reads of the log what the bus does not bring; the bus has it all none the less.
    positions = [position for _, position in await told(carried)]
    assert list(dict.fromkeys(positions)) == list(range(1, recorded + 1))


async def test_without_a_majority_writers_and_followers_go_on_and_the_relay_catches_up_later(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nodes: list[NatsServer],
    a_bus: ABus,
) -> None:
    carried = a_bus(nodes, name="reports", replicas=3)
    relay = carried.start_relay()
    async with running(
        make(feed=carried.source(Feed(channel, name="majority"))), seconds=_PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        await leader_of(carried, nodes)
        await log.record("before")
        await carried.when(lambda: relay.position == 1)
        for node in nodes[:2]:
            node.kill()
        await log.record(*(str(number) for number in range(50)))
        await consumer.wait_until(51)
        assert relay.position == 1

        for node in nodes[:2]:
            node.start()
        await carried.when(lambda: relay.position == 51)
        await log.record("after")
        await consumer.wait_until(52)

    assert [position for position, _ in seen(follower)] == list(range(1, 53))


async def test_a_server_that_lost_its_store_is_filled_again_and_nobody_notices(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nodes: list[NatsServer],
    a_bus: ABus,
) -> None:
    carried = a_bus(nodes, name="reports", replicas=3)
    relay = carried.start_relay()
    async with running(
        make(feed=carried.source(Feed(channel, name="store"))), seconds=_PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        leader = await leader_of(carried, nodes)
        await log.record("a")
        await consumer.wait_until(1)
        leader.kill()
        shutil.rmtree(leader.store)
        await log.record("b")
        await consumer.wait_until(2)
        leader.start()
        await leader_of(carried, nodes)
        await log.record("c")
        await carried.when(lambda: relay.position == 3)
        await consumer.wait_until(3)

    assert seen(follower) == [(1, "a"), (2, "b"), (3, "c")]


def _has_published(relay: Relay, position: int) -> bool:
    return relay.position == position


@pytest.mark.skipif(not _FULL, reason="long: FAULTS=full")
async def test_a_leader_that_sleeps_and_wakes_divides_nothing(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nodes: list[NatsServer],
    a_bus: ABus,
) -> None:
    carried = a_bus(nodes, name="reports", replicas=3)
    relay = carried.start_relay()
    recorded = 0
    async with running(
        make(feed=carried.source(Feed(channel, name="sleep"))), seconds=_PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        for _ in range(2):
            leader = await leader_of(carried, nodes)
            leader.pause()
            for _ in range(5):
                await log.record(*(str(recorded + number) for number in range(20)))
                recorded += 20
                await consumer.wait_until(recorded)
            await carried.when(partial(_has_published, relay, recorded))
            leader.resume()

    assert seen(follower) == [(number + 1, str(number)) for number in range(recorded)]


async def test_a_stream_of_which_every_server_lost_its_store_is_made_anew(  # noqa: PLR0917 -- fixtures
    log: ServedLog,
    follower: Database,
    channel: grpc.aio.Channel,
    make: Make,
    nodes: list[NatsServer],
    a_bus: ABus,
) -> None:
    carried = a_bus(nodes, name="reports", replicas=3)
    relay = carried.start_relay()
    async with running(
        make(feed=carried.source(Feed(channel, name="gone"))), seconds=_PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        await leader_of(carried, nodes)
        await log.record("a")
        await carried.when(lambda: relay.position == 1)
        for node in nodes:
            node.kill()
            shutil.rmtree(node.store)
        await log.record("b")
        await consumer.wait_until(2)
        for node in nodes:
            node.start()
        await carried.when(lambda: relay.position == 2)
        await log.record("c")
        await carried.when(lambda: relay.position == 3)
        await consumer.wait_until(3)

    assert seen(follower) == [(1, "a"), (2, "b"), (3, "c")]
    info = await carried.stream_info()
    assert info is not None
    assert info.config.name == stream_of(carried.name)
