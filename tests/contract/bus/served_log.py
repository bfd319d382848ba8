"""A log that is served over a real server, and what a follower makes of it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sqlalchemy import Connection, MetaData

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.eventlog.feed import CHANNEL_OPTIONS
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.tables import define_tables
from smarketing.server.draining import Draining
from smarketing.server.errors import Refusal, trailers_of
from smarketing.sql import Database, Writer, open_database

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOG_ID = "6f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c11"
OTHER_LOG_ID = "7f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c22"
KNOWN = "google.protobuf.StringValue"


def a_database(folder: Path, name: str, *, log_id: str = LOG_ID) -> Database:
    database = open_database(f"sqlite:///{folder}/{name}.db", check=False)
    metadata = MetaData()
    define_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS seen"
            " (number INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER, content TEXT)"
        )
        ensure_identity(connection, new_log_id=lambda: log_id)
    return database


class RefusingServicer(EventLogServicer):
    """The servicer, with refusals put on the wire as the server's edge does, and noted."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.refusals: list[Refusal] = []
        self.refused = asyncio.Event()

    async def ReadEvents(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the contract's name
        try:
            return await super().ReadEvents(request, context)
        except Refusal as refusal:
            await context.abort(refusal.code, refusal.message, trailers_of(refusal))

    async def WatchEvents(  # type: ignore[override]  # noqa: N802 -- as in the servicer
        self, request_iterator: Any, context: Any
    ) -> None:
        try:
            await super().WatchEvents(request_iterator, context)
        except Refusal as refusal:
            self.refusals.append(refusal)
            self.refused.set()
            await context.abort(refusal.code, refusal.message, trailers_of(refusal))


class ServedLog:
    """A log and the server that serves it; the server can go away and come back on its port."""

    def __init__(
        self,
        folder: Path,
        *,
        log_id: str = LOG_ID,
        bookmark_seconds: float = 5.0,
        now: datetime = NOON,
        database: Database | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.database = database or a_database(folder, f"log-{log_id[:4]}", log_id=log_id)
        self.writer = Writer(self.database, now=lambda: now)
        self.port = 0
        self.watches_begun = 0
        self._watch_begun = asyncio.Event()
        self.reads = 0
        self.write_seconds = 30.0
        self._bookmark_seconds = bookmark_seconds
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Serve, on the port of last time."""
        self.draining = Draining()
        log = self

        class Counting(RefusingServicer):
            async def WatchEvents(  # type: ignore[override]  # noqa: N802 -- as in the servicer
                self, request_iterator: Any, context: Any
            ) -> None:
                log.watches_begun += 1
                log._watch_begun.set()
                await super().WatchEvents(request_iterator, context)

            async def ReadEvents(self, request: Any, context: Any) -> Any:  # noqa: N802 -- the contract's name
                log.reads += 1
                return await super().ReadEvents(request, context)

        self.servicer = Counting(
            self.writer,
            draining=self.draining,
            bookmark_seconds=self._bookmark_seconds,
            write_seconds=self.write_seconds,
        )
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_EventLogServiceServicer_to_server(self.servicer, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Go away at once."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
            self.servicer.close()

    async def close(self) -> None:
        """End everything."""
        await self.stop()
        await self.writer.close()
        self.database.close()

    def channel(self) -> grpc.aio.Channel:
        """Return a channel to the server."""
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=CHANNEL_OPTIONS)

    async def watched(self, times: int) -> None:
        """Return when so many watches have ever begun."""
        while self.watches_begun < times:
            self._watch_begun.clear()
            await self._watch_begun.wait()

    async def record(self, *contents: str | int, skippable: bool = False, tenant: str = "acme") -> None:
        """Append one event for each content; a number makes one of a type that nobody knows."""
        await self.writer.run(self._append, [(content, skippable, tenant) for content in contents])

    async def tell(self, payload: Message, *, tenant: str) -> None:
        """Append an event of a payload of one's own."""

        def append_it(connection: Connection, requests: Sequence[None], now: datetime) -> Sequence[None]:
            tenant_name = f"tenants/{tenant}"
            event = NewEvent(
                tenant=tenant_name,
                subject=f"{tenant_name}/x",
                occur_time=now,
                actor="people/kim",
                payload=payload,
            )
            append(connection, [event], now=now)
            return requests

        await self.writer.run(append_it, [None])

    @staticmethod
    def _append(
        connection: Connection, contents: Sequence[tuple[str | int, bool, str]], now: datetime
    ) -> Sequence[object]:
        events = [
            NewEvent(
                tenant=f"tenants/{tenant}",
                subject=f"tenants/{tenant}/leads/{str(content)[:20]}",
                occur_time=now - timedelta(minutes=1),
                actor="people/kim",
                payload=StringValue(value=content) if isinstance(content, str) else Int64Value(value=content),
                skippable=skippable,
            )
            for content, skippable, tenant in contents
        ]
        append(connection, events, now=now)
        return contents


def keep(connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
    """Apply: remember position and content of each event."""
    for event in events:
        connection.exec_driver_sql(
            "INSERT INTO seen (position, content) VALUES (?, ?)",
            (event.position, StringValue.FromString(event.payload.value).value),
        )


def seen(database: Database) -> list[tuple[int, str]]:
    """Return what `keep` remembered, in the order in which it was applied."""
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT position, content FROM seen ORDER BY number").all()
    return [(row[0], row[1]) for row in rows]
