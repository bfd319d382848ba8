"""What carries a log to its followers in these tests: the feed alone, or JetStream beside it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Protocol

import pytest

from smarketing.eventlog.consumer import EventSource
from smarketing.eventlog.jetstream import BusObserver, JetStream, Pace
from smarketing.eventlog.link import BUS_REFUSALS, Link, LinkSettings, stream_of
from smarketing.eventlog.relay import Relay, StreamSettings
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.served_log import ServedLog

FEED: Final = "feed"
JETSTREAM: Final = "jetstream"
BOTH: Final = pytest.mark.parametrize("bus", [FEED, JETSTREAM], indirect=True)
"""For a module whose rules hold whatever carries the log."""

QUICK: Final = Pace(check_seconds=0.3, poll_seconds=0.1, heartbeat_seconds=0.2)

_numbers: Final = count()


class Bus(Protocol):
    """A way from a log to its followers."""

    def source(self, owner: EventSource) -> EventSource:
        """Return where a consumer takes events from."""


class FeedAlone:
    """The owner is followed, and nothing else."""

    def source(self, owner: EventSource) -> EventSource:
        """Return the owner."""
        return owner


class Refusals:
    """Notes what the bus did to a consumer."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.resubscriptions = 0

    def event_refused(self, _consumer: str, reason: str) -> None:
        """Note it."""
        self.refused.append(reason)

    def resubscribed(self, _consumer: str) -> None:
        """Note it."""
        self.resubscriptions += 1


class Carried:
    """A log on JetStream: its relay, and the links of both ends."""

    def __init__(
        self, log: ServedLog, servers: Sequence[NatsServer], *, name: str, replicas: int = 1
    ) -> None:
        self.log = log
        self.name = f"log{next(_numbers)}"
        self.stream = StreamSettings(
            replicas=replicas, max_bytes=64 * 1024 * 1024, duplicate_window_seconds=0.5
        )
        urls = [server.url for server in servers]
        self.owners_link = Link(LinkSettings(servers=urls, name="leads"))
        self.link = Link(LinkSettings(servers=urls, name=name))
        self.observer = Refusals()
        self.relaying: asyncio.Task[None] | None = None

    def source(
        self, owner: EventSource, *, observer: BusObserver | None = None, pace: Pace = QUICK
    ) -> JetStream:
        """Return the log as the bus carries it to the consumer of these tests."""
        return JetStream(
            self.link,
            owner,
            log=self.name,
            name="reports.leads",
            pace=pace,
            observer=observer or self.observer,
        )

    def start_relay(self, **settings: Any) -> Relay:
        """Publish the log from now on."""
        settings = {"ack_seconds": 2.0, "poll_seconds": 0.1, "store_seconds": 0.0, **settings}
        relay = Relay(self.owners_link, self.log.writer, log=self.name, stream=self.stream, **settings)
        self.relaying = asyncio.create_task(relay.run())
        return relay

    async def stop_relay(self) -> None:
        """Publish nothing more."""
        if self.relaying is not None:
            self.relaying.cancel()
            await asyncio.gather(self.relaying, return_exceptions=True)
            self.relaying = None

    async def close(self) -> None:
        """Take the log from the bus."""
        await self.stop_relay()
        try:
            client = await self.owners_link.client()
            await client.jetstream(timeout=5).delete_stream(stream_of(self.name))
        except BUS_REFUSALS:
            pass
        await self.link.close()
        await self.owners_link.close()


@asynccontextmanager
async def carried(log: ServedLog, servers: Sequence[NatsServer], *, name: str) -> AsyncIterator[Carried]:
    """Carry a log over JetStream for as long as the test runs."""
    bus = Carried(log, servers, name=name)
    bus.start_relay()
    try:
        yield bus
    finally:
        await bus.close()
