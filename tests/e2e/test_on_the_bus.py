"""The three services with JetStream between them: a lead goes its way, also while the bus is away."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from smarketing.api.sla.v1 import sla_pb2 as slapb
from tests.builders.nats_servers import NatsServer
from tests.builders.processes import Installation, an_installation, until
from tests.builders.thorough import takes_minutes
from tests.e2e.test_the_handoff_loop import Desk, a_desk

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def on_the_bus(tmp_path: Path, server: NatsServer) -> Iterator[Installation]:
    environ = {
        "SMARKETING_BUS": server.url,
        "SMARKETING_NATS_MONITORS": server.monitor,
        "SMARKETING_NATS_REPLICAS": "1",
        "SMARKETING_NATS_MAX_BYTES": "100000000",
    }
    with an_installation(tmp_path / "installation", environ) as running:
        yield running


async def position(installation: Installation, service: str, name: str, **labels: str) -> float:
    address = installation.addresses[service]["http"]
    async with httpx.AsyncClient(trust_env=False) as client:
        page = (await client.get(f"http://{address}/metrics")).text
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return -1


async def worked(desk: Desk, external_id: str) -> None:
    """Let a lead be offered, accepted and followed up, and see that sla knows it."""
    handoff = await desk.accept(await desk.submit(external_id, "patient"))
    await desk.follow_up(handoff)
    states = await until(
        lambda: desk.clocks(handoff),
        lambda found: {clock.state for clock in found.values()} == {slapb.Clock.STATE_MET},
    )
    assert set(states) == {"route", "accept", "first-follow-up"}


async def is_carried(installation: Installation) -> bool:
    """Tell whether the bus has both logs whole, and everyone who follows one has it too."""
    for log, followers in (("leads", ("sla", "reports")), ("sla", ("leads", "reports"))):
        head = await position(installation, log, "smarketing_eventlog_head_position", log=log)
        places = [await position(installation, log, "smarketing_eventlog_relay_position", log=log)]
        for service in followers:
            name = "smarketing_eventlog_consumer_position"
            places.append(await position(installation, service, name, log=log))
        if head <= 0 or any(place != head for place in places):
            return False
    return True


@takes_minutes
async def test_a_lead_goes_its_way_over_the_bus_and_while_it_is_away(
    on_the_bus: Installation, server: NatsServer, tmp_path: Path
) -> None:
    desk = await a_desk(on_the_bus, "bus", tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(desk.close)
        await worked(desk, "carried")
        await until(lambda: is_carried(on_the_bus), bool, seconds=30)

        server.kill()
        await worked(desk, "away")
        server.start()
        await worked(desk, "back")
        await until(lambda: is_carried(on_the_bus), bool, seconds=30)

    for service in ("leads", "sla", "reports"):
        assert await position(on_the_bus, service, "smarketing_eventlog_bus_refused_total") == 0
        assert await position(on_the_bus, service, "smarketing_eventlog_log_regressed_total") == 0
