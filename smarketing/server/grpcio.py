"""The first engine: grpcio's server, which takes in many calls of its busy methods at a time.

By itself grpcio asks its core for one call of each method, and for the next one some five turns of the event
loop later: under load calls wait there, where no budget counts them, and what a call costs nearly doubles.
Here several ask at once, and begin what they get by the very functions that grpcio's own loop calls. These
have no public names: where an edition has them no more its own loop serves alone, and that is logged.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from smarketing.logs import get_log

__all__ = ["GrpcioServer"]

_log = get_log(__name__)

_library: Any = import_module("grpc._cython.cygrpc")

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_AT_ONCE: Final = 64
"""Calls of one method that are asked for ahead, at some 2 KiB each."""
_NEEDED: Final = ("_MethodResolver", "_RequestCallError", "_handle_rpc", "_schedule_rpc_coro")


class GrpcioServer:
    """Serves on any address, with TLS or without; used from the event loop that starts it."""

    def __init__(self, options: Sequence[tuple[str, int]]) -> None:
        self._server = grpc.aio.server(options=options)
        self._busy: dict[str, _Handler] = {}
        self._accepting: _Accepting | None = None

    def serve(self, service: str, handlers: Mapping[str, _Handler], *, busy: Collection[str]) -> None:
        """Serve the methods of a service, the busy ones from lines of their own.

        Only these are registered: grpcio waits for each registered method by itself, and at each call that
        it takes in begins so anew.
        """
        self.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(handlers)),))
        registered = {name: handler for name, handler in handlers.items() if name in busy}
        self._server.add_registered_method_handlers(service, registered)
        self._busy.update({f"/{service}/{name}": handler for name, handler in registered.items()})

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serve what nobody calls often."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, _Handler]) -> None:
        """Pass over: the same handlers come as generic ones."""

    def add_insecure_port(self, address: str) -> int:
        """Take the address and return its port.

        Raises:
            RuntimeError: it is taken, or not an address of this machine.
        """
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """Take the address, with TLS, and return its port.

        Raises:
            RuntimeError: it is taken, or not an address of this machine.
        """
        return self._server.add_secure_port(address, credentials)

    async def start(self) -> None:
        """Begin to serve on the address taken."""
        await self._server.start()
        core: Any = getattr(self._server, "_server", None)
        if hasattr(core, "_request_registered_call") and all(hasattr(_library, name) for name in _NEEDED):
            self._accepting = _Accepting(core, self._busy)
        else:
            _log.warning("calls_taken_in_one_by_one", grpcio=grpc.__version__)

    async def stop(self, grace: float | None) -> None:
        """Refuse new calls, give the running ones `grace` seconds, cancel the rest, and close."""
        await self._server.stop(grace)


class _Accepting:
    """Takes in calls until the server stops; holds the tasks that do so, and those that serve them."""

    def __init__(self, core: Any, handlers: dict[str, _Handler]) -> None:
        self._core = core
        self._resolver = _library._MethodResolver([], handlers)  # noqa: SLF001 -- see above
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        for method in handlers:
            for _ in range(_AT_ONCE):
                self._hold(self._loop.create_task(self._take_in(method)))

    async def _take_in(self, method: str) -> None:
        loop, name = self._loop, method.encode()
        while True:
            try:
                call = await self._core._request_registered_call(name)  # noqa: SLF001 -- see above
            except _library._RequestCallError:  # noqa: SLF001 -- see above
                # The server stops, or stopped: grpcio's own loop ends so, too.
                return
            serving = _library._handle_rpc(method, self._resolver, (), call, loop, False)  # noqa: SLF001 -- see above
            self._hold(loop.create_task(_library._schedule_rpc_coro(serving, call, loop, method)))  # noqa: SLF001 -- see above

    def _hold(self, task: "asyncio.Task[None]") -> None:
        # The event loop itself holds tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("call_not_taken_in", error_type=type(error).__qualname__)
