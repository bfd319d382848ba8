"""The reports process: `python -m services.reports`. Builds everything, and nothing else does."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Final

import grpc
import grpc.aio

from services.reports.config import ReportsConfig
from services.reports.consumers import lead_events, sla_events
from services.reports.consumers.replay import LogReplay
from services.reports.domain.periods import micros_of
from services.reports.rpc.input_servicer import InputServicer
from services.reports.rpc.month_ending import MonthEndKeeper
from services.reports.rpc.policy import POLICY, own_side_of
from services.reports.rpc.refusals import refusal_of
from services.reports.rpc.servicer import ReportServicer
from services.reports.store.database import SCHEMA
from services.reports.store.figures import Figures
from services.reports.store.fold import Folded, ReadModel
from services.reports.store.listings import Listings
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.month_ends import MonthEnds
from services.reports.store.queries import Queries
from services.reports.store.snapshots import SNAPSHOT_FOLDER, Snapshots
from services.reports.usecases.past_states import PastStates
from services.reports.usecases.snapshot_keeping import SnapshotKeeper, SnapshotPace
from services.reports.web.dashboard import Access, dashboard
from services.reports.web.freshness import Freshness, HeardSource
from services.reports.web.metrics import FoldObserver, ReportMetrics
from services.reports.web.reading import Reader
from smarketing import wallclock
from smarketing.api.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.reports.v1.inputs_pb2_grpc import add_InputServiceServicer_to_server
from smarketing.api.reports.v1.reports_pb2_grpc import add_ReportServiceServicer_to_server
from smarketing.businesstime import tzdata_version
from smarketing.config import ConfigInvalid, read_config
from smarketing.eventlog.bus import EventBus, open_bus
from smarketing.eventlog.checkpoints import Checkpoint
from smarketing.eventlog.consumer import Apply, Consumer
from smarketing.eventlog.directory import DirectoryKeeper, DirectoryReadiness
from smarketing.eventlog.feed import CHANNEL_OPTIONS, Feed
from smarketing.eventlog.group import ConsumerGroup, Make, folding_writer
from smarketing.eventlog.partitions import Partition, partitions
from smarketing.eventlog.reading import ensure_identity, last_record_time
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.telemetry import read_places
from smarketing.logs import configure_logs, get_log
from smarketing.server.admission import Admission, AdmissionLimits
from smarketing.server.audit_servicer import AuditServicer
from smarketing.server.auth import Authenticator
from smarketing.server.bootstrap import BackgroundTask, RunningServer, Servicer, serve, start_server
from smarketing.server.denials import DenialRecorder
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.gauges import DatabaseGauges
from smarketing.server.http import HttpHost, Room, http_app, sessions_in
from smarketing.server.keys import load_or_make_key
from smarketing.server.paging import PageTokens
from smarketing.server.peers import peer_channel
from smarketing.server.readiness import StorageReadiness
from smarketing.server.replicas import Replicas
from smarketing.server.starting import Opened, Store, started, status_of
from smarketing.server.storage_telemetry import StorageTelemetry, engine_version
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator
from smarketing.sql import Connection, Database, Writer

__all__ = ["Process", "a_process", "main"]

_log = get_log(__name__)

_MIGRATIONS: Final = "services.reports.store.migrations"
_CONSUMER_OF_LEADS: Final = "reports.leads"
_CONSUMER_OF_SLA: Final = "reports.sla"
_FOLLOWED: Final = {_CONSUMER_OF_LEADS: "leads", _CONSUMER_OF_SLA: "sla"}
_EXIT_CONFIG: Final = 78


@dataclass(frozen=True, slots=True)
class Process:
    """A built process: listening, and not ready before its background tasks run."""

    running: RunningServer
    http: HttpHost
    writer: Writer
    figures: Figures
    metrics: ReportMetrics
    leads: ConsumerGroup
    sla: ConsumerGroup
    authenticator: Authenticator
    snapshots: SnapshotKeeper
    month_ends: MonthEndKeeper
    background: Sequence[BackgroundTask]
    ready: StorageReadiness


@dataclass(frozen=True, slots=True)
class Stored:
    """The database, its writer, the one that consumers fold with, and the revision of the schema."""

    database: Database
    writer: Writer
    folding: Writer
    schema: str


@asynccontextmanager
async def a_process(
    config: ReportsConfig, *, now: Callable[[], datetime] | None = None
) -> AsyncIterator[Process]:
    """Open the database, start to listen, and give what runs; everything is closed at the end."""
    identify = partial(ensure_identity, new_log_id=wallclock.new_uuid)
    async with AsyncExitStack() as stack:
        yield await started(
            partial(_stored, config, now),
            stack,
            config=config,
            store=Store(config.database_of("reports"), _MIGRATIONS, identify),
            policy=POLICY,
        )


async def _stored(
    config: ReportsConfig, now: Callable[[], datetime] | None, stack: AsyncExitStack, opened: Opened
) -> Process:
    database, telemetry = opened.database, Telemetry()
    # Where a server holds the database, its clock decides for all replicas.
    now = now or database.clock(wallclock.utc_now)
    observer = StorageTelemetry(telemetry.registry)
    writer = await stack.enter_async_context(
        Writer(database, now=now, observer=observer, not_before=last_record_time)
    )
    observer.watch(writer)
    telemetry.build(
        version=version("smarketing"),
        schema=opened.schema,
        tzdata=tzdata_version(),
        sqlite=engine_version(database),
    )
    folding = await folding_writer(
        stack, writer, config.partitions, now=now, observer=observer, not_before=last_record_time
    )
    stored = Stored(database, writer, folding, opened.schema)
    return await _built(config, stack, telemetry, stored, now)


async def _built(
    config: ReportsConfig,
    stack: AsyncExitStack,
    telemetry: Telemetry,
    stored: Stored,
    now: Callable[[], datetime],
) -> Process:
    writer = stored.writer
    authenticator = Authenticator(now=now)
    keeper = DirectoryKeeper(SCHEMA.directory, writer, authenticator, consumer=_CONSUMER_OF_LEADS)
    replicas = Replicas(
        writer, holder=wallclock.new_uuid(), monotonic=wallclock.monotonic, partitions=config.partitions
    )
    model = ReadModel(SCHEMA.reports)
    figures = Figures(Queries(SCHEMA.reports))
    observer, freshness = FoldObserver(telemetry.registry, _FOLLOWED), Freshness(now)
    members = {
        part.named_on_the_bus(consumer): log
        for consumer, log in _FOLLOWED.items()
        for part in partitions(config.partitions)
    }
    bus = await open_bus(
        config.event_bus, stack, service="reports", registry=telemetry.registry, followed=members
    )
    leads, sla = await _consumers(
        config,
        stack,
        stored,
        bus=bus,
        model=model,
        keeper=keeper,
        observer=observer,
        freshness=freshness,
        now=now,
    )
    denials = DenialRecorder(
        SCHEMA.commands.audit, writer, succeeded=lambda: telemetry.task_succeeded("denials")
    )
    metrics = ReportMetrics(
        telemetry.registry,
        writer,
        figures,
        tenants=config.metric_tenants,
        now=now,
        succeeded=lambda: telemetry.task_succeeded("metrics"),
    )
    gauges = DatabaseGauges(
        telemetry.registry,
        writer,
        [partial(read_places, log="reports", followed=_FOLLOWED)],
        succeeded=lambda: telemetry.task_succeeded("gauges"),
    )
    snapshots = _snapshots(config, stored)
    past = await _past(config, stack, writer, model=model, snapshots=snapshots)
    copying = SnapshotKeeper(
        writer,
        stored.database,
        figures.queries,
        snapshots,
        SnapshotPace(timedelta(hours=config.snapshot_hours), config.snapshot_events),
        now=now,
        succeeded=lambda: telemetry.task_succeeded("snapshots"),
    )
    month_ends = MonthEndKeeper(
        writer,
        figures,
        MonthEnds(SCHEMA.reports.month_end, SCHEMA.reports.tenant_setting),
        complete_until=freshness.complete_until,
        now=now,
        succeeded=lambda: telemetry.task_succeeded("month_ends"),
    )
    running = await _listening(
        config,
        stack,
        telemetry=telemetry,
        writer=writer,
        figures=figures,
        past=past,
        authenticator=authenticator,
        denials=denials,
        now=now,
    )
    pages = dashboard(
        writer,
        Reader(figures, Listings(SCHEMA.reports)),
        access=Access(POLICY, own_side_of),
        now=now,
        age=freshness.age,
        past=past,
    )
    app = http_app(
        config,
        registry=telemetry.registry,
        authenticator=authenticator,
        sessions=sessions_in(config.data_dir, authenticator),
        rooms=[Room("", pages)],
    )
    http = HttpHost(config, app)
    return Process(
        running=running,
        http=http,
        writer=writer,
        figures=figures,
        metrics=metrics,
        leads=leads,
        sla=sla,
        authenticator=authenticator,
        snapshots=copying,
        month_ends=month_ends,
        ready=StorageReadiness(
            writer, DirectoryReadiness(keeper, leads, authenticator, monotonic=wallclock.monotonic)
        ),
        background=(
            BackgroundTask("directory", keeper.run),
            *replicas.tasks(),
            replicas.following("leads", leads),
            replicas.following("sla", sla),
            BackgroundTask("denials", denials.run),
            BackgroundTask("metrics", metrics.run),
            BackgroundTask("gauges", gauges.run),
            BackgroundTask("snapshots", copying.run),
            BackgroundTask("month_ends", month_ends.run),
            BackgroundTask("past_states", past.run),
            BackgroundTask("loop_lag", telemetry.measure_loop_lag),
            BackgroundTask("http", http.run),
        ),
    )


async def _consumers(
    config: ReportsConfig,
    stack: AsyncExitStack,
    stored: Stored,
    *,
    bus: EventBus,
    model: ReadModel,
    keeper: DirectoryKeeper,
    observer: FoldObserver,
    freshness: Freshness,
    now: Callable[[], datetime],
) -> tuple[ConsumerGroup, ConsumerGroup]:
    channels = {
        "leads": await _channel(config, stack, config.leads_address),
        "sla": await _channel(config, stack, config.sla_address),
    }

    def consumer(name: str, partition: Partition, apply: Apply, payload_types: Collection[str]) -> Consumer:
        log, on_the_bus = _FOLLOWED[name], partition.named_on_the_bus(name)
        feed = Feed(channels[log], name=partition.member_of(name), metadata=lambda: _credentials(config))
        heard = HeardSource(
            bus.source(feed, log=log, consumer=on_the_bus), partition.member_of(log), freshness
        )
        return Consumer(
            name,
            feed=heard,
            writer=stored.folding,
            apply=apply,
            payload_types=payload_types,
            now=now,
            batch_events=config.fold_batch_events,
            observer=observer,
            partition=partition,
        )

    def of_leads(partition: Partition) -> Consumer:
        events = lead_events.LeadEvents(model, keeper.fold, partition)
        return consumer(_CONSUMER_OF_LEADS, partition, events.apply, lead_events.PAYLOAD_TYPES)

    def of_sla(partition: Partition) -> Consumer:
        events = sla_events.SlaEvents(model, MarketingQuotas(SCHEMA.reports), partition)
        return consumer(_CONSUMER_OF_SLA, partition, events.apply, sla_events.PAYLOAD_TYPES)

    def group(name: str, make: Make) -> ConsumerGroup:
        log = _FOLLOWED[name]

        def divided(connection: Connection, at: Checkpoint) -> None:
            whole = None
            if at.record_time is not None:
                whole = Folded(log, at.log_id, at.position, micros_of(at.record_time))
            model.divided_at(connection, whole, log)

        for part in partitions(config.partitions):
            freshness.expect(part.member_of(log))
        return ConsumerGroup(name, make, writer=stored.writer, count=config.partitions, divided=divided)

    return group(_CONSUMER_OF_LEADS, of_leads), group(_CONSUMER_OF_SLA, of_sla)


def _snapshots(config: ReportsConfig, stored: Stored) -> Snapshots:
    return Snapshots(
        config.data_dir / SNAPSHOT_FOLDER, schema=stored.schema, most_bytes=config.snapshot_bytes
    )


async def _past(
    config: ReportsConfig, stack: AsyncExitStack, writer: Writer, *, model: ReadModel, snapshots: Snapshots
) -> PastStates:
    sources = {
        service: _views(config, await _channel(config, stack, address), service)
        for service, address in (("leads", config.leads_address), ("sla", config.sla_address))
    }
    past = PastStates(
        writer,
        SCHEMA.reports,
        snapshots=snapshots,
        replay=LogReplay(model, sources),
        folder=config.data_dir / "reports-past",
        monotonic=wallclock.monotonic,
    )
    stack.push_async_callback(past.close)
    return past


def _views(config: ReportsConfig, channel: grpc.aio.Channel, service: str) -> Callable[[str], Feed]:
    return lambda view: Feed(
        channel, name=f"reports.past.{service}", view=view, metadata=lambda: _credentials(config)
    )


async def _channel(config: ReportsConfig, stack: AsyncExitStack, address: str) -> grpc.aio.Channel:
    channel = peer_channel(config, address, options=CHANNEL_OPTIONS)
    await stack.enter_async_context(channel)
    return channel


def _credentials(config: ReportsConfig) -> tuple[tuple[str, str], ...]:
    """Return the credentials as they are now: leads may replace the token, or not have written it yet."""
    if config.service_token is not None:
        return (("authorization", f"Bearer {config.service_token.reveal()}"),)
    path = config.data_dir / "tokens" / "reports.token"
    if not path.is_file():
        return ()
    return (("authorization", f"Bearer {path.read_text(encoding='utf-8').strip()}"),)


async def _listening(
    config: ReportsConfig,
    stack: AsyncExitStack,
    *,
    telemetry: Telemetry,
    writer: Writer,
    figures: Figures,
    past: PastStates,
    authenticator: Authenticator,
    denials: DenialRecorder,
    now: Callable[[], datetime],
) -> RunningServer:
    draining = Draining()
    pages = PageTokens(load_or_make_key(config.data_dir / "reports-pages.key"))
    edge = Edge(
        authenticator=authenticator,
        admission=Admission(
            AdmissionLimits(
                unary_in_flight=config.unary_in_flight,
                streams_in_flight=config.streams_in_flight,
                streams_per_principal=config.streams_per_principal,
                tenant_calls_per_second=config.tenant_calls_per_second,
                tenant_burst=config.tenant_burst,
            )
        ),
        telemetry=telemetry,
        draining=draining,
        validator=Validator(),
        refusal_of=refusal_of,
        note_denial=denials.note,
        access_log=config.access_log,
    )
    event_log = EventLogServicer(writer, draining=draining)
    stack.callback(event_log.close)
    running = await start_server(
        config,
        edge=edge,
        draining=draining,
        policy=POLICY,
        servicers=[
            Servicer(
                add_ReportServiceServicer_to_server,
                ReportServicer(writer, figures, past, now=now, pages=pages),
            ),
            Servicer(
                add_InputServiceServicer_to_server, InputServicer(writer, figures, now=now, pages=pages)
            ),
            Servicer(add_EventLogServiceServicer_to_server, event_log),
            Servicer(add_AuditServiceServicer_to_server, AuditServicer(SCHEMA.commands.audit, writer, pages)),
        ],
    )
    stack.push_async_callback(running.drain)
    return running


async def _run(config: ReportsConfig) -> None:
    async with a_process(config) as process:
        _log.info("reports_started", port=process.running.port, http_port=process.http.port)
        await serve(process.running, background=process.background, ready=process.ready)


def main() -> int:
    """Serve until told to stop, and return the exit status."""
    try:
        config = read_config(ReportsConfig, os.environ)
    except ConfigInvalid as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_CONFIG
    configure_logs(config.log_format, level=config.log_level)
    return status_of("reports", _run(config), refused=_EXIT_CONFIG)


if __name__ == "__main__":
    sys.exit(main())
