"""Rules of a log on three servers of which one is parted from the others (F21)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from smarketing.eventlog.feed import Feed
from smarketing.eventlog.link import stream_of
from smarketing.sql import Database
from tests.builders.nats_servers import NatsServer, free_ports
from tests.builders.thorough import takes_minutes
from tests.contract.bus.carriers import ABus, Carried
from tests.contract.bus.followers import Make, running, told_the_head
from tests.contract.bus.served_log import ServedLog, seen
from tests.faults.harness.proxy import FaultProxy, Way

pytestmark = [pytest.mark.timeout(120), takes_minutes]
"""The two wait for some ten seconds before they choose another one."""

PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class Trio:
    """Two servers that reach one another, and a third that reaches them, and they it, by roads alone."""

    nodes: list[NatsServer]
    roads: list[FaultProxy]

    @property
    def third(self) -> NatsServer:
        return self.nodes[2]

    def part(self) -> None:
        """Bring nothing more to the third, nor from it; whoever is connected hears nothing of that."""
        for road in self.roads:
            road.way = Way.HALF_OPEN

    def join(self) -> None:
        """Open the roads again; what was lost on them is lost."""
        for road in self.roads:
            road.way = Way.PASS
            road.cut()


@pytest.fixture
async def trio(tmp_path: Path) -> AsyncIterator[Trio]:
    ports = [free_ports(3) for _ in range(3)]
    async with AsyncExitStack() as stack:
        roads = [await stack.enter_async_context(FaultProxy(("127.0.0.1", each[2]))) for each in ports]
        direct = [each[2] for each in ports[:2]]
        routes = [*([[*direct, roads[2].port]] * 2), [roads[0].port, roads[1].port]]
        nodes = [
            NatsServer(tmp_path, name=f"node{n}", ports=ports[n], routes=routes[n], advertised=roads[n].port)
            for n in range(3)
        ]
        for node in nodes:
            stack.callback(node.kill)
            await asyncio.to_thread(node.start)
        yield Trio(nodes, roads)


async def led_by(carried: Carried, node: NatsServer) -> None:
    """Return when a server leads the stream, and all three have it."""
    while True:
        info = await carried.stream_info()
        if info is not None and info.cluster and info.cluster.leader:
            others = info.cluster.replicas or []
            well = len(others) == 2 and all(peer.current and not peer.offline for peer in others)
            if well and info.cluster.leader == node.name:
                return
            if well:
                client = await carried.owners_link.client()
                await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream_of(carried.name)}", b"")
        await asyncio.sleep(0.1)


async def told_by(node: NatsServer, stream: str) -> tuple[int, int, str]:
    """Return how many messages a server has of a stream, the number of the last one, and who leads it."""
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        said: Any = (await client.get(f"{node.monitor}/jsz", params={"streams": 1})).json()
    for account in said.get("account_details", ()):
        for each in account.get("stream_detail", ()):
            if each["name"] == stream:
                state = each["state"]
                return state["messages"], state["last_seq"], each.get("cluster", {}).get("leader", "")
    return -1, -1, ""


async def led_by_another(trio: Trio, stream: str) -> None:
    """Return when the two have chosen one of themselves."""
    two = {node.name for node in trio.nodes[:2]}
    while (await told_by(trio.nodes[0], stream))[2] not in two:  # noqa: ASYNC110 -- servers tell nobody
        await asyncio.sleep(0.1)


async def test_a_leader_that_is_parted_from_the_others_divides_nothing(  # noqa: PLR0917 -- fixtures
    log: ServedLog, follower: Database, channel: grpc.aio.Channel, make: Make, trio: Trio, a_bus: ABus
) -> None:
    carried = a_bus(trio.nodes, name="parted", replicas=3)
    relay = carried.start_relay()
    async with running(
        make(feed=carried.source(Feed(channel, name="parted"))), seconds=PATIENCE_SECONDS
    ) as consumer:
        await told_the_head(consumer)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await led_by(carried, trio.third)
            await log.record(*(str(number) for number in range(20)))
            await consumer.wait_until(20)
            trio.part()
            await log.record(*(str(number) for number in range(20, 40)))
            # Whoever is on the wrong side of it is told by the log itself.
            await consumer.wait_until(40)
            await led_by_another(trio, stream_of(carried.name))
            trio.join()
            await log.record("40")
            await consumer.wait_until(41)
            while relay.position < 41:  # noqa: ASYNC110 -- the relay tells nobody
                await asyncio.sleep(0.05)
            found = await agreed(trio, stream_of(carried.name))

    assert seen(follower) == [(number + 1, str(number)) for number in range(41)]
    # What was published once on each side would have made the stream longer than the log.
    assert found[1] == 41


async def agreed(trio: Trio, stream: str) -> tuple[int, int, str]:
    """Return what all three servers say of a stream, once they say the same."""
    while True:
        found = {await told_by(node, stream) for node in trio.nodes}
        if len(found) == 1 and (-1, -1, "") not in found:
            return found.pop()
        await asyncio.sleep(0.1)
