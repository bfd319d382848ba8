"""Fixtures: a served log, a channel to it, and a database beside it that follows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.consumer import Consumer, EventSource
from smarketing.eventlog.feed import Feed
from smarketing.sql import Database, Writer
from tests.builders.nats_servers import NatsServer
from tests.contract.bus.carriers import FEED, ABus, Bus, Carried, FeedAlone, carried
from tests.contract.bus.followers import Make, Noted
from tests.contract.bus.served_log import KNOWN, NOON, OTHER_LOG_ID, ServedLog, a_database, keep


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[ServedLog]:
    log = ServedLog(tmp_path)
    await log.start()
    yield log
    await log.close()


@pytest.fixture
async def channel(log: ServedLog) -> AsyncIterator[grpc.aio.Channel]:
    async with log.channel() as channel:
        yield channel


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Database]:
    with a_database(tmp_path, "follower", log_id=OTHER_LOG_ID) as database:
        yield database


@pytest.fixture
async def follower_writer(follower: Database) -> AsyncIterator[Writer]:
    async with Writer(follower, now=lambda: NOON) as writer:
        yield writer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def bus(request: pytest.FixtureRequest, log: ServedLog) -> AsyncIterator[Bus]:
    """What carries the log: the feed alone, or, for who asks for `BOTH`, JetStream as well."""
    if getattr(request, "param", FEED) == FEED:
        yield FeedAlone()
        return
    server: NatsServer = request.getfixturevalue("nats_server")
    async with carried(log, [server], name="reports") as bus:
        yield bus


@pytest.fixture
async def a_bus(log: ServedLog) -> AsyncIterator[ABus]:
    made: list[Carried] = []

    def a_bus(servers: Sequence[NatsServer], **settings: Any) -> Carried:
        made.append(Carried(log, servers, **settings))
        return made[-1]

    yield a_bus
    for bus in made:
        await bus.close()


@pytest.fixture
def make(channel: grpc.aio.Channel, follower_writer: Writer, bus: Bus) -> Make:
    def make(
        apply: Callable[[Connection, Sequence[eventlogpb.Event], datetime], None] = keep,
        *,
        feed: EventSource | None = None,
        observer: Noted | None = None,
        batch_events: int = 500,
        max_attempts: int = 8,
        rest_seconds: float | None = None,
    ) -> Consumer:
        return Consumer(
            "reports.leads",
            feed=feed or bus.source(Feed(channel, name="reports.leads")),
            writer=follower_writer,
            apply=apply,
            payload_types=[KNOWN],
            now=lambda: NOON,
            observer=observer,
            batch_events=batch_events,
            max_attempts=max_attempts,
            rest_seconds=rest_seconds,
        )

    return make


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep expected complaints out of the output, and their rendering out of the time."""
    with capture_logs():
        yield


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncIterator[None]:
    """Every task of ours ends with the test that began it."""
    yield
    leftovers = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [task for task in leftovers if "smarketing" in repr(task.get_coro())], leftovers
