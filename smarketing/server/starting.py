"""The beginning of a process: patient while its database server is away, over at once when no waiting helps.

Until storage answers, the address is taken by a server that only says so: health calls the process alive
and its services not serving, and every other call is told to come again.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from smarketing import wallclock
from smarketing.logs import get_log
from smarketing.server.errors import trailers_of
from smarketing.server.listening import StartRefused, listen
from smarketing.server.refusals import storage_unavailable
from smarketing.server.settings import ServerConfig
from smarketing.sql import (
    Database,
    DatabaseOwned,
    DatabaseUnsupported,
    SchemaTooNew,
    StorageCorrupt,
    StorageError,
    StorageFault,
    StorageUnavailable,
    migrate,
    open_database,
)
from smarketing.sql.errors import storage_error_of
from smarketing.sql.postgres import refusal_in

__all__ = ["Opened", "StartGivenUp", "Store", "started", "status_of"]

_log = get_log(__name__)

T = TypeVar("T")

_TRIES_AGAIN_SECONDS: Final = 1.0
_SAYS_AGAIN_SECONDS: Final = 3.0
_TURN_PATIENCE: Final = timedelta(seconds=3)
"""For the turn to migrate or to write; then it is said what is waited for, and asked again."""

_WAITS_FOR: Final = {
    StorageFault.UNREACHABLE: "the database server, which does not answer",
    StorageFault.LOCKED: "another replica, which has the turn to migrate or to write",
    StorageFault.READ_ONLY: "a database that may be written",
}
_ENDINGS: Final = (DatabaseOwned, DatabaseUnsupported, SchemaTooNew, StorageError)


class StartGivenUp(Exception):
    """Storage did not answer for as long as the start was told to wait."""


class _ToldToStop(Exception):
    """SIGTERM or SIGINT came while nothing had begun yet."""


@dataclass(frozen=True, slots=True)
class Store:
    """What a service stores in, and how that is made ready."""

    url: str
    migrations: str
    prepare: Callable[[Connection], object]
    """Runs in a transaction of its own after the migrations, at every start."""

    def open(self) -> "Opened":
        """Open the database and bring it to this build's schema.

        Raises:
            StorageError: when storage is at fault.
            DatabaseOwned, DatabaseUnsupported, SchemaTooNew: when this build, or this role, may not use it.
        """
        database = open_database(self.url, turn_patience=_TURN_PATIENCE)
        try:
            if not database.is_bound_by_policies:
                raise DatabaseUnsupported(
                    "its role at the database stands above row policies, which keep tenants apart: "
                    "give the service a role without SUPERUSER and BYPASSRLS"
                )
            schema = migrate(database, self.migrations)
            with database.writer_engine.begin() as connection:
                self.prepare(connection)
        except DBAPIError as error:
            database.close()
            translated = storage_error_of(error)
            words = str(error.orig).partition("\n")[0]
            raise translated or DatabaseUnsupported(f"the database refused: {words}") from error
        except BaseException:
            database.close()
            raise
        return Opened(database, schema)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is ready for this build, and the revision of its schema."""

    database: Database
    schema: str


def status_of(service: str, serving: Coroutine[Any, Any, None], *, refused: int = 1) -> int:
    """Run a service to its end and return the exit status; why it did not start is said in one sentence.

    `refused` is the status when its settings are to blame; storage that keeps it from starting gives 1.
    """
    try:
        asyncio.run(serving)
    except StartRefused as error:
        sys.stderr.write(f"{service} did not start: {error}\n")
        return refused
    except (*_ENDINGS, StartGivenUp) as error:
        sys.stderr.write(f"{service} did not start: {error}\n")
        return 1
    except _ToldToStop:
        return 0
    return 0


