"""Follows the log of a peer over gRPC, across its restarts and the network's."""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import structlog
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.eventlog.reading import LogRegressed

_log = structlog.get_logger(__name__)

CHANNEL_OPTIONS: Final = (
    # Without these a channel whose peer is away tries again after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_retries", 0),
    # Left to itself the window grows with what the network could carry, and a slow reader holds it all.
    # This one takes the largest response whole: a call that ends within one may leave its reader waiting.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
)
"""Options for the channel to a peer whose log is followed."""

_LONGEST_BACKOFF_SECONDS: Final = 5.0
_SHORTEST_BACKOFF_SECONDS: Final = 0.05
_REPORT_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Some events of a log as the feed delivered them, and how far the log reaches; no events in a bookmark.

    Nothing is promised of `events` but that they are the log's: the consumer checks their positions.
    """

    log_id: str
    events: Sequence[eventlogpb.Event]
    head_position: int


def spread(name: str, attempt: int) -> float:
    """Return a number from 0 to 1 that differs between names and attempts: jitter without dice."""
    digest = hashlib.sha256(f"{name}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32


class EventSource(Protocol):
    """Where a consumer gets events from: `Feed`, or another transport of the same log."""

    def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield events behind `after` for ever; may repeat, reorder or leave out."""

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return one page of the log itself: contiguous behind `after`."""


def backoff_seconds(name: str, attempt: int) -> float:
    """Return how long to wait before a further attempt: doubling, bounded, and different for each name."""
    longest = min(_LONGEST_BACKOFF_SECONDS, _SHORTEST_BACKOFF_SECONDS * 2.0 ** min(attempt, 16))
    return longest * (0.5 + 0.5 * spread(name, attempt))


class Feed:
    """One view of a peer's log, followed on behalf of one reader.

    `metadata` gives the call's credentials, asked anew for each call so that a token may be rotated.
    In memory are at most `buffer_bytes` of events that wait to be taken, as much that was taken, two
    responses more, and what the channel holds back: 4 MiB with `CHANNEL_OPTIONS`.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        name: str,
        view: str = "tenants/-",
        metadata: Callable[[], Sequence[tuple[str, str]]] = tuple,
        credit: int = 10_000,
        buffer_bytes: int = 8 * 1024 * 1024,
        silence_seconds: float = 15.0,
        read_seconds: float = 30.0,
    ) -> None:
        self._stub = EventLogServiceStub(channel)
        self._name = name
        self._view = view
        self._metadata = metadata
        self._credit = credit
        self._buffer_bytes = buffer_bytes
        self._silence_seconds = silence_seconds
        self._read_seconds = read_seconds

    @property
    def view(self) -> str:
        """The view that is followed."""
        return self._view

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return one page of the log behind `after`, by a call of its own.

        Raises:
            LogRegressed: as `follow`.
            grpc.aio.AioRpcError: when the peer cannot be asked.
        """
        request = eventlogpb.ReadEventsRequest(
            parent=self._view, log_id=log_id, after_position=after, limit=limit
        )
        try:
            response = await self._stub.ReadEvents(
                request, timeout=self._read_seconds, metadata=tuple(self._metadata())
            )
        except grpc.aio.AioRpcError as error:
            raise _regression_in(error, log_id, after) or error from error
        return FeedBatch(response.log_id, response.events, response.head_position)

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield what is behind `after`, then what is recorded, for ever.

        Reconnects by itself, behind the last event it yielded, and only to a log that still has it.
        A peer that says nothing for `silence_seconds`, not even a bookmark, is asked anew over a new call.

        Raises:
            LogRegressed: when the peer's log is another one than `log_id`, ends before `after`, or holds
                another event there than the one that was yielded.
        """
        attempt = 0
        last: eventlogpb.Event | None = None
        while True:
            try:
                async with aclosing(self._watch(log_id, after, last)) as batches:
                    async for batch in batches:
                        attempt = 0
                        yield batch
                        log_id = batch.log_id
                        if batch.events and batch.events[-1].position > after:
                            last = batch.events[-1]
                            after = last.position
            except grpc.aio.AioRpcError as error:
                regression = _regression_in(error, log_id, after)
                if regression is not None:
                    raise regression from error
                self._report(attempt, error.code().name, _reason_of(error))
            except TimeoutError:
                self._report(attempt, "SILENT", "")
            await asyncio.sleep(backoff_seconds(self._name, attempt))
            attempt += 1

    async def _watch(
        self, log_id: str, after: int, last: eventlogpb.Event | None
    ) -> AsyncGenerator[FeedBatch, None]:
        call: Any = self._stub.WatchEvents(metadata=tuple(self._metadata()))
        buffer = _Buffer(self._buffer_bytes)
        start = eventlogpb.WatchStart(
            parent=self._view,
            log_id=log_id,
            after_position=after,
            credit=self._credit,
            after_record_time=last.record_time if last is not None else None,
        )
        receiving = asyncio.create_task(self._receive(call, start, buffer))
        try:
            async with aclosing(buffer.waiting()) as waiting:
                async for responses in waiting:
                    # A reader that is behind takes more at once, and so catches up with fewer commits.
                    events = [event for response in responses for event in response.events]
                    yield FeedBatch(responses[-1].log_id, events, responses[-1].head_position)
        finally:
            receiving.cancel()
            call.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _receive(self, call: Any, start: eventlogpb.WatchStart, buffer: "_Buffer") -> None:
        """Move responses into the buffer and renew the credit, until the call ends or fails."""
        try:
            await call.write(eventlogpb.WatchEventsRequest(start=start))
            used = 0
            while True:
                async with asyncio.timeout(self._silence_seconds):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    buffer.end(None)
                    return
                await buffer.put(response)
                used += len(response.events)
                if used >= self._credit // 2:
                    # A call that ended meanwhile says why when it is read.
                    with suppress(asyncio.InvalidStateError):
                        await call.write(eventlogpb.WatchEventsRequest(credit=used))
                    used = 0
        except Exception as error:  # noqa: BLE001 -- handed to the reader, who decides
            buffer.end(error)

    def _report(self, attempt: int, code: str, reason: str) -> None:
        # The first failure and then some: a peer that is away for an hour is one story, not thousands.
        if attempt % _REPORT_EVERY == 0:
            _log.warning("feed_interrupted", feed=self._name, code=code, reason=reason, attempt=attempt)


