"""Replicas of one service that follow a log into one PostgreSQL, as far as that goes."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, MetaData, text

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import list_group
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.group import ConsumerGroup, folding_writer
from smarketing.eventlog.partitions import Partition
from smarketing.eventlog.reading import ensure_identity, last_record_time
from smarketing.eventlog.tables import define_tables
from smarketing.server.replicas import Replicas
from smarketing.sql import Database, Unobserved, Writer
from smarketing.sql.leases import define_leases
from tests.contract.bus.served_log import KNOWN, OTHER_LOG_ID


def prepare(database: Database) -> None:
    """Make the tables of a service that keeps what it has seen."""
    metadata = MetaData()
    define_tables(metadata)
    define_leases(metadata)
    with database.migrating() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE seen (number bigserial PRIMARY KEY, position bigint, content text)"
        )
        ensure_identity(connection, new_log_id=lambda: OTHER_LOG_ID)


def keep(connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
    """Apply: remember position and content of each event."""
    rows = [
        {"position": event.position, "content": StringValue.FromString(event.payload.value).value}
        for event in events
    ]
    connection.execute(text("INSERT INTO seen (position, content) VALUES (:position, :content)"), rows)


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is so."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 -- nothing tells of it
            await asyncio.sleep(0.02)


def places(database: Database) -> dict[str, int]:
    """Return the stored place of each member."""
    with database.reading() as connection:
        return {each.consumer: each.position for each in list_group(connection, "reports.leads")}


async def writers_of(stack: AsyncExitStack, database: Database, count: int) -> tuple[Writer, Writer]:
    """Return what a process writes with, and what it folds with where it follows so many parts."""
    now = wallclock.utc_now
    writer = await stack.enter_async_context(Writer(database, now=now))
    folding = await folding_writer(
        stack, writer, count, now=now, observer=Unobserved(), not_before=last_record_time
    )
    return writer, folding


class Replica:
    """A process of a service that follows a log in so many parts, as far as that goes."""

    def __init__(self, writer: Writer, folding: Writer, channel: grpc.aio.Channel, count: int) -> None:
        self.database, self.applied = writer.database, list[int]()
        self._channel, self._folding = channel, folding
        self.group = ConsumerGroup("reports.leads", self._made, writer=writer, count=count)
        self._replicas = Replicas(
            writer, holder=wallclock.new_uuid(), monotonic=wallclock.monotonic, partitions=count
        )
        self._tasks: list[asyncio.Future[None]] = []

    @property
    def held(self) -> int:
        """How many partitions it follows, by the leases that it trusts."""
        return sum(lease.held() for lease in self._replicas._shares.leases)

    def start(self) -> None:
        """Take part."""
        tasks = [*self._replicas.tasks(), self._replicas.following("leads", self.group)]
        self._tasks = [asyncio.ensure_future(task.run()) for task in tasks]

    async def stop(self) -> None:
        """End in order: leases are given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _made(self, partition: Partition) -> Consumer:
        return Consumer(
            "reports.leads",
            feed=Feed(self._channel, name=partition.member_of("reports.leads")),
            writer=self._folding,
            apply=self._apply,
            payload_types=[KNOWN],
            now=wallclock.utc_now,
            partition=partition,
        )

    def _apply(self, connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        self.applied += [event.position for event in events]
        keep(connection, events, now)
