"""Long streams of items sent in batches, answered in order, and resumed where the answers ended."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2

from smarketing import wallclock
from smarketing.client.connection import Connection
from smarketing.client.errors import CallError, UnavailableError, error_of, error_of_status
from smarketing.client.retries import Patience

__all__ = ["Answer", "BatchOptions", "BatchStream"]

_GATHERED_AHEAD = 1_000


class _Result(Protocol):
    @property
    def error(self) -> status_pb2.Status: ...


Item = TypeVar("Item")
Gathered = TypeVar("Gathered", covariant=True)  # noqa: PLC0105 - a word, not a letter soup
Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
R = TypeVar("R", bound=_Result)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a stream of items is cut and how much of it is under way at once."""

    batch_size: int = 200
    """Items in a batch, at most 500."""
    batches_in_flight: int = 4
    """Batches sent and not yet answered."""
    linger: timedelta = timedelta(milliseconds=100)
    """How long a batch of a slow asynchronous source waits to be filled."""
    answer_timeout: timedelta = timedelta(seconds=30)
    """A stream on which an awaited answer stays out so long is opened anew."""
    patience: timedelta = timedelta(minutes=2)
    """How long to go on connecting without one further answer."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Item, R]):
    """What became of one item."""

    index: int
    """0, 1, 2 … in the order of the source."""
    item: Item
    """As given."""
    result: R
    """As answered."""
    refusal: CallError | None
    """Why it was refused; `None` when it was not."""


@dataclass(frozen=True, slots=True)
class _Batch(Generic[Item, Q]):
    request_id: str
    first_index: int
    items: Sequence[Item]
    request: Q


class BatchStream(Generic[Item, Q, A, R]):
    """Sends items over a bidirectional method, and sends again only the batches not yet answered.

    `request_of` makes a batch's request from its id and items; `results_of` takes an answer apart
    into the batch's id and one result for each item.
    """

    def __init__(
        self,
        connection: Connection,
        method: grpc.aio.StreamStreamMultiCallable[Q, A],
        *,
        request_of: Callable[[str, Sequence[Item]], Q],
        results_of: Callable[[A], tuple[str, Sequence[R]]],
        options: BatchOptions,
    ) -> None:
        self._connection = connection
        self._method = method
        self._request_of = request_of
        self._results_of = results_of
        self._options = options
        self._unanswered: deque[_Batch[Item, Q]] = deque()
        self._sent_count = 0
        self._gathering: asyncio.Task[Sequence[Item]] | None = None
        self._ended = False
        self._welcome = False

    async def answers(
        self, items: Iterable[Item] | AsyncIterable[Item]
    ) -> AsyncGenerator[list[Answer[Item, R]], None]:
        """Yield the answers of one batch after the other, in the order of `items`.

        At most `batches_in_flight` batches are read ahead of the answers.

        Raises:
            CallError: the stream was refused, or could not be resumed in `patience`.
        """
        source = _source_of(items, self._options)
        patience = Patience(self._connection.retries, self._options.patience)
        try:
            while not (self._ended and not self._unanswered):
                call = self._method(metadata=self._connection.metadata)
                failure: CallError | None = None
                try:
                    async with aclosing(self._converse(call, source)) as conversation:
                        async for answers in conversation:
                            patience.progressed()
                            yield answers
                except grpc.aio.AioRpcError as error:
                    failure = error_of(error)
                except _Cut as cut:
                    failure = UnavailableError(grpc.StatusCode.UNAVAILABLE, "", str(cut))
                finally:
                    call.cancel()
                if failure is not None:
                    await patience.rest(failure)
        finally:
            await self._stop_gathering()
            await source.close()

    async def _converse(
        self, call: grpc.aio.StreamStreamCall[Q, A], source: "_Source[Item]"
    ) -> AsyncGenerator[list[Answer[Item, R]], None]:
        # A refused stream that is still being written to loses its status in gRPC: so one batch goes
        # first, and the others follow when its answer has shown that the caller is welcome.
        self._welcome = False
        if self._unanswered:
            await _write(call, self._unanswered[0].request)
        reading: asyncio.Future[object] | None = None
        try:
            while True:
                self._gather(source)
                if reading is None and self._unanswered:
                    reading = asyncio.ensure_future(call.read())
                if reading is None and self._gathering is None:
                    await self._end(call)
                    return
                await self._wait(reading)
                if self._may_send() and self._gathering is not None and self._gathering.done():
                    await self._send(call)
                if reading is not None and reading.done():
                    answers = self._matched(await reading)
                    reading = None
                    yield answers
                    await self._resend(call)
        finally:
            await _cancelled(reading)

    async def _end(self, call: grpc.aio.StreamStreamCall[Q, A]) -> None:
        # Everything is answered; the server may still tell how the stream ended, but need not.
        await call.done_writing()
        with suppress(TimeoutError, grpc.aio.AioRpcError):
            await asyncio.wait_for(call.read(), self._options.answer_timeout.total_seconds())

    def _may_send(self) -> bool:
        return self._welcome or not self._unanswered

    async def _resend(self, call: grpc.aio.StreamStreamCall[Q, A]) -> None:
        if not self._welcome:
            self._welcome = True
            for batch in self._unanswered:
                await _write(call, batch.request)

    def _gather(self, source: "_Source[Item]") -> None:
        most = self._options.batches_in_flight if self._welcome else 1
        has_room = len(self._unanswered) < most
        if self._gathering is None and not self._ended and has_room:
            self._gathering = asyncio.ensure_future(source.next_batch())

    async def _wait(self, reading: asyncio.Future[object] | None) -> None:
        gathering = self._gathering if self._may_send() else None
        tasks = {task for task in (reading, gathering) if task is not None}
        timeout = None if reading is None else self._options.answer_timeout.total_seconds()
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise _Cut(f"No answer came for {timeout:g} s.")

    async def _send(self, call: grpc.aio.StreamStreamCall[Q, A]) -> None:
        assert self._gathering is not None  # noqa: S101 - its only caller has just looked
        gathered, self._gathering = self._gathering, None
        items = gathered.result()
        if not items:
            self._ended = True
            return
        request_id = wallclock.new_uuid()
        batch = _Batch(request_id, self._sent_count, items, self._request_of(request_id, items))
        self._sent_count += len(items)
        # Kept before it is written: a write that fails half-way is repeated like one never answered.
        self._unanswered.append(batch)
        await _write(call, batch.request)

    def _matched(self, response: object) -> list[Answer[Item, R]]:
        if response is grpc.aio.EOF:
            raise _Cut("The stream ended before every batch was answered.")
        # gRPC types what it reads as an object, because of the mark for the end.
        request_id, results = self._results_of(cast("A", response))
        batch = self._unanswered[0]
        if request_id != batch.request_id or len(results) != len(batch.items):
            raise CallError(grpc.StatusCode.DATA_LOSS, "", "The service answered a batch that was not asked.")
        self._unanswered.popleft()
        return [
            Answer(batch.first_index + offset, item, result, _refusal_of(result))
            for offset, (item, result) in enumerate(zip(batch.items, results, strict=True))
        ]

    async def _stop_gathering(self) -> None:
        gathering, self._gathering = self._gathering, None
        await _cancelled(gathering)


class _Cut(Exception):
    """The stream came to an end of which gRPC made no error."""


async def _write(call: grpc.aio.StreamStreamCall[Q, A], request: Q) -> None:
    try:
        await call.write(request)
    except asyncio.InvalidStateError as error:
        # gRPC says only that the call is over; reading tells how it ended, and a refusal must be heard.
        await call.read()
        raise _Cut("The stream had ended when the next batch was ready.") from error


class _Source(Protocol[Gathered]):
    async def next_batch(self) -> Sequence[Gathered]:
        """Return the next items; none at the end."""
        ...

    async def close(self) -> None: ...


class _ReadySource(Generic[Item]):
    """Items that are there when asked for: a list, a generator, a file."""

    def __init__(self, items: Iterable[Item], options: BatchOptions) -> None:
        self._items = iter(items)
        self._batch_size = options.batch_size

    async def next_batch(self) -> Sequence[Item]:
        return list(itertools.islice(self._items, self._batch_size))

    async def close(self) -> None:
        return None


class _ArrivingSource(Generic[Item]):
    """Items that arrive when they arrive; a batch goes out full, or `linger` after its first item."""

    def __init__(self, items: AsyncIterable[Item], options: BatchOptions) -> None:
        self._options = options
        self._arrived: asyncio.Queue[Item] = asyncio.Queue(maxsize=_GATHERED_AHEAD)
        self._pump = asyncio.ensure_future(self._take(items))

    async def _take(self, items: AsyncIterable[Item]) -> None:
        async for item in items:
            await self._arrived.put(item)

    async def next_batch(self) -> Sequence[Item]:
        first = await self._next(None)
        batch = list(first)
        ends_at = wallclock.monotonic() + self._options.linger.total_seconds()
        while batch and len(batch) < self._options.batch_size:
            further = await self._next(max(0.0, ends_at - wallclock.monotonic()))
            if not further:
                break
            batch.extend(further)
        return batch

    async def _next(self, timeout: float | None) -> list[Item]:  # noqa: ASYNC109 - `asyncio.wait` keeps it
        if not self._arrived.empty():
            return [self._arrived.get_nowait()]
        getting = asyncio.ensure_future(self._arrived.get())
        try:
            await asyncio.wait({getting, self._pump}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return [getting.result()]
            # The last item may have been put, and its taker not yet woken, when the pump ends.
            if not self._arrived.empty():
                return [self._arrived.get_nowait()]
            if self._pump.done():
                self._pump.result()
            return []
        finally:
            getting.cancel()

    async def close(self) -> None:
        await _cancelled(self._pump)


def _source_of(items: Iterable[Item] | AsyncIterable[Item], options: BatchOptions) -> _Source[Item]:
    if isinstance(items, AsyncIterable):
        return _ArrivingSource(items, options)
    return _ReadySource(items, options)


async def _cancelled(task: "asyncio.Future[Any] | None") -> None:
    if task is None:
        return
    task.cancel()
    # The task's own failure has been told already, or nobody waits for it any more.
    with suppress(asyncio.CancelledError, Exception):
        await task


def _refusal_of(result: _Result) -> CallError | None:
    return error_of_status(result.error) if result.error.code else None
