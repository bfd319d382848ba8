"""The leads process: `python -m services.leads`; `rotate-key` replaces its key while it is stopped."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from services.leads.config import LeadsConfig
from services.leads.consumers import sla_events
from services.leads.rpc.batch_room import BatchRoom
from services.leads.rpc.directory_policy import DIRECTORY_ITEMS
from services.leads.rpc.directory_servicer import DirectoryServicer
from services.leads.rpc.dispute_servicer import DisputeServicer
from services.leads.rpc.identity_servicer import IdentityServicer
from services.leads.rpc.intake_servicer import IntakeServicer
from services.leads.rpc.playbook_servicer import PlaybookServicer
from services.leads.rpc.policy import POLICY
from services.leads.rpc.privacy_servicer import PrivacyServicer
from services.leads.rpc.refusals import refusal_of
from services.leads.rpc.routing_servicer import RoutingServicer
from services.leads.rpc.scoring_servicer import ScoringServicer
from services.leads.rpc.searching import Searching
from services.leads.rpc.servicer import LeadServicer
from services.leads.rpc.tenant_servicer import TenantServicer, follow_limits, load_limits
from services.leads.rpc.work_servicer import WorkServicer
from services.leads.store.directory import Directories, DirectoryStore
from services.leads.store.intake import IntakeReading
from services.leads.store.journal import ErasureJournal
from services.leads.store.key_ring import load_keys
from services.leads.store.leads import LeadStore
from services.leads.store.old_copies import old_copies
from services.leads.store.rotation import RotationUnfinished, rotate
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.leads.store.write_back import opened_messages
from services.leads.usecases.bootstrap import bootstrap, token_file
from services.leads.usecases.fetching import Catalogue, Fetcher
from services.leads.usecases.forgetting import Forgetter
from services.leads.usecases.rescoring import Rescorer
from services.leads.usecases.sweeping import Sweeper
from services.leads.web.intake import IntakeEndpoint
from services.leads.web.metrics import BusinessMetrics
from services.leads.web.routing_metrics import RoutingMetrics
from smarketing import wallclock
from smarketing.api.audit.v1.audit_pb2_grpc import add_AuditServiceServicer_to_server
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import add_EventLogServiceServicer_to_server
from smarketing.api.leads.v1.directory_pb2_grpc import add_DirectoryServiceServicer_to_server
from smarketing.api.leads.v1.disputes_pb2_grpc import add_DisputeServiceServicer_to_server
from smarketing.api.leads.v1.identity_pb2_grpc import add_IdentityServiceServicer_to_server
from smarketing.api.leads.v1.intake_pb2_grpc import add_IntakeServiceServicer_to_server
from smarketing.api.leads.v1.leads_pb2_grpc import add_LeadServiceServicer_to_server
from smarketing.api.leads.v1.playbook_pb2_grpc import add_PlaybookServiceServicer_to_server
from smarketing.api.leads.v1.privacy_pb2_grpc import add_PrivacyServiceServicer_to_server
from smarketing.api.leads.v1.routing_pb2_grpc import add_RoutingServiceServicer_to_server
from smarketing.api.leads.v1.scoring_pb2_grpc import add_ScoringServiceServicer_to_server
from smarketing.api.leads.v1.search_pb2_grpc import add_LeadSearchServiceServicer_to_server
from smarketing.api.leads.v1.tenancy_pb2_grpc import add_TenantServiceServicer_to_server
from smarketing.api.leads.v1.work_pb2_grpc import add_WorkServiceServicer_to_server
from smarketing.businesstime import tzdata_version
from smarketing.config import ConfigInvalid, read_config
from smarketing.delivery import AddressPolicy, DeliveryTelemetry, Sender, SenderSettings, read_queue
from smarketing.delivery import Sealer as SecretSealer
from smarketing.eventlog.bus import EventBus, open_bus
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.group import ConsumerGroup
from smarketing.eventlog.reading import ensure_identity, last_record_time
from smarketing.eventlog.servicer import EventLogServicer
from smarketing.eventlog.telemetry import ConsumerTelemetry, read_places
from smarketing.logs import configure_logs, get_log
from smarketing.mapping.webhooks import WebhookMapping, read_webhook_mappings
from smarketing.mapping.yamltext import FileFaulty
from smarketing.server.admission import Admission, AdmissionLimits, TenantLimits
from smarketing.server.audit_servicer import AuditServicer
from smarketing.server.auth import Authenticator
from smarketing.server.bootstrap import BackgroundTask, RunningServer, Servicer, serve, start_server
from smarketing.server.denials import DenialRecorder
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.gauges import DatabaseGauges
from smarketing.server.http import HttpHost, Room, http_app, sessions_in
from smarketing.server.keys import load_or_make_key
from smarketing.server.listening import StartRefused
from smarketing.server.paging import PageTokens
from smarketing.server.peers import peer_channel
from smarketing.server.purging import purge_for_ever
from smarketing.server.readiness import StorageReadiness
from smarketing.server.replicas import Replicas
from smarketing.server.starting import Opened, Store, started, status_of
from smarketing.server.storage_telemetry import StorageTelemetry, engine_version
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Limits, Validator
from smarketing.sql import Writer, open_database
from smarketing.sql.migrate import migrate

_log = get_log(__name__)

_MIGRATIONS: Final = "services.leads.store.migrations"
_FOLLOWED: Final = {sla_events.CONSUMER: "sla"}
_FOLLOWER: Final = "leads.sla"
"""What the consumer is called on the bus, where services share the names."""
_BUSY: Final = ("SubmitLead", "AcceptOffer", "ClaimOffer", "LogFollowUp", "GetHandoff", "ListHandoffs")
"""What machines and every rep call all day long."""
_SHIPPED_MAPPINGS: Final = Path(__file__).parent / "web" / "mappings"


@dataclass(frozen=True, slots=True)
class Leads:
    """A started process, for whoever runs it: this module, or several in one process for a test."""

    running: RunningServer
    http: HttpHost
    background: tuple[BackgroundTask, ...]
    ready: Callable[[], bool]
    store: LeadStore


def main(arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> int:
    """Serve until told to stop, or rotate the key, and return the exit status."""
    run = {(): _serve, ("rotate-key",): _rotate_key}.get(tuple(arguments))
    if run is None:
        sys.stderr.write("usage: python -m services.leads [rotate-key]\n")
        return 2
    try:
        config = read_config(LeadsConfig, os.environ if environ is None else environ)
    except ConfigInvalid as invalid:
        sys.stderr.write(f"{invalid}\n")
        return 2
    configure_logs(config.log_format, level=config.log_level)
    return status_of("leads", run(config))


async def _rotate_key(config: LeadsConfig) -> None:
    keys = config.data_dir / "master.key"
    if not keys.exists():
        raise StartRefused(f"{keys} is not there: nothing was wrapped with it")
    with open_database(config.url) as database:
        migrate(database, _MIGRATIONS)
        try:
            wrapped = rotate(database, keys, old_copies(database))
        except RotationUnfinished:
            raise StartRefused("somebody reads the database's file; rotate again to finish") from None
    _log.info("wrapping_key_rotated", keys=wrapped)


async def _serve(config: LeadsConfig) -> None:
    async with AsyncExitStack() as stack:
        leads = await start(config, stack)
        _log.info("server_started", service="leads", port=leads.running.port, http_port=leads.http.port)

        async def ready() -> bool:
            return leads.ready()

        storage = StorageReadiness(leads.store.writer, ready)
        await serve(leads.running, background=leads.background, ready=storage)


async def start(config: LeadsConfig, stack: AsyncExitStack) -> Leads:
    """Build and start everything; `stack` ends it, the database last."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    identify = partial(ensure_identity, new_log_id=wallclock.new_uuid)
    return await started(
        partial(_built, config),
        stack,
        config=config,
        store=Store(config.url, _MIGRATIONS, identify),
        policy=POLICY,
    )


