"""The second engine: HTTP/2 and gRPC outside of the interpreter's lock, under the same wrapped handlers.

It serves what the edge has wrapped for bytes and what sends one request: unary calls and response
streams. Request streams, health and reflection are passed on to a grpcio server behind it, on a socket
in a folder that only this user can enter.
"""

import asyncio
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import grpc
import grpc.aio
from pygrpc_native import EVENT_CANCEL, STREAM_CLOSED, STREAM_FULL, NativeGrpcFront

from smarketing import wallclock
from smarketing.logs import get_log
from smarketing.server.admission import Overflow
from smarketing.server.draining import server_draining
from smarketing.server.errors import internal, trailers_of

__all__ = ["NativeServer"]

_log = get_log(__name__)

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Metadata = Sequence[tuple[str, str | bytes]]
_Refusal: TypeAlias = "tuple[grpc.StatusCode, str, _Metadata]"
_CallDetails = tuple[_Metadata, str, float | None]

_EVENTS_AT_ONCE: Final = 64
_SHORTEST_PAUSE_SECONDS: Final = 0.0005
_LONGEST_PAUSE_SECONDS: Final = 0.02
# The engine closes without waiting for what it was given to send, and does not say when that is sent.
_LAST_WORDS_SECONDS: Final = 0.25
# Where calls were under way when it was told to stop: under load their answers took longer than that.
_LAST_WORDS_OF_CALLS_SECONDS: Final = 1.0
_NOTHING_MORE: Final[_Metadata] = ()
_STATUS_TRAILER: Final = "grpc-status-details-bin"

# Above its limit the engine answers HTTP 431, which says nothing to a gRPC client: so that most of what
# is too much gets a status, the engine's limit is this many times ours.
_METADATA_ROOM: Final = 4
_FEW: Final = 16
"""Calls of one connection for which there may be room however small the budget is."""
# As HTTP/2 counts a header list.
_BYTES_A_HEADER: Final = 32


