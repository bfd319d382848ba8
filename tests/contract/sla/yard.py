"""Sla as it runs, following a leads log that is served for it, and asked over its own port."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy import Connection, MetaData

from services.sla.__main__ import Process, a_process
from services.sla.config import SlaConfig
from smarketing import wallclock
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1.sla_pb2_grpc import SlaServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.tables import define_tables
from smarketing.server.auth import issue_token
from smarketing.server.draining import Draining
from smarketing.sql import Database, Writer
from tests.builders.engines import engine
from tests.builders.kept import a_lasting_url
from tests.builders.sla_engine import MONDAY_NINE, SALES, SALES_MANAGER, TENANT

PEOPLE = {
    "rep": directorypb.ROLE_SALES_REP,
    "other-rep": directorypb.ROLE_SALES_REP,
    "sales-manager": directorypb.ROLE_SALES_MANAGER,
    "marketing-manager": directorypb.ROLE_MARKETING_MANAGER,
    "leader": directorypb.ROLE_LEADERSHIP,
}


@dataclass
class Yard:
    """The process, a leads log to write to, and stubs; `now` is turned by hand."""

    now: datetime = MONDAY_NINE
    position: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    config: SlaConfig = field(init=False)
    process: Process = field(init=False)
    leads: Writer = field(init=False)
    stub: Any = field(init=False)
    _requests: int = 0
    _running: AsyncExitStack = field(init=False)

    async def start(self) -> None:
        """Start the process, and connect to it."""
        self._running = AsyncExitStack()
        self.process = await self._running.enter_async_context(a_process(self.config, now=lambda: self.now))
        for task in self.process.background:
            if task.name in ("lease", "leads", "directory", "http"):
                run_beside(self._running, task.run())
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.process.running.port}")
        self.stub = SlaServiceStub(await self._running.enter_async_context(channel))

    async def stop(self) -> None:
        """End the process."""
        await self._running.aclose()

    def task(self, name: str) -> Any:
        """Return what runs as a background task, so that a test can turn it by hand."""
        running: Any = next(task.run for task in self.process.background if task.name == name)
        if isinstance(running, partial):  # what one replica alone does, wrapped in its lease
            (running,) = running.args
        return running.__self__

    async def tell(self, *told: tuple[str, Message]) -> None:
        """Record events in the leads log, and wait until they are taken in."""
        events = [
            NewEvent(
                tenant=TENANT, subject=subject, occur_time=self.now, actor="services/leads", payload=payload
            )
            for subject, payload in told
        ]

        def unit(connection: Connection, batches: Sequence[list[NewEvent]], now: datetime) -> list[None]:
            for batch in batches:
                append(connection, batch, now=now)
            return [None] * len(batches)

        await self.leads.run(unit, [events])
        self.position += len(events)
        await self.process.leads.wait_until(self.position)

    async def hire(self) -> None:
        """Make everybody known, each with a token."""
        party = termspb.PARTY_SALES
        told: list[tuple[str, Message]] = [
            (SALES, leadeventspb.TeamChanged(team=SALES, party=party, manager=SALES_MANAGER))
        ]
        for name, role in PEOPLE.items():
            person, token = f"{TENANT}/people/{name}", issue_token()
            self.tokens[name] = token.text
            told.append((person, leadeventspb.PersonChanged(person=person, roles=[role])))
            issued = leadeventspb.TokenIssued(
                token=f"{person}/tokens/{token.token_id}", principal=person, secret_hash=token.secret_hash
            )
            told.append((issued.token, issued))
        await self.tell(*told)
        await self.task("directory").load()

    def request_id(self) -> str:
        """Return an id that no request had before."""
        self._requests += 1
        return str(UUID(int=self._requests))

    def by(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata with which a person calls."""
        return (("authorization", f"Bearer {self.tokens[name]}"),)

    async def advance(self, **amount: float) -> None:
        """Turn the clock, and let the sweeper look."""
        self.now += timedelta(**amount)
        await self.process.sweeper.sweep()


@asynccontextmanager
async def a_yard(folder: Path, **settings: Any) -> AsyncIterator[Yard]:
    """Start everything on free ports."""
    yard = Yard()
    async with AsyncExitStack() as stack:
        port = await serve_log(stack, yard)
        yard.config = SlaConfig(
            listen="127.0.0.1:0",
            http_listen="127.0.0.1:0",
            grpc_engine=engine(),
            data_dir=folder,
            leads_address=f"127.0.0.1:{port}",
            webhook_loopback=True,
            **{
                "database_url": stack.enter_context(a_lasting_url("services.sla.store.migrations")),
                **settings,
            },
        )
        await yard.start()
        stack.push_async_callback(yard.stop)
        await yard.hire()
        yield yard


def run_beside(stack: AsyncExitStack, running: Coroutine[Any, Any, None]) -> None:
    """Run something until the stack ends."""
    task = asyncio.ensure_future(running)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


async def serve_log(stack: AsyncExitStack, yard: Yard) -> int:
    """Serve a leads log that the yard writes to; return the port."""
    database = stack.enter_context(Database.in_memory())
    metadata = MetaData()
    define_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        ensure_identity(connection, new_log_id=wallclock.new_uuid)
    yard.leads = await stack.enter_async_context(Writer(database, now=lambda: yard.now))
    servicer = EventLogServicer(yard.leads, draining=Draining())
    stack.callback(servicer.close)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_EventLogServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, None)
    return port
