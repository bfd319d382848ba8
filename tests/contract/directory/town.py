"""The directory served on a real port, and a second server that knows it from the log alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc.aio
from sqlalchemy import MetaData

from services.leads.domain.errors import EtagStale, TenantUnknown
from services.leads.rpc.directory_policy import DIRECTORY_ITEMS, DIRECTORY_POLICY
from services.leads.rpc.directory_refusals import directory_refusal_of
from services.leads.rpc.directory_servicer import DirectoryServicer
from services.leads.store.directory import Directories, DirectoryStore, Tables
from services.leads.store.directory_schema import define_tables as define_directory_tables
from services.leads.usecases.bootstrap import bootstrap, token_file
from smarketing import wallclock
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1.directory_pb2_grpc import (
    DirectoryServiceStub,
    add_DirectoryServiceServicer_to_server,
)
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.directory import DirectoryKeeper, DirectoryReadiness
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.reading import ensure_identity
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.tables import define_tables as define_log_tables
from smarketing.server.admission import Admission
from smarketing.server.auth import Authenticator, Role
from smarketing.server.bootstrap import RunningServer, Servicer, start_server
from smarketing.server.commands import define_commands
from smarketing.server.directory import define_directory
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.errors import Refusal
from smarketing.server.paging import PageTokens
from smarketing.server.policy import Allow, Policy
from smarketing.server.refusals import library_refusal_of
from smarketing.server.settings import ServerConfig
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Limits, Validator
from smarketing.sql import Database, Writer, open_database
from tests.builders.engines import engine
from tests.builders.stores import a_url

_LOG = "/smarketing.api.eventlog.v1.EventLogService"
LOG_POLICY: Policy = {
    f"{_LOG}/ReadEvents": Allow(Role.SERVICE, Role.OPERATOR),
    f"{_LOG}/WatchEvents": Allow(Role.SERVICE, Role.OPERATOR, tenant_from="start.parent"),
}


def metadata_of(bearer: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {bearer}"),)


def refusal_of(error: BaseException) -> Refusal | None:
    match error:
        case EtagStale():
            return Refusal(grpc.StatusCode.ABORTED, "ETAG_STALE", str(error))
        case TenantUnknown():
            return Refusal(grpc.StatusCode.NOT_FOUND, "TENANT_UNKNOWN", str(error))
    return directory_refusal_of(error) or library_refusal_of(error)


def an_edge(authenticator: Authenticator, draining: Draining) -> Edge:
    return Edge(
        authenticator=authenticator,
        admission=Admission(),
        telemetry=Telemetry(),
        draining=draining,
        validator=Validator(Limits(items_of=DIRECTORY_ITEMS)),
        refusal_of=refusal_of,
    )


@dataclass
class Town:
    data_dir: Path
    database: Database
    writer: Writer
    tables: Tables
    store: DirectoryStore
    keeper: DirectoryKeeper
    running: RunningServer
    stub: DirectoryServiceStub
    channel: grpc.aio.Channel

    def token(self, system: str = "operator") -> str:
        return token_file(self.data_dir, system).read_text().strip()

    @property
    def operator(self) -> tuple[tuple[str, str], ...]:
        return metadata_of(self.token())


def open_store(
    database: Database, now: Callable[[], datetime] = wallclock.utc_now
) -> tuple[Writer, Tables, DirectoryStore]:
    metadata = MetaData()
    tables = Tables(
        directory=define_directory_tables(metadata),
        mirror=define_directory(metadata),
        commands=define_commands(metadata),
    )
    define_log_tables(metadata)
    with database.writer_engine.begin() as connection:
        metadata.create_all(connection)
        ensure_identity(connection, new_log_id=wallclock.new_uuid)
    writer = Writer(database, now=now)
    return writer, tables, DirectoryStore(writer, tables, Directories(tables.directory))


@asynccontextmanager
async def a_town(
    data_dir: Path, *, now: Callable[[], datetime] = wallclock.utc_now, url: str = ""
) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        database = stack.enter_context(open_database(url or stack.enter_context(a_url())))
        writer, tables, store = open_store(database, now)
        await stack.enter_async_context(writer)
        await bootstrap(store, data_dir)
        authenticator = Authenticator(now=now)
        keeper = DirectoryKeeper(tables.mirror, writer, authenticator)
        await keeper.load()
        draining = Draining()
        running = await start_server(
            ServerConfig(grpc_engine=engine()),
            edge=an_edge(authenticator, draining),
            draining=draining,
            policy={**DIRECTORY_POLICY, **LOG_POLICY},
            servicers=[
                Servicer(
                    add_DirectoryServiceServicer_to_server,
                    DirectoryServicer(store, keeper, PageTokens(b"secret")),
                ),
                Servicer(add_EventLogServiceServicer_to_server, EventLogServicer(writer, draining=draining)),
            ],
        )
        stack.push_async_callback(running.drain)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{running.port}"))
        stub = DirectoryServiceStub(channel)
        yield Town(data_dir, database, writer, tables, store, keeper, running, stub, channel)


PAYLOAD_TYPES = [message.full_name for message in leadeventspb.DESCRIPTOR.message_types_by_name.values()]


@dataclass
class Follower:
    """Another service: it knows the directory from the log alone."""

    authenticator: Authenticator
    consumer: Consumer
    ready: DirectoryReadiness

    def judge(self, bearer: str) -> Any:
        return self.authenticator.caller_of_header(f"Bearer {bearer}")


@asynccontextmanager
async def a_follower(town: Town, *, batch_events: int = 500) -> AsyncIterator[Follower]:
    """Follow the town's log into a database of its own."""
    async with AsyncExitStack() as stack:
        metadata = MetaData()
        mirror = define_directory(metadata)
        define_log_tables(metadata)
        database = stack.enter_context(open_database(stack.enter_context(a_url())))
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
        writer = await stack.enter_async_context(Writer(database, now=wallclock.utc_now))
        authenticator = Authenticator()
        keeper = DirectoryKeeper(mirror, writer, authenticator, consumer="leads")
        peer = town.token("sla")
        consumer = Consumer(
            "leads",
            feed=Feed(town.channel, name="sla", metadata=lambda: metadata_of(peer)),
            writer=writer,
            apply=lambda connection, events, _now: keeper.fold(connection, events),
            payload_types=PAYLOAD_TYPES,
            now=wallclock.utc_now,
            batch_events=batch_events,
        )
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(consumer.run()), group.create_task(keeper.run())]
            try:
                ready = DirectoryReadiness(keeper, consumer, authenticator, monotonic=wallclock.monotonic)
                yield Follower(authenticator, consumer, ready)
            finally:
                for task in tasks:
                    task.cancel()