class NativeServer:
    """Serves on one address of this machine, without TLS; used from the event loop that starts it."""

    def __init__(
        self,
        *,
        message_bytes: int,
        metadata_bytes: int,
        calls_per_connection: int,
        keepalive_milliseconds: int,
        keepalive_timeout_milliseconds: int,
        overflow: Overflow,
    ) -> None:
        self._message_bytes = message_bytes
        self._metadata_bytes = metadata_bytes
        self._gate = _Gate(overflow)
        self._front_options: dict[str, Any] = {
            "call_details": True,
            "delay_stream_headers": True,
            "keepalive_time_ms": keepalive_milliseconds,
            "keepalive_timeout_ms": keepalive_timeout_milliseconds,
            "max_concurrent_streams": calls_per_connection,
            "max_metadata_size": _METADATA_ROOM * metadata_bytes,
        }
        # One connection carries what is passed on, so its life is not limited: a limit would end
        # calls of every client at once.
        self._behind = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", message_bytes),
                ("grpc.max_send_message_length", message_bytes),
                ("grpc.max_metadata_size", metadata_bytes // 2),
                ("grpc.absolute_max_metadata_size", metadata_bytes),
            ]
        )
        self._folder = ""
        self._methods: dict[str, _Handler] = {}
        self._served: list[tuple[str, _Handler]] = []
        self._front: NativeGrpcFront | None = None
        self._calls: dict[int, _Call] = {}
        self._stopping: asyncio.Task[None] | None = None

    def serve(self, service: str, handlers: Mapping[str, _Handler], *, busy: Collection[str]) -> None:  # noqa: ARG002 -- here all are served alike
        """Serve the methods of a service."""
        self.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, dict(handlers)),))
        for name, handler in handlers.items():
            if not handler.request_streaming and handler.request_deserializer is None:
                self._methods[f"/{service}/{name}"] = handler

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Pass on what has no fast way."""
        self._behind.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, _Handler]) -> None:
        """Pass over: the same handlers come as generic ones."""

    def add_insecure_port(self, address: str) -> int:
        """Take the address and return its port.

        Raises:
            RuntimeError: it is taken, or not an address of this machine.
        """
        try:
            self._front = NativeGrpcFront(address, [], **self._front_options)
        except OSError as error:
            raise RuntimeError(f"{address} cannot be bound") from error
        return self._front.bound_port

    def add_secure_port(self, address: str, _credentials: grpc.ServerCredentials) -> NoReturn:
        """Refuse: this engine has no TLS."""
        raise RuntimeError(f"{address} cannot be served with TLS by this engine")

    async def start(self) -> None:
        """Begin to serve on the address taken."""
        front = self._taken()
        self._folder = tempfile.mkdtemp(prefix="smarketing-")
        behind = str(Path(self._folder) / "grpc.sock")
        self._behind.add_insecure_port(f"unix:{behind}")
        await self._behind.start()
        front.set_fallback(behind)
        front.add_methods([(path, bool(each.response_streaming)) for path, each in self._methods.items()])
        self._served = list(self._methods.items())
        front.start()
        receiving = partial(self._receive, front, asyncio.get_running_loop())
        threading.Thread(target=receiving, name="grpc-native", daemon=True).start()

    async def stop(self, grace: float | None) -> None:
        """Refuse new calls, give the running ones `grace` seconds, cancel the rest, and close."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(grace))
        await asyncio.shield(self._stopping)

    def _taken(self) -> NativeGrpcFront:
        if self._front is None:
            raise RuntimeError("no address was added")
        return self._front

    async def _stop(self, grace: float | None) -> None:
        behind = asyncio.create_task(self._behind.stop(grace))
        running = [call.task for call in self._calls.values()]
        if running and grace:
            await asyncio.wait(running, timeout=grace)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        await behind
        if self._front is not None:
            await asyncio.sleep(_LAST_WORDS_OF_CALLS_SECONDS if running else _LAST_WORDS_SECONDS)
            await asyncio.to_thread(self._front.close)
        if self._folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _receive(self, front: NativeGrpcFront, loop: asyncio.AbstractEventLoop) -> None:
        while (events := front.recv_batch_details(_EVENTS_AT_ONCE)) is not None:
            try:
                # On this thread, because the loop is what has no time when there is no room: see ADR 0050.
                let_in = [each for each in events if self._let_in(front, each)]
            except Exception as error:
                _log.error("calls_not_received", error_type=type(error).__qualname__)
                front.close()
                raise
            try:
                loop.call_soon_threadsafe(self._take, front, loop, let_in)
            except RuntimeError:
                # The loop ended without stopping us.
                front.close()
                return

    def _let_in(self, front: NativeGrpcFront, event: Any) -> bool:
        kind, call_id, method, _, _, details = event
        if kind == EVENT_CANCEL:
            return True
        name, handler = self._served[method]
        # While it stops, the loop says so to every call.
        if handler.response_streaming or self._gate.enter(
            details[1], at_all_costs=self._stopping is not None
        ):
            return True
        self._gate.turn_away(front, call_id, name)
        return False

    def _take(self, front: NativeGrpcFront, loop: asyncio.AbstractEventLoop, events: Iterable[Any]) -> None:
        for kind, call_id, method, raw, _, details in events:
            if kind == EVENT_CANCEL:
                call = self._calls.get(call_id)
                if call is not None:
                    call.give_up()
                continue
            _, handler = self._served[method]
            call = _Call(front, call_id, details, message_bytes=self._message_bytes)
            if not handler.response_streaming:
                self._gate.begin(call.peer())
            if (refusal := self._refusal(call, raw)) is not None:
                if not handler.response_streaming:
                    self._gate.leave()
                call.refuse(*refusal)
                continue
            serve = handler.unary_stream if handler.response_streaming else handler.unary_unary
            self._calls[call_id] = call
            call.task = loop.create_task(serve(raw, call))
            call.task.add_done_callback(
                partial(self._stream_ended, call)
                if handler.response_streaming
                else partial(self._unary_ended, call)
            )

    def _refusal(self, call: "_Call", raw: bytes) -> "_Refusal | None":
        if self._stopping is not None:
            refusal = server_draining()
            return refusal.code, refusal.message, trailers_of(refusal)
        if call.metadata_bytes() > self._metadata_bytes:
            return _METADATA_TOO_LARGE
        if len(raw) > self._message_bytes:
            return _REQUEST_TOO_LARGE
        return None

    def _unary_ended(self, call: "_Call", task: "asyncio.Task[Any]") -> None:
        self._gate.leave()
        self._ended(call, call.answer, task)

    def _stream_ended(self, call: "_Call", task: "asyncio.Task[Any]") -> None:
        self._ended(call, call.end_stream, task)

    def _ended(self, call: "_Call", succeed: Any, task: "asyncio.Task[Any]") -> None:
        del self._calls[call.call_id]
        if task.cancelled():
            call.refuse(grpc.StatusCode.CANCELLED, "The call was cancelled.")
            return
        error = task.exception()
        if error is None:
            succeed(task.result())
        elif isinstance(error, grpc.aio.AbortError):
            call.refuse(call.code(), call.details(), call.trailing_metadata())
        else:
            # The edge turns every error into an abort; this one came from outside of it.
            error_id = wallclock.new_id()
            _log.error("call_lost", error_id=error_id, error_type=type(error).__qualname__)
            refusal = internal(error_id)
            call.refuse(refusal.code, refusal.message, trailers_of(refusal))


