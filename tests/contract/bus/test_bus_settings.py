"""Rules of choosing a bus: what is refused at the start, and what the shipped servers let each service do."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from smarketing.config import ConfigInvalid, read_config
from smarketing.eventlog.bus import BusSettings, open_bus
from smarketing.eventlog.feed import FeedBatch
from smarketing.eventlog.link import BusAway, Link, LinkSettings, durable_of, stream_of
from smarketing.eventlog.partitions import Partition
from smarketing.server.listening import StartRefused
from tests.builders.nats_servers import BINARY, NatsServer, free_ports, listening
from tests.builders.processes import finished
from tests.contract.bus.carriers import ABus
from tests.contract.bus.served_log import ServedLog
from tests.contract.server.certificates import Authority

pytestmark = pytest.mark.timeout(60)

DEPLOY = Path(__file__).parents[3] / "deploy" / "nats"


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"SMARKETING_BUS": "kafka://127.0.0.1:9092"}, "must be feed, or nats://host:port"),
        ({"SMARKETING_BUS": "nats://127.0.0.1"}, "must be feed, or nats://host:port"),
        ({"SMARKETING_BUS": "nats://me:secret@127.0.0.1:4222"}, "SMARKETING_NATS_PASSWORD_FILE"),
        ({"SMARKETING_BUS": "nats://10.0.0.1:4222"}, "SMARKETING_NATS_CA"),
        ({"SMARKETING_BUS": "nats://127.0.0.1:4222"}, "SMARKETING_NATS_MONITORS"),
        (
            {
                "SMARKETING_BUS": "nats://127.0.0.1:4222",
                "SMARKETING_NATS_UNSYNCED": "true",
                "SMARKETING_NATS_KEY": "/k",
            },
            "SMARKETING_NATS_CERTIFICATE",
        ),
        ({"SMARKETING_NATS_REPLICAS": "0"}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_and_no_password_is_repeated(
    environ: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigInvalid, match=fault) as refused:
        read_config(BusSettings, environ)
    assert "secret" not in str(refused.value)


class Owner:
    """A log that nobody asks."""

    async def follow(self, *, log_id: str, after: int) -> Any:
        """Yield nothing."""

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:  # noqa: ARG002 -- the protocol's
        """Return nothing."""
        return FeedBatch(log_id, (), 0)


async def test_without_a_setting_the_feed_carries_and_nothing_is_published(log: ServedLog) -> None:
    async with AsyncExitStack() as stack:
        bus = await open_bus(
            BusSettings(), stack, service="sla", registry=CollectorRegistry(), followed={"sla.leads": "leads"}
        )
        owner = Owner()
        assert bus.source(owner, log="leads", consumer="sla.leads") is owner
        assert bus.publishing(log.writer, log="sla") == ()


async def opened(settings: BusSettings) -> None:
    async with AsyncExitStack() as stack:
        await open_bus(settings, stack, service="sla", registry=CollectorRegistry(), followed={})


async def test_a_service_does_not_start_on_servers_that_acknowledge_what_is_not_on_disk(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    hasty = NatsServer(tmp_path, synced=False)
    hasty.start()
    try:
        monitors = (nats_server.monitor, hasty.monitor)
        with pytest.raises(StartRefused, match="sync_interval: always"):
            await opened(BusSettings(bus=(hasty.url,), nats_monitors=monitors))
        await opened(BusSettings(bus=(hasty.url,), nats_monitors=monitors, nats_unsynced=True))
    finally:
        hasty.stop()
    await opened(BusSettings(bus=(nats_server.url,), nats_monitors=(nats_server.monitor,)))


@pytest.mark.parametrize("service", ["leads", "sla", "reports"])
async def test_a_refused_service_says_why_in_a_sentence(service: str, tmp_path: Path) -> None:
    hasty = NatsServer(tmp_path, synced=False)
    hasty.start()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
    own = {
        "SMARKETING_DATA_DIR": str(tmp_path / "data"),
        "SMARKETING_LISTEN": "127.0.0.1:0",
        "SMARKETING_HTTP_LISTEN": "127.0.0.1:0",
        "SMARKETING_BUS": hasty.url,
        "SMARKETING_NATS_MONITORS": hasty.monitor,
    }
    (tmp_path / "data").mkdir()
    try:
        ran = await finished([sys.executable, "-m", f"services.{service}"], {**environ, **own})
    finally:
        hasty.stop()
    assert ran.status != 0
    assert "Traceback" not in ran.err
    assert ran.err.splitlines()[-1].startswith(f"{service} did not start: The NATS server of")


async def test_a_service_starts_while_the_bus_is_away() -> None:
    port, monitor = free_ports(2)
    await opened(
        BusSettings(bus=(f"nats://127.0.0.1:{port}",), nats_monitors=(f"http://127.0.0.1:{monitor}",))
    )


async def test_a_relay_publishes_nothing_while_it_is_not_let(
    log: ServedLog, nats_server: NatsServer, a_bus: ABus
) -> None:
    refused = asyncio.Event()

    async def admit() -> None:
        refused.set()
        raise BusAway("not synced")

    carried = a_bus([nats_server], name="reports")
    relay = carried.start_relay(admit=admit)
    await log.record("a")
    await refused.wait()
    assert (relay.position, await carried.stream_info()) == (0, None)


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The first server of deploy/nats, started as it stands; where it is and what proves it."""
    folder = tmp_path / "etc"
    folder.mkdir()
    shutil.copy(DEPLOY / "nats.conf", folder)
    shutil.copy(DEPLOY / "users.conf.example", folder / "users.conf")
    authority = Authority(tmp_path, "authority")
    server, client = authority.sign("server"), authority.sign("client")
    port, monitor, *routes = free_ports(5)
    environ = {
        "NATS_NAME": "one",
        "NATS_LISTEN": f"127.0.0.1:{port}",
        "NATS_MONITOR": f"127.0.0.1:{monitor}",
        "NATS_CLUSTER": f"127.0.0.1:{routes[0]}",
        "NATS_STORE": str(tmp_path / "store"),
        "NATS_CERTIFICATE": str(server.certificate),
        "NATS_KEY": str(server.key),
        "NATS_CA": str(authority.certificate),
        **{f"NATS_ROUTE_{n + 1}": f"nats://127.0.0.1:{route}" for n, route in enumerate(routes)},
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [BINARY, "-c", folder / "nats.conf"], env={**os.environ, **environ}, stdout=log, stderr=log
        )
    try:
        listening(port, process, tmp_path / "log")
        yield {**environ, "CLIENT": str(client.certificate), "CLIENT_KEY": str(client.key), "PORT": str(port)}
    finally:
        process.terminate()
        process.wait(20)