class _Buffer:
    """Responses between the call and the reader; full, it keeps the call from being read."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: deque[tuple[eventlogpb.WatchEventsResponse, int]] = deque()
        self._held_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    async def put(self, response: eventlogpb.WatchEventsResponse) -> None:
        """Add a response, once there is room."""
        while self._held_bytes > self._limit_bytes:
            await self._change()
        size = response.ByteSize()
        self._held.append((response, size))
        self._held_bytes += size
        self._changed.set()

    def end(self, error: Exception | None) -> None:
        """Nothing follows; `error` is for the reader."""
        self._ended = True
        self._error = error
        self._changed.set()

    async def waiting(self) -> AsyncGenerator[list[eventlogpb.WatchEventsResponse], None]:
        """Yield all that waits, as often as something does, until the end; then raise the error if any."""
        while True:
            while self._held:
                responses = [response for response, _ in self._held]
                self._held.clear()
                self._held_bytes = 0
                self._changed.set()
                yield responses
            if self._ended:
                if self._error is not None:
                    raise self._error
                return
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the stable reason of a refusal; empty when the error carries none."""
    return _info_of(error)[0]


def _info_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    try:
        status = rpc_status.from_call(error)
    except ValueError:
        return "", {}
    for detail in status.details if status is not None else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return info.reason, dict(info.metadata)
    return "", {}


def _regression_in(error: grpc.aio.AioRpcError, log_id: str, after: int) -> LogRegressed | None:
    if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
        return None
    reason, metadata = _info_of(error)
    if reason != "LOG_REGRESSED":
        return None
    return LogRegressed(
        wanted_log_id=log_id,
        wanted_position=after,
        log_id=metadata.get("log_id", ""),
        head_position=int(metadata.get("head_position", "0")),
    )
