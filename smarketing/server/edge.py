"""The edge of a call: each handler is wrapped once, with all that every call needs.

In order: room, who, may, whose, well-formed, in time, answer. The wrapper takes and returns bytes, so
that hostile input is not even parsed before its sender is known, and a response that cannot be
serialized is an error of ours like any other. One wrapper costs less than a chain of interceptors.
"""

import asyncio
import inspect
import math
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from smarketing.server.admission import Admission, Overflow, server_busy
from smarketing.server.audit import AuditEntry
from smarketing.server.auth import Authenticator
from smarketing.server.calls import CurrentCall, enter_call
from smarketing.server.draining import Draining
from smarketing.server.endings import Endings
from smarketing.server.entrance import Entrance
from smarketing.server.errors import RefusalOf
from smarketing.server.methods import CallLimits, Method
from smarketing.server.policy import Allow, resource_field, resource_reader
from smarketing.server.refusals import deadline_exceeded, library_refusal_of
from smarketing.server.streams import StreamContext, emit, messages
from smarketing.server.telemetry import Telemetry
from smarketing.server.validation import Validator

__all__ = ["CallLimits", "Edge"]

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[..., Any]


class Edge:
    """Wraps the handlers of one process; all of them share its budgets, directory and metrics."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        admission: Admission,
        telemetry: Telemetry,
        draining: Draining,
        validator: Validator,
        limits: CallLimits | None = None,
        refusal_of: RefusalOf = library_refusal_of,
        note_denial: Callable[[AuditEntry], None] = lambda _: None,
        access_log: bool = False,
    ) -> None:
        self._limits = limits = limits or CallLimits()
        self._telemetry = telemetry
        self._default_seconds = limits.default_deadline.total_seconds()
        self._longest_seconds = limits.longest_deadline.total_seconds()
        self._endings = Endings(telemetry=telemetry, refusal_of=refusal_of, access_log=access_log)
        self._entrance = Entrance(
            authenticator=authenticator,
            admission=admission,
            draining=draining,
            telemetry=telemetry,
            validator=validator,
            limits=limits,
            note_denial=note_denial,
        )
        self._methods: dict[str, Method] = {}
        self._busy = server_busy()
        self.overflow = Overflow(most=admission.unary_limit, refusal=self._busy, note=self._turned_away)

    def wrap(
        self, descriptor: MethodDescriptor, line: Allow, handler: "grpc.RpcMethodHandler[Any, Any]"
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return the handler to register instead of `handler`.

        Raises:
            TypeError: the servicer's method is not asynchronous.
        """
        service = descriptor.containing_service.full_name
        method = Method(
            name=f"/{service}/{descriptor.name}",
            line=line,
            resource=resource_reader(descriptor.input_type, line),
            resource_field=resource_field(descriptor.input_type, line),
            parse=cast("Callable[[bytes], Message]", handler.request_deserializer),
            serialize=cast("Callable[[Any], bytes]", handler.response_serializer),
            meter=self._telemetry.meter(service, descriptor.name),
        )
        self._methods[method.name] = method
        serve = _asynchronous(
            method,
            handler.stream_stream or handler.unary_stream or handler.stream_unary or handler.unary_unary,
        )
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream_stream(method, serve))
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._unary_stream(method, serve))
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._stream_unary(method, serve))
        return grpc.unary_unary_rpc_method_handler(self._unary_unary(method, serve))

    def _turned_away(self, name: str) -> None:
        self._endings.turned_away(self._busy, self._methods[name])

    def _unary_unary(self, method: Method, serve: _Serve) -> _Serve:
        entrance, endings = self._entrance, self._endings
        admission = entrance.admission

        async def call(raw: bytes, context: _Context) -> bytes:
            began = method.meter.start()
            try:
                admission.enter_unary()
                try:
                    current = entrance.admit(method, context)
                    request = entrance.accept(method, current, raw)
                    enter_call(current)
                    remaining = current.deadline - began
                    if remaining <= self._longest_seconds:
                        # gRPC itself cancels the handler at the client's deadline: no second timer.
                        answer = method.serialize(await serve(request, context))
                    else:
                        answer = method.serialize(await self._in_time(remaining, serve, request, context))
                finally:
                    admission.leave_unary()
            except BaseException as error:  # noqa: BLE001 - the last resort of every call
                entrance.note_denied(error, method)
                await endings.fail(error, method, context, began)
            endings.succeed(method, began)
            return answer

        return call

    def _stream_unary(self, method: Method, serve: _Serve) -> _Serve:
        async def call(raws: AsyncIterator[bytes], context: _Context) -> bytes:
            began = method.meter.start()
            try:
                async with self._entrance.streaming(method, context) as current:
                    accept = partial(self._entrance.accept, method, current)
                    stream = self._context(method, current, accept)
                    answer = method.serialize(await serve(messages(raws, accept), stream))
            except BaseException as error:  # noqa: BLE001 - the last resort of every call
                await self._endings.fail(error, method, context, began)
            self._endings.succeed(method, began)
            return answer

        return call

    def _unary_stream(self, method: Method, serve: _Serve) -> _Serve:
        async def call(raw: bytes, context: _Context) -> None:
            began = method.meter.start()
            try:
                async with self._entrance.streaming(method, context) as current:
                    request = self._entrance.accept(method, current, raw)
                    await emit(serve, request, self._context(method, current, None))
            except BaseException as error:  # noqa: BLE001 - the last resort of every call
                await self._endings.fail(error, method, context, began)
            self._endings.succeed(method, began)

        return call

    def _stream_stream(self, method: Method, serve: _Serve) -> _Serve:
        async def call(raws: AsyncIterator[bytes], context: _Context) -> None:
            began = method.meter.start()
            try:
                async with self._entrance.streaming(method, context) as current:
                    accept = partial(self._entrance.accept, method, current)
                    await emit(serve, messages(raws, accept), self._context(method, current, accept))
            except BaseException as error:  # noqa: BLE001 - the last resort of every call
                await self._endings.fail(error, method, context, began)
            self._endings.succeed(method, began)

        return call

    def _context(
        self, method: Method, current: CurrentCall, accept: Callable[[bytes], Message] | None
    ) -> StreamContext:
        return StreamContext(
            current.context,
            accept=accept,
            serialize=method.serialize,
            write_seconds=self._limits.stream_write.total_seconds(),
        )

    async def _in_time(self, remaining: float, serve: _Serve, request: Message, context: _Context) -> Any:
        seconds = self._default_seconds if math.isinf(remaining) else self._longest_seconds
        try:
            async with asyncio.timeout(seconds) as timer:
                return await serve(request, context)
        except TimeoutError:
            if timer.expired():
                raise deadline_exceeded() from None
            raise


def _asynchronous(method: Method, serve: _Serve | None) -> _Serve:
    if serve is None or not (inspect.iscoroutinefunction(serve) or inspect.isasyncgenfunction(serve)):
        raise TypeError(f"{method.name} is served by a function that is not asynchronous")
    return serve