async def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Return once the condition holds; fail when it does not within the time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what is waited for says nothing by itself
            await asyncio.sleep(0.01)


def a_directory_message(**changes: Any) -> directorypb.Directory:
    """Return a small directory of the tenant `acme`."""
    tenant = "tenants/acme"
    fields: dict[str, Any] = {
        "time_zone": "Asia/Seoul",
        "region_code": "KR",
        "currency_code": "KRW",
        "teams": [
            directorypb.Team(name=f"{tenant}/teams/sales", party=2, manager=f"{tenant}/people/kim"),
            directorypb.Team(name=f"{tenant}/teams/marketing", party=1),
        ],
        "people": [
            directorypb.Person(
                name=f"{tenant}/people/kim",
                display_name="Kim Minji",
                roles=[directorypb.ROLE_SALES_MANAGER, directorypb.ROLE_SALES_REP],
                team=f"{tenant}/teams/sales",
            ),
            directorypb.Person(
                name=f"{tenant}/people/moon",
                display_name="Moon Sora",
                roles=[directorypb.ROLE_MARKETING_MANAGER],
                team=f"{tenant}/teams/marketing",
            ),
        ],
        "systems": [
            directorypb.System(name=f"{tenant}/systems/form", roles=[directorypb.ROLE_MARKETING_SPECIALIST])
        ],
        "queues": [directorypb.Queue(name=f"{tenant}/queues/inbound", team=f"{tenant}/teams/sales")],
        "routing": directorypb.Routing(
            fallback_queue=f"{tenant}/queues/inbound",
            rules=[
                directorypb.RoutingRule(
                    rule_id="all", members=[directorypb.RoutingMember(person=f"{tenant}/people/kim")]
                )
            ],
        ),
    }
    return directorypb.Directory(**{**fields, **changes})


def an_apply(
    directory: directorypb.Directory | None = None, **fields: Any
) -> directorypb.ApplyDirectoryRequest:
    return directorypb.ApplyDirectoryRequest(
        **{
            "parent": "tenants/acme",
            "request_id": wallclock.new_uuid(),
            "directory": a_directory_message() if directory is None else directory,
            **fields,
        }
    )
