"""The life of a server process: registered completely, ready when it can answer, drained at the end."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from smarketing.logs import get_log
from smarketing.server.draining import Draining
from smarketing.server.edge import Edge
from smarketing.server.listening import GrpcServer, listen, new_server
from smarketing.server.policy import Policy, check_policy
from smarketing.server.settings import ServerConfig
from smarketing.sql import ReadersBusy, StorageFull, StorageUnavailable, WriterBusy

__all__ = ["BackgroundTask", "RunningServer", "Servicer", "serve", "start_server"]

_log = get_log(__name__)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_READINESS_EVERY_SECONDS = 0.5
_STORAGE_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Servicer:
    """One gRPC service: the generated `add_…Servicer_to_server` and the object that serves it."""

    add: Callable[[Any, Any], None]
    servicer: object
    busy: Collection[str] = ()
    """Methods that are called most: grpcio takes in many of their calls at a time, of the others a few."""


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """Work beside the calls. It runs until cancelled; if it ends before, the process ends."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]


class RunningServer:
    """A started server; `drain` ends it without failing a call that could still finish."""

    def __init__(
        self,
        server: GrpcServer,
        port: int,
        *,
        config: ServerConfig,
        draining: Draining,
        health_servicer: health.aio.HealthServicer,
        service_names: Sequence[str],
    ) -> None:
        self.port = port
        self._server = server
        self._config = config
        self._draining = draining
        self._health = health_servicer
        self._service_names = service_names
        self._drained: asyncio.Task[None] | None = None

    async def set_ready(self, ready: bool) -> None:
        """Report the services as SERVING or not; liveness (the empty name) stays SERVING."""
        for name in self._service_names:
            await self._health.set(name, _SERVING if ready else _NOT_SERVING)

    async def drain(self) -> None:
        """Report NOT_SERVING, end streams, let running calls finish, and close; once, however often told."""
        if self._drained is None:
            self._drained = asyncio.create_task(self._drain())
        await asyncio.shield(self._drained)

    async def _drain(self) -> None:
        await self.set_ready(ready=False)
        await asyncio.sleep(self._config.balancer_wait.total_seconds())
        self._draining.begin()
        await self._server.stop(self._config.grace_left.total_seconds())


async def start_server(
    config: ServerConfig,
    *,
    edge: Edge,
    draining: Draining,
    policy: Policy,
    servicers: Iterable[Servicer],
) -> RunningServer:
    """Register, listen and start; the services are not ready until `set_ready`.

    Raises:
        PolicyMissing: an RPC has no policy line, or the other way round.
        ValueError: a busy method is none of its service's.
        StartRefused: the address or the certificates cannot be used.
    """
    recorder = _Recorder()
    busy: dict[str, Collection[str]] = {}
    for each in servicers:
        known = set(recorder.services)
        each.add(each.servicer, recorder)
        for service in recorder.services.keys() - known:
            busy[service] = _named(each.busy, recorder.services[service])
    methods = check_policy(policy, recorder.services)
    server = new_server(config, edge.overflow)
    for service, handlers in recorder.services.items():
        wrapped = {
            name: edge.wrap(methods[f"/{service}/{name}"], policy[f"/{service}/{name}"], handler)
            for name, handler in handlers.items()
        }
        server.serve(service, wrapped, busy=busy[service])
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if config.reflection:
        reflection.enable_server_reflection([*recorder.services, health.SERVICE_NAME], server)
    port = listen(server, config.listen, config.tls)
    await server.start()
    running = RunningServer(
        server,
        port,
        config=config,
        draining=draining,
        health_servicer=health_servicer,
        service_names=list(recorder.services),
    )
    await running.set_ready(ready=False)
    return running


async def serve(
    running: RunningServer,
    *,
    background: Iterable[BackgroundTask] = (),
    ready: Callable[[], Awaitable[bool]],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; then drain, and end the background tasks last.

    `ready` is asked twice a second and decides what health says of the services.

    Raises:
        ExceptionGroup: a background task died; the server was drained first.
    """
    stopping = stop or asyncio.Event()
    _stop_on_signals(stopping)
    tasks = [*background, BackgroundTask("readiness", lambda: _report_readiness(running, ready))]
    # What was built until now stays: looked through again and again, it would be a pause of every call.
    gc.freeze()
    try:
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(_supervised(task), name=task.name) for task in tasks]
            await stopping.wait()
            _log.info("drain_began")
            started[-1].cancel()
            await running.drain()
            for task in started:
                task.cancel()
    except BaseExceptionGroup:
        await running.drain()
        raise
    _log.info("server_stopped")


class TaskEnded(Exception):
    """A background task returned; the process must not go on without it."""


async def _supervised(task: BackgroundTask) -> None:
    while True:
        try:
            await task.run()
        except Exception as error:
            # A database that is away, or full, comes back: by ending the process would only stop answering.
            if not _may_pass(error):
                raise
            _log.warning("task_waits_for_storage", task=task.name, fault=str(error))
            await asyncio.sleep(_STORAGE_RETRY_SECONDS)
        else:
            raise TaskEnded(task.name)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_may_pass, error.exceptions))
    return isinstance(error, StorageUnavailable | StorageFull | ReadersBusy | WriterBusy)


async def _report_readiness(running: RunningServer, ready: Callable[[], Awaitable[bool]]) -> None:
    last: bool | None = None
    while True:
        now_ready = await ready()
        if now_ready is not last:
            await running.set_ready(now_ready)
            _log.info("readiness_changed", ready=now_ready)
        last = now_ready
        await asyncio.sleep(_READINESS_EVERY_SECONDS)


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread may, and an embedded server has no business with signals.
        with suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, stopping.set)


def _named(names: Collection[str], handlers: Mapping[str, Any]) -> Collection[str]:
    unknown = sorted(set(names) - handlers.keys())
    if unknown:
        raise ValueError(f"there is no method {', '.join(unknown)} to be busy")
    return names


@dataclass
class _Recorder:
    """Stands where the generated code expects a server, and remembers what it registers."""

    services: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Pass over: the same handlers come by method name."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Remember the handlers of one service."""
        self.services[service] = handlers