def link_of(
    service: str, shipped: dict[str, str], folder: Path, *, password: str = "", ca: bool = True
) -> Link:
    file = folder / f"{service}.password"
    file.write_text(password or f"change me: {service}")
    return Link(
        LinkSettings(
            servers=[f"nats://127.0.0.1:{shipped['PORT']}"],
            name=service,
            user=service,
            password_file=file,
            ca=Path(shipped["NATS_CA"]) if ca else None,
            certificate=Path(shipped["CLIENT"]) if ca else None,
            key=Path(shipped["CLIENT_KEY"]) if ca else None,
        )
    )


async def test_the_shipped_server_takes_services_by_tls_and_password_alone(
    shipped: dict[str, str], tmp_path: Path
) -> None:
    async def is_taken(service: str, **otherwise: Any) -> bool:
        link = link_of(service, shipped, tmp_path, **otherwise)
        try:
            return (await link.client()).is_connected
        except BusAway:
            return False
        finally:
            await link.close()

    assert await is_taken("leads")
    assert not await is_taken("leads", password="another")
    assert not await is_taken("leads", ca=False)
    assert not await is_taken("mallory")


async def test_services_that_share_their_settings_are_told_apart_by_name(
    shipped: dict[str, str], tmp_path: Path, log: ServedLog
) -> None:
    for service in ("leads", "sla"):
        (tmp_path / f"bus-{service}.password").write_text(f"change me: {service}")
    settings = BusSettings(
        bus=(f"tls://127.0.0.1:{shipped['PORT']}",),
        nats_monitors=(f"http://{shipped['NATS_MONITOR']}",),
        nats_replicas=1,
        nats_max_bytes=10_000_000,
        nats_password_file=tmp_path / "bus-{service}.password",
        nats_ca=Path(shipped["NATS_CA"]),
        nats_certificate=Path(shipped["CLIENT"]),
        nats_key=Path(shipped["CLIENT_KEY"]),
    )
    async with AsyncExitStack() as stack:
        for service in ("leads", "sla"):
            bus = await open_bus(settings, stack, service=service, registry=CollectorRegistry(), followed={})
            assert bus._link is not None
            assert (await bus._link.client()).is_connected
            assert [task.name for task in bus.publishing(log.writer, log=service)] == ["relay"]


async def first_refusal(link: Link, *subjects: str) -> str:
    """Publish something to subjects in turn; return what the server says to the first that it refuses."""
    client = await link.client()
    told: asyncio.Queue[str] = asyncio.Queue()

    async def note(error: Exception) -> None:
        await told.put(str(error))

    client._error_cb = note
    for subject in subjects:
        await client.publish(subject, b"x")
    async with asyncio.timeout(10):
        return await told.get()


@pytest.mark.parametrize(
    ("service", "own", "foreign"),
    [
        ("leads", "smarketing.leads.events", "smarketing.sla.events"),
        ("sla", "smarketing.sla.events", "smarketing.leads.events"),
        ("reports", "$JS.API.CONSUMER.MSG.NEXT.smarketing-sla.reports-sla", "smarketing.sla.events"),
        ("leads", "$JS.API.STREAM.CREATE.smarketing-leads", "$JS.API.STREAM.DELETE.smarketing-leads"),
        (
            "sla",
            "$JS.API.CONSUMER.DURABLE.CREATE.smarketing-leads.sla-leads",
            "$JS.API.CONSUMER.DURABLE.CREATE.smarketing-leads.reports-leads",
        ),
        *(
            (
                consumer.partition(".")[0],
                f"$JS.API.CONSUMER.{verb}.{stream_of(log)}.{durable_of(part.named_on_the_bus(consumer))}",
                f"$JS.API.CONSUMER.{verb}.{stream_of(log)}.somebody-elses",
            )
            for consumer, log in (("sla.leads", "leads"), ("reports.leads", "leads"), ("reports.sla", "sla"))
            for part in (Partition(0, 4), Partition(3, 4))
            for verb in ("DURABLE.CREATE", "MSG.NEXT")
        ),
    ],
)
async def test_the_shipped_server_lets_each_service_do_its_own_work_and_no_others(
    service: str, own: str, foreign: str, shipped: dict[str, str], tmp_path: Path
) -> None:
    link = link_of(service, shipped, tmp_path)
    try:
        refusal = await first_refusal(link, own, foreign)
    finally:
        await link.close()
    assert "permissions violation" in refusal.lower()
    assert foreign.lower() in refusal.lower()
