"""What carries a log to its followers in these tests: the feed alone, or JetStream beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final, Protocol

import pytest
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, StreamInfo

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.consumer import EventSource
from smarketing.eventlog.jetstream import BusObserver, JetStream, Pace
from smarketing.eventlog.link import BUS_REFUSALS, Link, LinkSettings, durable_of, stream_of
from smarketing.eventlog.relay import Relay, StreamSettings
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.served_log import ServedLog

FEED: Final = "feed"
JETSTREAM: Final = "jetstream"
BOTH: Final = pytest.mark.parametrize("bus", [FEED, JETSTREAM], indirect=True)
"""For a module whose rules hold whatever carries the log."""

QUICK: Final = Pace(check_seconds=0.3, poll_seconds=0.1, heartbeat_seconds=0.2)

_PATIENCE_SECONDS: Final = 30
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
        self,
        log: ServedLog,
        servers: Sequence[NatsServer],
        *,
        name: str,
        replicas: int = 1,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.log = log
        self.name = f"log{next(_numbers)}"
        self.stream = StreamSettings(replicas=replicas, max_bytes=max_bytes, duplicate_window_seconds=1.5)
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

    async def ready(self) -> None:
        """Return when the stream is there."""
        await self._until(lambda _info: True)

    async def stream_info(self) -> StreamInfo | None:
        """Return how the stream is; None when nobody says."""
        try:
            client = await self.owners_link.client()
            return await client.jetstream(timeout=1).stream_info(stream_of(self.name))
        except BUS_REFUSALS:
            return None

    async def subscribed(self) -> None:
        """Return when the consumer waits for messages."""
        await self._until_consumer(lambda info: info.num_waiting > 0)

    async def acknowledged(self, count: int) -> None:
        """Return when the consumer has acknowledged what is up to a number in the stream."""
        await self._until_consumer(lambda info: info.ack_floor.stream_seq >= count)

    async def consumers(self, count: int) -> None:
        """Return when the stream keeps messages for so many."""
        await self._until(lambda info: info.state.consumer_count == count)

    async def relayed(self, count: int) -> None:
        """Return when so many messages were ever on the stream."""
        await self._until(lambda info: info.state.last_seq >= count)

    async def refused(self, count: int) -> None:
        """Return when so many deliveries were refused."""
        await self.when(lambda: len(self.observer.refused) >= count)

    async def resubscribed(self, count: int) -> None:
        """Return when the subscription was made anew so often."""
        await self.when(lambda: self.observer.resubscriptions >= count)

    async def _until(self, is_so: Callable[[StreamInfo], bool]) -> None:
        async def ask() -> bool:
            client = await self.owners_link.client()
            return is_so(await client.jetstream(timeout=1).stream_info(stream_of(self.name)))

        await self._asking(ask)

    async def _until_consumer(self, is_so: Callable[[ConsumerInfo], bool]) -> None:
        async def ask() -> bool:
            client = await self.owners_link.client()
            stream = client.jetstream(timeout=1)
            return is_so(await stream.consumer_info(stream_of(self.name), durable_of("reports.leads")))

        await self._asking(ask)

    async def when(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so."""

        async def ask() -> bool:
            return is_so()

        await self._asking(ask)

    @staticmethod
    async def _asking(ask: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                with suppress(*BUS_REFUSALS):
                    if await ask():
                        return
                await asyncio.sleep(0.02)  # a server is asked, or a task looked at, that tells nobody

    def start_relay(self, **settings: Any) -> Relay:
        """Publish the log from now on."""
        settings = {
            "ack_seconds": 2.0,
            "poll_seconds": 0.1,
            "store_seconds": 0.0,
            "longest_pause_seconds": 0.5,
            **settings,
        }
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


async def witnessed(carried: Carried) -> None:
    """Make the stream, and keep on it whatever is published from now on; there is no relay yet."""
    carried.start_relay()
    await carried.ready()
    await carried.stop_relay()
    client = await carried.owners_link.client()
    config = ConsumerConfig(durable_name="witness", ack_policy=AckPolicy.NONE)
    await client.jetstream().add_consumer(stream_of(carried.name), config)


async def told(carried: Carried) -> list[tuple[str, int]]:
    """Return the id and position of each message on the stream, in the stream's order."""
    client = await carried.link.client()
    stream = client.jetstream()
    info = await stream.stream_info(stream_of(carried.name))
    found = []
    for number in range(info.state.first_seq, info.state.last_seq + 1):
        message = await stream.get_msg(stream_of(carried.name), number)
        event = eventlogpb.Event.FromString(message.data or b"")
        found.append(((message.headers or {})["Nats-Msg-Id"], event.position))
    return found


ABus = Callable[..., Carried]
"""Makes a bus over some servers for the log under test; it is closed when the test ends."""


@asynccontextmanager
async def carried(log: ServedLog, servers: Sequence[NatsServer], *, name: str) -> AsyncIterator[Carried]:
    """Carry a log over JetStream for as long as the test runs."""
    bus = Carried(log, servers, name=name)
    bus.start_relay()
    try:
        yield bus
    finally:
        await bus.close()
