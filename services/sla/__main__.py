"""The sla process: `python -m services.sla [COMMAND]`; without a command it serves.

Imports stand in the functions that need them: `evaluate` must start without gRPC and SQL.
"""

import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from smarketing import wallclock

if TYPE_CHECKING:
    from services.sla.config import SlaConfig
    from services.sla.store.archive import Archive
    from services.sla.usecases.notices import Notifier
    from services.sla.usecases.promptly import Promptly
    from services.sla.usecases.replay import Replayer
    from services.sla.usecases.sweep import Sweeper
    from services.sla.web.metrics import SlaMetrics, TimerMetrics
    from smarketing.delivery import Sealer, Sender
    from smarketing.eventlog.consumer import Apply
    from smarketing.eventlog.directory import DirectoryKeeper
    from smarketing.eventlog.group import ConsumerGroup
    from smarketing.server.auth import Authenticator
    from smarketing.server.bootstrap import BackgroundTask, RunningServer
    from smarketing.server.gauges import DatabaseGauges
    from smarketing.server.http import HttpHost
    from smarketing.server.readiness import StorageReadiness
    from smarketing.server.replicas import Replicas
    from smarketing.server.starting import Opened
    from smarketing.server.telemetry import Telemetry
    from smarketing.sql import Writer

_MIGRATIONS: Final = "services.sla.store.migrations"
_EXIT_USAGE: Final = 2
_EXIT_CONFIG: Final = 78


def main(argv: Sequence[str]) -> int:
    """Run a command and return the exit status; each command loads only what it needs."""
    command = COMMANDS.get(argv[0] if argv else "serve")
    if command is None:
        sys.stderr.write(f"usage: python -m services.sla [{'|'.join(COMMANDS)}]\n")
        return _EXIT_USAGE
    return command(argv[1:])


def evaluate(_arguments: Sequence[str]) -> int:
    """Answer the cases on the standard input, without gRPC and SQL; 1 when one of them was bad."""
    from services.sla.usecases.offline import evaluate_lines

    with io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=False) as out:
        return 0 if evaluate_lines(sys.stdin.buffer, out) else 1