async def started(
    build: Callable[[AsyncExitStack, Opened], Awaitable[T]],
    stack: AsyncExitStack,
    *,
    config: ServerConfig,
    store: Store,
    policy: Iterable[str],
) -> T:
    """Open the store and build on it, however often a database server goes away meanwhile; `stack` ends both.

    `policy` names the methods, and so the services that are not serving until then.

    Raises:
        StartGivenUp: the server did not answer within the patience of the settings.
        StorageError: storage is at fault, and it is a file, or no waiting mends it.
        DatabaseOwned, DatabaseUnsupported, SchemaTooNew, StartRefused: as they say.
    """
    waiting = _Waiting(config, policy)
    async with AsyncExitStack() as room:
        while True:
            async with AsyncExitStack() as own:
                try:
                    # On a thread: the waiting room answers meanwhile.
                    opened = await asyncio.to_thread(store.open)
                    own.enter_context(opened.database)
                    await room.aclose()
                    waiting.go_on()
                    built = await build(own, opened)
                except StorageError as error:
                    waited_for = waiting.worth_it(error)
                else:
                    stack.push_async_exit(own.pop_all())
                    return built
            await waiting.rest(room, waited_for)


class _Waiting:
    """Decides whether to try again, and says what is waited for."""

    def __init__(self, config: ServerConfig, policy: Iterable[str]) -> None:
        self._config = config
        self._services = sorted({method.split("/")[1] for method in policy})
        self._began = wallclock.monotonic()
        self._said = float("-inf")
        self._room_is_open = False
        self._stop = asyncio.Event()

    def worth_it(self, error: StorageError) -> str:
        """Return what is waited for.

        Raises:
            StartGivenUp: that took too long.
            DatabaseUnsupported: no waiting mends it.
            StorageError: nor does it here.
        """
        if not self._config.is_database_remote or isinstance(error, StorageCorrupt):
            raise error
        if refusal := refusal_in(error):
            raise DatabaseUnsupported(f"the database server refused: {refusal}") from error
        fault = error.fault if isinstance(error, StorageUnavailable) else None
        waited_for = _WAITS_FOR.get(fault, f"the database ({error})") if fault else f"the database ({error})"
        patience = self._config.start_patience
        if wallclock.monotonic() - self._began >= patience.total_seconds():
            raise StartGivenUp(f"for {patience} it waited for {waited_for}") from error
        return waited_for

    async def rest(self, room: AsyncExitStack, waited_for: str) -> None:
        """Say what is waited for, now and then, and let a moment pass."""
        if not self._room_is_open:
            await room.enter_async_context(_waiting_room(self._config, self._services, self._stop))
            self._room_is_open = True
            room.callback(self._left)
        now = wallclock.monotonic()
        if now - self._said >= _SAYS_AGAIN_SECONDS:
            self._said = now
            _log.warning("start_waits", waits_for=waited_for, seconds=round(now - self._began, 1))
        with suppress(TimeoutError):
            async with asyncio.timeout(_TRIES_AGAIN_SECONDS):
                await self._stop.wait()
            raise _ToldToStop

    def go_on(self) -> None:
        """Start, unless it was told to stop while the store was being opened."""
        if self._stop.is_set():
            raise _ToldToStop

    def _left(self) -> None:
        self._room_is_open = False


@asynccontextmanager
async def _waiting_room(
    config: ServerConfig, services: Iterable[str], stop: asyncio.Event
) -> AsyncIterator[None]:
    """Answer at the service's address that it does not serve yet; hear meanwhile when it is told to stop."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for service in services:
        await servicer.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
    server.add_generic_rpc_handlers((_ComeAgain(),))
    listen(server, config.listen, config.tls)
    await server.start()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    # Only the main thread may.
    with suppress(RuntimeError, ValueError, NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        with suppress(RuntimeError, ValueError, NotImplementedError):
            for number in signals:
                loop.remove_signal_handler(number)
        await server.stop(None)


class _ComeAgain(grpc.GenericRpcHandler):
    """Tells every call but health's that storage does not answer."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Return how the call is answered."""
        if details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return None
        return grpc.stream_stream_rpc_method_handler(_come_again)


async def _come_again(
    _requests: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[bytes, bytes]"
) -> None:
    refusal = storage_unavailable()
    await context.abort(refusal.code, refusal.message, trailers_of(refusal))
