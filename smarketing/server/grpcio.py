"""The first engine: grpcio's server, which takes in several calls of a method at a time.

By itself grpcio asks its core for one call of each method, and for the next one some five turns of the event
loop later: under load calls wait there, where no budget counts them, and what a call costs nearly doubles.
Here several ask at once, and begin what they get by the very functions that grpcio's own loop calls. These
have no public names: where an edition has them no more its own loop serves alone, and that is logged.
"""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from importlib import import_module
from inspect import signature
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio

from smarketing.logs import get_log

__all__ = ["GrpcioServer"]

_log = get_log(__name__)

_library: Any = import_module("grpc._cython.cygrpc")

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_AHEAD_OF_BUSY: Final = 64
"""Calls of a busy method that are asked for ahead, at some 2 KiB each."""
_AHEAD: Final = 4
"""Of any other. grpcio's own loop takes one in five of theirs, and one in 65 of a busy one's."""
_NEEDED: Final = {
    "_handle_rpc": "method_name, method_resolver, interceptors, rpc_state, loop, concurrency_exceeded",
    "_schedule_rpc_coro": "rpc_coro, rpc_state, loop, method_name",
    "_MethodResolver": "",
    "_RequestCallError": "",
}
"""The names, and of functions their parameters."""


class GrpcioServer:
    """Serves on any address, with TLS or without; used from the event loop that starts it."""

    def __init__(self, options: Sequence[tuple[str, int]]) -> None:
        self._server = grpc.aio.server(options=options)
        self._handlers: dict[str, _Handler] = {}
        self._busy: set[str] = set()
        self._accepting: _Accepting | None = None

    def serve(self, service: str, handlers: Mapping[str, _Handler], *, busy: Collection[str]) -> None:
        """Serve the methods of a service, of which machines and everybody call the busy ones all day long."""
        self.add_registered_method_handlers(service, handlers)
        self._busy.update(f"/{service}/{name}" for name in busy)

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Serve what is not registered."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, _Handler]) -> None:
        """Serve the methods of a service, each from a line of its own, so that no flood stands before all."""
        self._server.add_registered_method_handlers(service, dict(handlers))
        self._handlers.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

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
        if hasattr(core, "_request_registered_call") and _is_known():
            self._accepting = _Accepting(core, self._handlers, self._busy)
        else:
            _log.warning("calls_taken_in_one_by_one", grpcio=grpc.__version__)

    async def stop(self, grace: float | None) -> None:
        """Refuse new calls, give the running ones `grace` seconds, cancel the rest, and close."""
        await self._server.stop(grace)


class _Accepting:
    """Takes in calls until the server stops; holds the tasks that do so, and those that serve them."""

    def __init__(self, core: Any, handlers: dict[str, _Handler], busy: Collection[str]) -> None:
        self._core = core
        self._resolver = _library._MethodResolver([], handlers)  # noqa: SLF001 -- see above
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        for method in handlers:
            for _ in range(_AHEAD_OF_BUSY if method in busy else _AHEAD):
                self._hold(self._take_in(method))

    async def _take_in(self, method: str) -> None:
        core, loop, name = self._core, self._loop, method.encode()
        while True:
            try:
                call = await core._request_registered_call(name)  # noqa: SLF001 -- see above
            except _library._RequestCallError:  # noqa: SLF001 -- see above
                if core.is_running():
                    continue
                return
            serving = _library._handle_rpc(method, self._resolver, (), call, loop, False)  # noqa: SLF001 -- see above
            self._hold(_library._schedule_rpc_coro(serving, call, loop, method))  # noqa: SLF001 -- see above

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        # The event loop itself holds tasks weakly.
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The library ends each call by itself; this came from outside of any.
            _log.error("call_lost", error_type=type(error).__qualname__)


def _is_known() -> bool:
    """Whether this edition of grpcio has the names that are needed, with the parameters that are known."""
    found = {name: getattr(_library, name, None) for name in _NEEDED}
    return all(
        each is not None and (not _NEEDED[name] or ", ".join(signature(each).parameters) == _NEEDED[name])
        for name, each in found.items()
    )