class _Gate:
    """Counts the unary calls that wait for the event loop or run; the loop and the receiving thread use it.

    Of the places no connection takes more than half, or a few, by calls at which nobody has looked yet, so
    that calls without a token, or beyond a quota, leave room for others.
    """

    def __init__(self, overflow: Overflow) -> None:
        refusal = overflow.refusal
        self._most = overflow.most
        self._most_waiting = max(_FEW, overflow.most // 2)
        self._note = overflow.note
        self._answer = (refusal.code.value[0], refusal.message, _sendable(trailers_of(refusal)))
        self._lock = threading.Lock()
        self._inside = 0
        self._waiting_of: Counter[str] = Counter()

    def enter(self, peer: str, *, at_all_costs: bool) -> bool:
        """Count a call of a connection in, unless there is no room for it."""
        with self._lock:
            full = self._inside >= self._most or self._waiting_of[peer] >= self._most_waiting
            if full and not at_all_costs:
                return False
            self._inside += 1
            self._waiting_of[peer] += 1
            return True

    def begin(self, peer: str) -> None:
        """Note that the event loop looks at a call."""
        with self._lock:
            self._waiting_of[peer] -= 1
            if not self._waiting_of[peer]:
                del self._waiting_of[peer]

    def leave(self) -> None:
        """Count a call out."""
        with self._lock:
            self._inside -= 1

    def turn_away(self, front: NativeGrpcFront, call_id: int, name: str) -> None:
        """Refuse a call, and note it."""
        front.fail(call_id, *self._answer)
        self._note(name)


class _Call:
    """A running call, and the context that its handler sees."""

    __slots__ = (
        "_code",
        "_deadline",
        "_details",
        "_front",
        "_message_bytes",
        "_metadata",
        "_peer",
        "_trailing",
        "call_id",
        "task",
    )

    task: "asyncio.Task[Any]"

    def __init__(
        self,
        front: NativeGrpcFront,
        call_id: int,
        details: _CallDetails,
        *,
        message_bytes: int,
    ) -> None:
        metadata, peer, remaining_seconds = details
        self.call_id = call_id
        self._front = front
        self._message_bytes = message_bytes
        self._metadata = metadata
        self._peer = peer
        self._deadline = None if remaining_seconds is None else wallclock.monotonic() + remaining_seconds
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing = _NOTHING_MORE

    def invocation_metadata(self) -> _Metadata:
        """Return what the client sent with its call."""
        return self._metadata

    def metadata_bytes(self) -> int:
        """Return how much the client sent beside its request."""
        return sum([_BYTES_A_HEADER + len(name) + len(value) for name, value in self._metadata])

    def peer(self) -> str:
        """Return where the client is."""
        return self._peer

    def time_remaining(self) -> float | None:
        """Return how many seconds the client still waits; `None` when it said nothing of that."""
        return None if self._deadline is None else max(0.0, self._deadline - wallclock.monotonic())

    def set_trailing_metadata(self, metadata: _Metadata) -> None:
        """Send `metadata` at the end of the call."""
        self._trailing = metadata

    def trailing_metadata(self) -> _Metadata:
        """Return what will be sent at the end."""
        return self._trailing

    def code(self) -> grpc.StatusCode:
        """Return how the call was aborted; OK when it was not."""
        return self._code or grpc.StatusCode.OK

    def details(self) -> str:
        """Return the words with which the call was aborted."""
        return self._details

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: _Metadata = _NOTHING_MORE
    ) -> NoReturn:
        """End the call with a status other than OK."""
        self._code, self._details = code, details
        if trailing_metadata:
            self._trailing = trailing_metadata
        raise grpc.aio.AbortError(details)

    async def write(self, raw: bytes) -> None:
        """Send one message of a stream, once its reader has room for it."""
        if self._too_large(raw):
            await self.abort(*_ANSWER_TOO_LARGE)
        pause = _SHORTEST_PAUSE_SECONDS
        while (sent := self._front.stream_try_send(self.call_id, raw)) == STREAM_FULL:
            # The engine's own way to wait keeps a thread for each reader that sleeps.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        if sent == STREAM_CLOSED:
            self.give_up()
            await asyncio.sleep(0)

    def give_up(self) -> None:
        """Stop the handler: nobody waits any more."""
        self.task.cancel()

    def answer(self, raw: bytes) -> None:
        """End a unary call with its response."""
        if self._too_large(raw):
            self.refuse(*_ANSWER_TOO_LARGE)
            return
        self._front.respond(self.call_id, raw, None, self._trailing or None)

    def end_stream(self, _nothing: None) -> None:
        """End a stream after its last message."""
        self._front.stream_end(self.call_id, self._trailing or None)

    def refuse(self, code: grpc.StatusCode, details: str, trailing: _Metadata = _NOTHING_MORE) -> None:
        """End the call with a status other than OK."""
        self._front.fail(self.call_id, code.value[0], details, _sendable(trailing))

    def _too_large(self, raw: bytes) -> bool:
        return len(raw) > self._message_bytes


def _sendable(trailing: _Metadata) -> list[tuple[str, str | bytes]] | None:
    """Return what the engine takes of the trailers: it keeps their prefix for itself, but for the one."""
    # A delay then stands in `RetryInfo`.
    return [
        each for each in trailing if each[0] == _STATUS_TRAILER or not each[0].startswith("grpc-")
    ] or None


_METADATA_TOO_LARGE: Final[_Refusal] = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "The call's metadata is larger than allowed.",
    _NOTHING_MORE,
)
_REQUEST_TOO_LARGE: Final[_Refusal] = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "The request is larger than this server takes.",
    _NOTHING_MORE,
)
_ANSWER_TOO_LARGE: Final = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "The answer is larger than this server sends; ask for less.",
)