async def _built(config: LeadsConfig, stack: AsyncExitStack, opened: Opened) -> Leads:
    database = opened.database
    telemetry = Telemetry()
    observed = StorageTelemetry(telemetry.registry)
    telemetry.build(
        version=version("smarketing"),
        schema=opened.schema,
        tzdata=tzdata_version(),
        sqlite=engine_version(database),
    )
    writer = await stack.enter_async_context(
        Writer(
            database,
            now=database.clock(wallclock.utc_now),
            max_waiting=config.writer_queue,
            observer=observed,
            not_before=last_record_time,
        )
    )
    observed.watch(writer)
    return await _Composition(config, stack, telemetry, writer).build()


class _Composition:
    """Puts the parts together, once."""

    def __init__(
        self, config: LeadsConfig, stack: AsyncExitStack, telemetry: Telemetry, writer: Writer
    ) -> None:
        self._config = config
        self._stack = stack
        self._telemetry = telemetry
        self._writer = writer
        self._draining = Draining()
        self._authenticator = Authenticator()
        self._pages = PageTokens(load_or_make_key(config.data_dir / "page.key"))
        self._sealer = Sealer(load_keys(config.data_dir / "master.key"))
        directories = Directories(SCHEMA.directory.directory)
        self._directories = DirectoryStore(writer, SCHEMA.directory, directories)
        self._keeper = DirectoryKeeper(SCHEMA.directory.mirror, writer, self._authenticator)
        # Where a server holds the database, its clock decides for all replicas.
        self._now = writer.database.clock(wallclock.utc_now)
        self._replicas = Replicas(writer, holder=wallclock.new_uuid(), monotonic=wallclock.monotonic)
        self._store = LeadStore(writer, directories=directories, sealer=self._sealer, new_id=wallclock.new_id)

        self._limits: dict[str, TenantLimits] = {}
        limits = AdmissionLimits(
            unary_in_flight=config.unary_in_flight,
            streams_in_flight=config.streams_in_flight,
            streams_per_principal=config.streams_per_principal,
            tenant_calls_per_second=config.tenant_calls_per_second,
            tenant_burst=config.tenant_burst,
        )
        self._admission = Admission(limits, limits_of=self._limits.get)
        copies = old_copies(writer.database)
        self._forgetter = Forgetter(
            self._store,
            telemetry.registry,
            now=self._now,
            copies=copies,
            # A backup brings back whom it knew, from wherever it is restored.
            journal=ErasureJournal(config.data_dir / "erasures.log") if copies else None,
            succeeded=self._succeeded("forget"),
        )

        self._secrets = SecretSealer(load_or_make_key(config.data_dir / "leads-webhooks.key"))
        self._addresses = AddressPolicy(allow_loopback=config.webhook_loopback)
        reading = IntakeReading(self._sealer, self._secrets)
        self._catalogue = Catalogue(_mappings(config), reading, self._store)
        self._fetcher = Fetcher(
            self._store,
            self._catalogue,
            policy=self._addresses,
            now=self._now,
            new_request_id=wallclock.new_uuid,
            succeeded=self._succeeded("fetch"),
        )
        self._sender = Sender(
            writer,
            SCHEMA.intake.delivery,
            sealer=self._secrets,
            now=self._now,
            settings=SenderSettings(addresses=self._addresses),
            observer=DeliveryTelemetry(telemetry.registry),
            succeeded=self._succeeded("write_back"),
            opened=opened_messages(self._sealer, self._now),
        )

    async def build(self) -> Leads:
        config = self._config
        bus = await open_bus(
            config.event_bus,
            self._stack,
            service="leads",
            registry=self._telemetry.registry,
            followed={_FOLLOWER: "sla"},
        )
        await bootstrap(self._directories, config.data_dir)
        await self._keeper.load()
        await load_limits(self._directories, self._limits)
        await self._forgetter.repeat_once()
        denials = DenialRecorder(SCHEMA.commands.audit, self._writer, succeeded=self._succeeded("denials"))
        running = await start_server(
            config,
            edge=self._edge(denials),
            draining=self._draining,
            policy=POLICY,
            servicers=self._servicers(),
        )
        self._stack.push_async_callback(running.drain)
        http = HttpHost(
            config,
            http_app(
                config,
                registry=self._telemetry.registry,
                authenticator=self._authenticator,
                sessions=sessions_in(config.data_dir, self._authenticator),
                rooms=[Room("/intake", self._webhooks(denials).app(), signed_in=False)],
            ),
        )
        background = await self._background(denials, http, bus)
        return Leads(running, http, background, lambda: self._authenticator.ready, self._store)

    def _edge(self, denials: DenialRecorder) -> Edge:
        return Edge(
            authenticator=self._authenticator,
            admission=self._admission,
            telemetry=self._telemetry,
            draining=self._draining,
            validator=Validator(Limits(items_of=DIRECTORY_ITEMS)),
            refusal_of=lambda error: refusal_of(error) if isinstance(error, Exception) else None,
            note_denial=denials.note,
            access_log=self._config.access_log,
        )

    def _webhooks(self, denials: DenialRecorder) -> IntakeEndpoint:
        limits = AdmissionLimits(
            unary_in_flight=64,
            tenant_calls_per_second=self._config.intake_calls_per_second,
            tenant_burst=self._config.intake_burst,
        )
        return IntakeEndpoint(
            store=self._store,
            catalogue=self._catalogue,
            admission=Admission(limits),
            quota=self._admission,
            draining=self._draining,
            note_denial=denials.note,
            now=self._now,
            new_request_id=wallclock.new_uuid,
            fetch_due=self._fetcher.wake,
            registry=self._telemetry.registry,
        )

    def _servicers(self) -> list[Servicer]:
        log = EventLogServicer(self._writer, draining=self._draining)
        self._stack.callback(log.close)
        leads = LeadServicer(
            self._store,
            directories=self._directories,
            sealer=self._sealer,
            pages=self._pages,
            draining=self._draining,
            registry=self._telemetry.registry,
            room=BatchRoom(self._admission.spend_in_stream),
        )
        search = Searching(self._store, directories=self._directories, sealer=self._sealer, pages=self._pages)
        directory = DirectoryServicer(self._directories, self._keeper, self._pages)
        tenants = TenantServicer(
            self._directories, self._store, keeper=self._keeper, pages=self._pages, limits=self._limits
        )
        privacy = PrivacyServicer(
            self._store,
            sealer=self._sealer,
            pages=self._pages,
            forgetter=self._forgetter,
            backup_retention=self._config.backup_retention,
            now=self._now,
        )
        routing = RoutingServicer(
            self._store, directories=self._directories, sealer=self._sealer, now=self._now
        )
        intake = IntakeServicer(
            self._store,
            self._catalogue,
            self._fetcher,
            addresses=self._addresses,
            sealer=self._secrets,
            pages=self._pages,
            wake_sender=self._sender.wake,
        )
        audit = AuditServicer(SCHEMA.commands.audit, self._writer, self._pages)
        return [
            Servicer(add_LeadServiceServicer_to_server, leads, busy=_BUSY),
            Servicer(add_LeadSearchServiceServicer_to_server, search),
            Servicer(add_DirectoryServiceServicer_to_server, directory),
            Servicer(add_IdentityServiceServicer_to_server, IdentityServicer(self._store, self._pages)),
            Servicer(add_IntakeServiceServicer_to_server, intake),
            Servicer(add_PrivacyServiceServicer_to_server, privacy),
            Servicer(add_TenantServiceServicer_to_server, tenants),
            Servicer(add_RoutingServiceServicer_to_server, routing),
            Servicer(add_PlaybookServiceServicer_to_server, PlaybookServicer(self._store, self._directories)),
            Servicer(
                add_WorkServiceServicer_to_server,
                WorkServicer(self._store, self._directories, self._sealer, self._pages, self._now),
            ),
            Servicer(
                add_DisputeServiceServicer_to_server, DisputeServicer(self._store, self._sealer, self._pages)
            ),
            Servicer(
                add_ScoringServiceServicer_to_server,
                ScoringServicer(self._store, self._directories, self._sealer, self._pages, self._now),
            ),
            Servicer(add_EventLogServiceServicer_to_server, log),
            Servicer(add_AuditServiceServicer_to_server, audit),
        ]

    async def _background(
        self, denials: DenialRecorder, http: HttpHost, bus: EventBus
    ) -> tuple[BackgroundTask, ...]:
        sweeper = Sweeper(self._store, now=self._now, succeeded=self._succeeded("sweep"))
        metrics = BusinessMetrics(
            self._store,
            self._telemetry.registry,
            tenants=self._config.metric_tenants,
            interval=self._config.metrics_interval,
            succeeded=self._succeeded("metrics"),
        )
        gauges = DatabaseGauges(
            self._telemetry.registry,
            self._writer,
            [
                partial(read_places, log="leads", followed=_FOLLOWED),
                partial(read_queue, tables=SCHEMA.intake.delivery),
            ],
            succeeded=self._succeeded("gauges"),
        )
        routing = RoutingMetrics(
            self._store,
            self._telemetry.registry,
            tenants=self._config.metric_tenants,
            interval=self._config.metrics_interval,
            succeeded=self._succeeded("routing_metrics"),
        )
        rescorer = Rescorer(self._store, now=self._now, succeeded=self._succeeded("rescore"))
        consumer = await self._consumer(bus)
        return (
            BackgroundTask("http", http.run),
            BackgroundTask("denials", denials.run),
            *self._replicated(),
            *self._replicas.alone(
                BackgroundTask("sweep", sweeper.run),
                BackgroundTask("rescore", rescorer.run),
                BackgroundTask("forget", self._forgetter.run),
                BackgroundTask("fetch", self._fetcher.run),
                BackgroundTask("write_back", self._sender.run),
                BackgroundTask("purge", self._purge),
                *bus.publishing(self._writer, log="leads"),
            ),
            BackgroundTask("metrics", metrics.run),
            BackgroundTask("routing_metrics", routing.run),
            BackgroundTask("gauges", gauges.run),
            BackgroundTask("loop_lag", self._telemetry.measure_loop_lag),
            self._replicas.following("sla", consumer),
        )

    def _replicated(self) -> Iterator[BackgroundTask]:
        yield from self._replicas.tasks()
        if self._writer.database.is_remote:
            # Another replica may have told who may call, and how often.
            yield BackgroundTask("directory", self._keeper.run)
            yield BackgroundTask(
                "limits", partial(follow_limits, self._directories, self._limits, self._writer)
            )

    async def _consumer(self, bus: EventBus) -> ConsumerGroup:
        config = self._config
        channel = await self._stack.enter_async_context(peer_channel(config, config.sla_address))
        token = token_file(config.data_dir, "leads")
        feed = Feed(channel, name="leads", metadata=lambda: _credentials(token))
        consumer = Consumer(
            sla_events.CONSUMER,
            feed=bus.source(feed, log="sla", consumer=_FOLLOWER),
            writer=self._writer,
            apply=sla_events.SlaLog(self._store).apply,
            payload_types=sla_events.PAYLOAD_TYPES,
            now=self._now,
            observer=ConsumerTelemetry(self._telemetry.registry, _FOLLOWED),
        )
        return ConsumerGroup(sla_events.CONSUMER, lambda _whole: consumer, writer=self._writer)

    async def _purge(self) -> None:
        records = SCHEMA.commands.idempotency
        await purge_for_ever(self._writer, records, succeeded=self._succeeded("purge"))

    def _succeeded(self, task: str) -> Callable[[], None]:
        return lambda: self._telemetry.task_succeeded(task)


def _mappings(config: LeadsConfig) -> dict[str, WebhookMapping]:
    try:
        own = {} if config.mappings_dir is None else read_webhook_mappings(config.mappings_dir)
        return {**_shipped_mappings(), **own}
    except FileFaulty as faulty:
        raise StartRefused(str(faulty)) from None


@cache
def _shipped_mappings() -> Mapping[str, WebhookMapping]:
    return read_webhook_mappings(_SHIPPED_MAPPINGS)


def _credentials(token: Path) -> tuple[tuple[str, str], ...]:
    # Read anew for each call, so that a rotated token is taken up.
    return (("authorization", f"Bearer {token.read_text(encoding='utf-8').strip()}"),)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
