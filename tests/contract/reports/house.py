"""Reports as it runs, following two logs that are served for it, and asked over its own port."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy import Connection, MetaData

from services.reports.__main__ import Process, a_process
from services.reports.config import ReportsConfig
from smarketing import wallclock
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.reports.v1.reports_pb2_grpc import ReportServiceStub
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.tables import define_tables
from smarketing.server.auth import issue_token
from smarketing.server.draining import Draining
from smarketing.sql import Database, Writer
from tests.builders.engines import engine
from tests.builders.kept import a_lasting_url
from tests.builders.reports import MONDAY, TENANT

NOW = MONDAY + timedelta(days=20)


class Peer:
    """A service of which only the log is there."""

    def __init__(self, writer: Writer, port: int) -> None:
        self._writer = writer
        self.port = port
        self.position = 0

    async def tell(self, *told: tuple[str, datetime, Message], tenant: str = TENANT) -> None:
        """Record events: subject, when it happened, and what."""
        events = [
            NewEvent(tenant=tenant, subject=subject, occur_time=time, actor="services/peer", payload=payload)
            for subject, time, payload in told
        ]

        def unit(connection: Connection, batches: Sequence[list[NewEvent]], now: datetime) -> list[None]:
            for batch in batches:
                append(connection, batch, now=now)
            return [None] * len(batches)

        await self._writer.run(unit, [events])
        self.position += len(events)


@dataclass
class House:
    """The process, its peers, and a stub for asking."""

    process: Process
    leads: Peer
    sla: Peer
    stub: ReportServiceStub
    tokens: dict[str, str] = field(default_factory=dict)

    async def hire(
        self, name: str, *roles: directorypb.Role.ValueType, tenant: str = TENANT, team: str = ""
    ) -> None:
        """Make a person with these roles known, with a token."""
        person, token = f"{tenant}/people/{name}", issue_token()
        self.tokens[name] = token.text
        await self.leads.tell(
            (person, MONDAY, leadeventspb.PersonChanged(person=person, roles=roles, team=team)),
            (
                f"{person}/tokens/{token.token_id}",
                MONDAY,
                leadeventspb.TokenIssued(
                    token=f"{person}/tokens/{token.token_id}", principal=person, secret_hash=token.secret_hash
                ),
            ),
            tenant=tenant,
        )

    async def settle(self) -> None:
        """Return once everything told is folded in and the directory is the newest."""
        await self.process.leads.wait_until(self.leads.position)
        await self.process.sla.wait_until(self.sla.position)
        directory = next(task for task in self.process.background if task.name == "directory")
        await directory.run.__self__.load()  # type: ignore[attr-defined]  # the keeper whose `run` it is

    def by(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata with which a person calls."""
        return (("authorization", f"Bearer {self.tokens[name]}"),)


@asynccontextmanager
async def a_house(folder: Path) -> AsyncIterator[House]:
    """Start everything on free ports."""
    async with AsyncExitStack() as stack:
        leads, sla = await _peer(stack), await _peer(stack)
        config = ReportsConfig(
            listen="127.0.0.1:0",
            http_listen="127.0.0.1:0",
            grpc_engine=engine(),
            data_dir=folder,
            leads_address=f"127.0.0.1:{leads.port}",
            sla_address=f"127.0.0.1:{sla.port}",
            database_url=stack.enter_context(a_lasting_url("services.reports.store.migrations")),
        )
        process = await stack.enter_async_context(a_process(config, now=lambda: NOW))
        for task in process.background:
            if task.name in ("lease", "leads", "sla", "directory", "http"):
                _run_beside(stack, task.run())
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{process.running.port}")
        )
        yield House(process, leads, sla, ReportServiceStub(channel))


def _run_beside(stack: AsyncExitStack, running: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(running)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def _peer(stack: AsyncExitStack) -> Peer:
    database = stack.enter_context(Database.in_memory())
    metadata = MetaData()
    define_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        ensure_identity(connection, new_log_id=wallclock.new_uuid)
    writer = await stack.enter_async_context(Writer(database, now=lambda: NOW))
    draining = Draining()
    servicer = EventLogServicer(writer, draining=draining)
    stack.callback(servicer.close)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_EventLogServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return Peer(writer, port)
