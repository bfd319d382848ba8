"""One channel to one service: deadlines, the caller's token, repetition of what may be repeated."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from smarketing import wallclock
from smarketing.client.errors import CallError, error_of
from smarketing.client.retries import RetryBudget, RetryPolicy
from smarketing.client.settings import ClientSettings

__all__ = ["Connection", "each_page"]

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)

_SERVING = 1

# The pings agree with what the servers allow (one per 20 s at most); a server that vanished without
# a word is noticed after 40 s, also under a stream on which nothing moves.
_CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
)


class Connection:
    """The channel to one target, shared by every client of that service."""

    def __init__(self, target: str, settings: ClientSettings, *, retries: RetryPolicy | None = None) -> None:
        self.target = target
        """Where it leads."""
        self.retries = retries or RetryPolicy()
        """How calls are repeated."""
        self.channel = _open(target, settings)
        """The channel; closed with the connection."""
        self.metadata: tuple[tuple[str, str], ...] = ()
        """What every call carries."""
        if settings.token is not None:
            self.metadata = (("authorization", f"Bearer {settings.token.reveal()}"),)
        self._timeout = settings.timeout
        self._budget = RetryBudget()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way end."""
        await self.channel.close()

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Q, A],
        request: Q,
        within: timedelta | None = None,
    ) -> A:
        """Return the answer to `request`.

        A request without `request_id` gets one, and every attempt carries the same.
        Repeated when the service is unavailable or cut the call, and when it is overloaded and says when,
        while the time given with `within` (10 s unless set otherwise) and the connection's budget allow.

        Raises:
            CallError: the last attempt's.
        """
        request = _identified(request)
        deadline = wallclock.monotonic() + (within or self._timeout).total_seconds()
        failures = 0
        while True:
            try:
                answer = await method(
                    request, timeout=deadline - wallclock.monotonic(), metadata=self.metadata
                )
            except grpc.aio.AioRpcError as error:
                failure = error_of(error)
            else:
                self._budget.succeeded()
                return answer
            failures += 1
            delay = self._delay_seconds(failure, failures)
            if delay is None or wallclock.monotonic() + delay >= deadline:
                raise failure
            await self.retries.sleep(delay)

    async def is_serving(self, service: str = "") -> bool:
        """Whether the server is alive (`service` empty), or the named service ready.

        Raises:
            CallError: nobody answers.
        """
        # `StringValue` and `Int32Value` have the bytes of the health protocol's request and response,
        # so the client needs no package of the server's for it.
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Int32Value.FromString,
        )
        answer: Int32Value = await self.call(check, StringValue(value=service))
        return answer.value == _SERVING

    def _delay_seconds(self, failure: CallError, failures: int) -> float | None:
        """How long to wait before the next attempt; `None` when there is none."""
        overloaded = failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED and failure.retry_delay is not None
        stops = failure.reason == "SERVER_DRAINING"
        # A server that stops cuts calls that it had not begun; whoever asks cancels by another way.
        cut = failure.code is grpc.StatusCode.CANCELLED and not failure.reason
        if failure.code is not grpc.StatusCode.UNAVAILABLE and not overloaded and not cut:
            return None
        # Of all the calls that a replica leaves behind each may go to another: none of them was a load.
        if not stops and not cut and not self._budget.failed():
            return None
        # A server that stops will soon have: who finds no other one waits for the next.
        if failures >= self.retries.attempts and not stops:
            return None
        delay = self.retries.delay_seconds(failures)
        return delay if failure.retry_delay is None else max(delay, failure.retry_delay.total_seconds())


async def each_page(fetch: Callable[[Q], Awaitable[A]], request: Q) -> AsyncGenerator[A, None]:
    """Yield the response of a List method page by page, from the page that `request` names to the last."""
    page_request = type(request)()
    page_request.CopyFrom(request)
    while True:
        page = await fetch(page_request)
        yield page
        # Every List response has this field, but no common type that says so.
        next_page_token: str = _field(page, "next_page_token")
        if not next_page_token:
            return
        setattr(page_request, "page_token", next_page_token)  # noqa: B010 - as above


def _field(message: Message, name: str) -> Any:
    return getattr(message, name)


def _identified(request: Q) -> Q:
    if "request_id" not in request.DESCRIPTOR.fields_by_name or _field(request, "request_id"):
        return request
    identified = type(request)()
    identified.CopyFrom(request)
    setattr(identified, "request_id", wallclock.new_uuid())  # noqa: B010 - any mutating request's
    return identified


def _open(target: str, settings: ClientSettings) -> grpc.aio.Channel:
    options = [*_CHANNEL_OPTIONS]
    if "," in target:
        # Left to itself the whole list would be the name by which each server is called, and is none.
        first = target.partition(",")[0].rpartition("/")[2].removeprefix("ipv4:").removeprefix("ipv6:")
        options.append(("grpc.default_authority", first))
    if not settings.encrypts(target):
        return grpc.aio.insecure_channel(target, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_bytes_of(settings.tls_ca_file),
        private_key=_bytes_of(settings.tls_client_key_file),
        certificate_chain=_bytes_of(settings.tls_client_certificate_file),
    )
    return grpc.aio.secure_channel(target, credentials, options=options)


def _bytes_of(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