def serve(_arguments: Sequence[str]) -> int:
    """Serve until told to stop."""
    from services.sla.config import SlaConfig
    from smarketing.config import ConfigInvalid, read_config
    from smarketing.logs import configure_logs
    from smarketing.server.starting import status_of

    try:
        config = read_config(SlaConfig, os.environ)
    except ConfigInvalid as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_CONFIG
    configure_logs(config.log_format, level=config.log_level)
    return status_of("sla", _run(config), refused=_EXIT_CONFIG)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"serve": serve, "evaluate": evaluate}


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A built process: listening, and not ready before its background tasks run."""

    running: "RunningServer"
    http: "HttpHost"
    writer: "Writer"
    archive: "Archive"
    leads: "ConsumerGroup"
    sweeper: "Sweeper"
    replayer: "Replayer"
    metrics: "SlaMetrics"
    authenticator: "Authenticator"
    background: "Sequence[BackgroundTask]"
    ready: "StorageReadiness"


async def _run(config: "SlaConfig") -> None:
    from smarketing.logs import get_log
    from smarketing.server.bootstrap import serve as serve_until_stopped

    async with a_process(config) as process:
        get_log(__name__).info("sla_started", port=process.running.port, http_port=process.http.port)
        await serve_until_stopped(process.running, background=process.background, ready=process.ready)


@asynccontextmanager
async def a_process(
    config: "SlaConfig", *, now: Callable[[], datetime] | None = None
) -> AsyncIterator[Process]:
    """Open the database, start to listen, and give what runs; everything is closed at the end."""
    from functools import partial

    from services.sla.rpc.policy import POLICY
    from smarketing.eventlog.reading import ensure_identity
    from smarketing.server.starting import Store, started

    identify = partial(ensure_identity, new_log_id=wallclock.new_uuid)
    async with AsyncExitStack() as stack:
        yield await started(
            partial(_stored, config, now),
            stack,
            config=config,
            store=Store(config.database_of("sla"), _MIGRATIONS, identify),
            policy=POLICY,
        )


async def _stored(
    config: "SlaConfig", now: Callable[[], datetime] | None, stack: AsyncExitStack, opened: "Opened"
) -> Process:
    from importlib.metadata import version

    from smarketing.businesstime import tzdata_version
    from smarketing.eventlog.group import folding_writer
    from smarketing.eventlog.reading import last_record_time
    from smarketing.server.storage_telemetry import StorageTelemetry, engine_version
    from smarketing.server.telemetry import Telemetry
    from smarketing.sql import Writer

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
    return await _built(config, stack, telemetry, writer, folding=folding, now=now)


async def _built(
    config: "SlaConfig",
    stack: AsyncExitStack,
    telemetry: "Telemetry",
    writer: "Writer",
    *,
    folding: "Writer",
    now: Callable[[], datetime],
) -> Process:
    from services.sla.consumers.leads_log import CONSUMER, LeadsLog
    from services.sla.rpc.listening import start_listening
    from services.sla.rpc.servicer import SlaServicer
    from services.sla.store.archive import Archive
    from services.sla.store.schema import command_tables, directory_tables
    from services.sla.usecases.replay import Replayer
    from services.sla.web.metrics import SlaMetrics, TimerMetrics
    from smarketing.delivery import AddressPolicy, Sealer
    from smarketing.eventlog.directory import DirectoryKeeper
    from smarketing.server.auth import Authenticator
    from smarketing.server.bootstrap import BackgroundTask
    from smarketing.server.denials import DenialRecorder
    from smarketing.server.keys import load_or_make_key
    from smarketing.server.paging import PageTokens

    def told(task: str) -> Callable[[], None]:
        return lambda: telemetry.task_succeeded(task)

    replicas = _replicas(writer, config.partitions)
    archive, authenticator = Archive(), Authenticator(now=now)
    keeper = DirectoryKeeper(directory_tables, writer, authenticator, consumer=CONSUMER)
    timers = TimerMetrics(telemetry.registry, succeeded=told("sla_sweep"))
    log = LeadsLog(archive, keeper, observe=timers.timer_fired)
    leads, relaying = await _following(
        config, stack, telemetry, writer, folding=folding, apply=log.apply, now=now
    )
    sweeper = _sweeper(config, writer, archive, leads=leads, timers=timers, now=now)
    replayer = Replayer(writer, archive, succeeded=told("sla_replay"))
    metrics = SlaMetrics(
        telemetry.registry, writer, tenants=config.metric_tenants, now=now, succeeded=told("metrics")
    )
    denials = DenialRecorder(command_tables.audit, writer, succeeded=told("denials"))
    addresses = AddressPolicy(allow_loopback=config.webhook_loopback)
    sealer = Sealer(load_or_make_key(config.data_dir / "sla-webhooks.key"))
    pages = PageTokens(load_or_make_key(config.data_dir / "sla-pages.key"))
    running = await start_listening(
        config,
        stack,
        servicer=SlaServicer(writer, archive, pages, sealer=sealer, addresses=addresses, now=now),
        archive=archive,
        writer=writer,
        pages=pages,
        authenticator=authenticator,
        denials=denials,
        telemetry=telemetry,
        now=now,
    )
    http = _http(config, telemetry, authenticator)
    return Process(
        running=running,
        http=http,
        writer=writer,
        archive=archive,
        leads=leads,
        sweeper=sweeper,
        replayer=replayer,
        metrics=metrics,
        authenticator=authenticator,
        ready=_ready(writer, keeper, leads, authenticator),
        background=(
            BackgroundTask("directory", keeper.run),
            replicas.following("leads", leads),
            *replicas.tasks(),
            *replicas.alone(
                *relaying,
                BackgroundTask("sla_sweep", sweeper.run),
                BackgroundTask("sla_replay", replayer.run),
                BackgroundTask(
                    "sla_promptly", _promptly(telemetry, writer, archive, leads=leads, now=now).run
                ),
                BackgroundTask("notices", _notifier(config, telemetry, writer, archive, now).run),
                BackgroundTask("webhooks", _sender(config, telemetry, writer, sealer, now).run),
                _purging(writer, told("purge")),
            ),
            BackgroundTask("denials", denials.run),
            BackgroundTask("metrics", metrics.run),
            BackgroundTask("gauges", _gauges(config, telemetry, writer, archive, now).run),
            BackgroundTask("loop_lag", telemetry.measure_loop_lag),
            BackgroundTask("http", http.run),
        ),
    )


def _replicas(writer: "Writer", partitions: int) -> "Replicas":
    from smarketing.server.replicas import Replicas

    holder = wallclock.new_uuid()
    return Replicas(writer, holder=holder, monotonic=wallclock.monotonic, partitions=partitions)


def _ready(
    writer: "Writer", keeper: "DirectoryKeeper", leads: "ConsumerGroup", authenticator: "Authenticator"
) -> "StorageReadiness":
    from smarketing.eventlog.directory import DirectoryReadiness
    from smarketing.server.readiness import StorageReadiness

    begun = DirectoryReadiness(keeper, leads, authenticator, monotonic=wallclock.monotonic)
    return StorageReadiness(writer, begun)


def _purging(writer: "Writer", succeeded: Callable[[], None]) -> "BackgroundTask":
    from services.sla.store.schema import command_tables
    from smarketing.server.bootstrap import BackgroundTask
    from smarketing.server.purging import purge_for_ever

    return BackgroundTask(
        "purge", lambda: purge_for_ever(writer, command_tables.idempotency, succeeded=succeeded)
    )


async def _following(
    config: "SlaConfig",
    stack: AsyncExitStack,
    telemetry: "Telemetry",
    writer: "Writer",
    *,
    folding: "Writer",
    apply: "Apply",
    now: Callable[[], datetime],
) -> "tuple[ConsumerGroup, Sequence[BackgroundTask]]":
    from services.sla.consumers.following import follow_leads
    from services.sla.consumers.leads_log import CONSUMER
    from smarketing.eventlog.bus import open_bus
    from smarketing.eventlog.partitions import partitions
    from smarketing.eventlog.telemetry import ConsumerTelemetry

    followed = {CONSUMER: "leads"}
    members = {part.named_on_the_bus(CONSUMER): "leads" for part in partitions(config.partitions)}
    observer = ConsumerTelemetry(telemetry.registry, followed)
    bus = await open_bus(
        config.event_bus, stack, service="sla", registry=telemetry.registry, followed=members
    )
    consumer = await follow_leads(
        config, stack, writer, apply, folding=folding, bus=bus, now=now, observer=observer
    )
    return consumer, bus.publishing(writer, log="sla")


def _gauges(
    config: "SlaConfig",
    telemetry: "Telemetry",
    writer: "Writer",
    archive: "Archive",
    now: Callable[[], datetime],
) -> "DatabaseGauges":
    from functools import partial

    from services.sla.consumers.leads_log import CONSUMER
    from services.sla.store.schema import delivery_tables
    from services.sla.web.budget_metrics import budget_reading
    from smarketing.delivery import read_queue
    from smarketing.eventlog.telemetry import read_places
    from smarketing.server.gauges import DatabaseGauges

    return DatabaseGauges(
        telemetry.registry,
        writer,
        [
            partial(read_places, log="sla", followed={CONSUMER: "leads"}),
            partial(read_queue, tables=delivery_tables),
            budget_reading(archive, config.metric_tenants, now=now),
        ],
        succeeded=lambda: telemetry.task_succeeded("gauges"),
    )


def _sweeper(
    config: "SlaConfig",
    writer: "Writer",
    archive: "Archive",
    *,
    leads: "ConsumerGroup",
    timers: "TimerMetrics",
    now: Callable[[], datetime],
) -> "Sweeper":
    from services.sla.consumers.leads_log import CaughtUp
    from services.sla.usecases.foresight import Foresight
    from services.sla.usecases.sweep import Sweeper, WallGuard
    from smarketing.wallclock import monotonic

    return Sweeper(
        writer,
        archive,
        guard=WallGuard(now=now, monotonic=monotonic),
        now=now,
        may_fire=CaughtUp(leads, now=now, monotonic=monotonic),
        observer=timers,
        batch_clocks=config.sweep_batch_clocks,
        foresight=Foresight(archive),
    )


def _http(config: "SlaConfig", telemetry: "Telemetry", authenticator: "Authenticator") -> "HttpHost":
    from smarketing.server.http import HttpHost, http_app, sessions_in

    sessions = sessions_in(config.data_dir, authenticator)
    app = http_app(config, registry=telemetry.registry, authenticator=authenticator, sessions=sessions)
    return HttpHost(config, app)


def _promptly(
    telemetry: "Telemetry",
    writer: "Writer",
    archive: "Archive",
    *,
    leads: "ConsumerGroup",
    now: Callable[[], datetime],
) -> "Promptly":
    from services.sla.consumers.leads_log import CaughtUp
    from services.sla.usecases.promptly import Promptly
    from smarketing.wallclock import monotonic

    return Promptly(
        writer,
        archive,
        now=now,
        may_act=CaughtUp(leads, now=now, monotonic=monotonic),
        succeeded=lambda: telemetry.task_succeeded("sla_promptly"),
    )


def _notifier(
    config: "SlaConfig",
    telemetry: "Telemetry",
    writer: "Writer",
    archive: "Archive",
    now: Callable[[], datetime],
) -> "Notifier":
    from services.sla.usecases.notices import Notifier, Telling

    return Notifier(
        writer,
        archive,
        telling=Telling(window=config.alert_window, link_base=config.link_base),
        now=now,
        succeeded=lambda: telemetry.task_succeeded("notices"),
    )


def _sender(
    config: "SlaConfig",
    telemetry: "Telemetry",
    writer: "Writer",
    sealer: "Sealer",
    now: Callable[[], datetime],
) -> "Sender":
    from services.sla.store.schema import delivery_tables
    from smarketing.delivery import (
        AddressPolicy,
        Carrier,
        ChatCarrier,
        DeliveryTelemetry,
        MailCarrier,
        Sender,
        SenderSettings,
        Way,
        is_chat_installed,
    )

    addresses = AddressPolicy(allow_loopback=config.webhook_loopback)
    settings = SenderSettings(addresses=addresses)
    carriers: dict[str, Carrier] = {}
    if config.mail.smtp_host:
        carriers[Way.EMAIL] = MailCarrier(config.mail)
    if is_chat_installed():
        carriers[Way.CHAT] = ChatCarrier(addresses)
    return Sender(
        writer,
        delivery_tables,
        sealer=sealer,
        now=now,
        settings=settings,
        observer=DeliveryTelemetry(telemetry.registry),
        succeeded=lambda: telemetry.task_succeeded("webhooks"),
        carriers=carriers,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
