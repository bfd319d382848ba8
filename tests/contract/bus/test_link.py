"""Rules of connecting to the bus: whoever is not there is noticed at once, and another is asked."""

import asyncio
import socket

import pytest

from smarketing.eventlog.link import BusAway, Link, LinkSettings
from tests.builders.nats_servers import NatsServer, free_ports

pytestmark = pytest.mark.timeout(40)


def nowhere() -> str:
    return f"nats://127.0.0.1:{free_ports(1)[0]}"


async def test_that_nobody_is_there_is_said_at_once() -> None:
    link = Link(LinkSettings(servers=[nowhere(), nowhere()], name="sla"))
    async with asyncio.timeout(1):
        with pytest.raises(BusAway):
            await link.client()


async def test_a_server_that_says_nothing_is_waited_for_briefly_and_then_another_is_asked(
    nats_server: NatsServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = [f"nats://127.0.0.1:{silent.getsockname()[1]}", nats_server.url]
        link = Link(LinkSettings(servers=servers, name="sla"))
        async with asyncio.timeout(5):
            assert (await link.client()).is_connected
    await link.close()


async def test_one_connection_serves_all_until_it_breaks(nats_server: NatsServer) -> None:
    link = Link(LinkSettings(servers=[nats_server.url], name="sla"))
    first, second = await asyncio.gather(link.client(), link.client())
    assert first is second
    await first.close()
    assert (await link.client()) is not first
    await link.close()
