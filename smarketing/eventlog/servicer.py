"""Serves this service's log: `ReadEvents` for pages, `WatchEvents` for following it.

Who may read which view is decided before a call comes here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, Final

import grpc
import structlog

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceServicer
from smarketing.eventlog import reading
from smarketing.eventlog.checksums import EventDamaged
from smarketing.eventlog.reading import LogRegressed, Page
from smarketing.server.draining import Draining, server_draining
from smarketing.server.errors import Refusal, field_invalid
from smarketing.sql import ReadersBusy, Writer

_log = structlog.get_logger(__name__)

DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 5_000
MAX_CREDIT: Final = 100_000
MAX_CREDIT_TOTAL: Final = 1_000_000

_PAGE_OF_WATCH: Final = 1_000
_REST_SECONDS: Final = 0.005
"""At most 200 reads a second for one watch, however often others commit."""


class EventLogServicer(EventLogServiceServicer):
    """The event log service of one database.

    A watch is woken by each commit of this process's writer and looks for itself at least every
    `bookmark_seconds`, which also covers commits that another process made.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        draining: Draining,
        bookmark_seconds: float = 5.0,
        write_seconds: float = 30.0,
    ) -> None:
        self._writer = writer
        self._draining = draining
        # A little early: the contract counts until the bookmark arrives.
        self._bookmark_seconds = bookmark_seconds * 0.8
        self._write_seconds = write_seconds
        self._watches: set[_Watch] = set()
        self._forget = writer.when_committed(self._wake_all)

    def close(self) -> None:
        """Stop listening to the writer."""
        self._forget()

    async def ReadEvents(  # noqa: N802 -- the contract's name
        self,
        request: eventlogpb.ReadEventsRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 -- gRPC's signature
    ) -> eventlogpb.ReadEventsResponse:
        """Return a page of the log."""
        if request.limit < 0:
            raise field_invalid("limit", "0 for the default, or a positive number")
        _check_start(request.parent, request.after_position)
        limit = min(request.limit or DEFAULT_LIMIT, MAX_LIMIT)
        page = await self._read(
            request.parent, request.log_id, request.after_position, limit, _remembered(request)
        )
        return eventlogpb.ReadEventsResponse(
            events=page.events, log_id=page.log_id, head_position=page.head_position
        )

    async def WatchEvents(  # type: ignore[override]  # noqa: N802 -- writes to the context, yields nothing
        self,
        request_iterator: AsyncIterator[eventlogpb.WatchEventsRequest],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> None:
        """Send what is behind a position, then what is recorded, as far as the credit reaches."""
        watch = _Watch(await _start_of(request_iterator))
        crediting = asyncio.create_task(watch.take_credit(request_iterator))
        drained = asyncio.create_task(self._draining.wait())
        crediting.add_done_callback(watch.wake)
        drained.add_done_callback(watch.wake)
        self._watches.add(watch)
        try:
            await self._serve(watch, crediting, context)
        finally:
            self._watches.discard(watch)
            for task in (crediting, drained):
                task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await asyncio.gather(crediting, drained, return_exceptions=True)

    async def _serve(
        self, watch: "_Watch", crediting: "asyncio.Task[None]", context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> None:
        while True:
            if self._draining.begun:
                raise server_draining(resume_position=watch.position)
            if crediting.done():
                crediting.result()  # a wrong request ends the watch with its refusal
                return  # the reader half-closed: it wants no more
            watch.quiet()
            bookmark_due = watch.seconds_to(self._bookmark_seconds) <= 0
            page = await self._next_page(watch) if watch.credit or bookmark_due else None
            if page is not None and (page.events or bookmark_due):
                await self._send(watch, page, context)
                if page.head_position > watch.position and watch.credit:
                    continue
                await asyncio.sleep(_REST_SECONDS)
            await watch.sleep(watch.seconds_to(self._bookmark_seconds))

    async def _next_page(self, watch: "_Watch") -> Page | None:
        """Return what may be sent now; None when storage is too busy to tell."""
        limit = min(watch.credit, _PAGE_OF_WATCH)
        try:
            return await self._read(
                watch.view, watch.log_id, watch.position, limit, watch.after_record_micros
            )
        except ReadersBusy:
            return None  # the next wake-up tries again; the reader keeps its place

    async def _send(self, watch: "_Watch", page: Page, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        response = eventlogpb.WatchEventsResponse(
            events=page.events, log_id=page.log_id, head_position=page.head_position
        )
        try:
            async with asyncio.timeout(self._write_seconds):
                await context.write(response)
        except TimeoutError:
            raise _reader_too_slow(watch.position) from None
        except Refusal as refusal:
            raise (
                _reader_too_slow(watch.position) if refusal.reason == "READER_TOO_SLOW" else refusal
            ) from None
        watch.sent(page)

    async def _read(
        self, view: str, log_id: str, after: int, limit: int, after_record_micros: int | None
    ) -> Page:
        query = partial(
            reading.read,
            view=view,
            after=after,
            limit=limit,
            log_id=log_id,
            after_record_micros=after_record_micros,
        )
        try:
            return await self._writer.read(query)
        except LogRegressed as regressed:
            raise _log_regressed(regressed) from None
        except EventDamaged as damaged:
            _log.error("event_damaged", view=view, position=damaged.position)
            raise _event_damaged(damaged) from None

    def _wake_all(self) -> None:
        for watch in self._watches:
            watch.wake()


class _Watch:
    """One reader: where it is, what it may still be sent, and what wakes it."""

    def __init__(self, start: eventlogpb.WatchStart) -> None:
        self.view = start.parent
        self.log_id = start.log_id
        self.position = start.after_position
        self.after_record_micros = _remembered(start)
        """Until the first response; from then on nobody else can have been at the log."""
        self.credit = _checked_credit(start.credit, 0)
        self._loop = asyncio.get_running_loop()
        self._sent_at: float | None = None
        self._woken = asyncio.Event()

    async def take_credit(self, requests: AsyncIterator[eventlogpb.WatchEventsRequest]) -> None:
        """Add the credit of every further request; return when there will be none."""
        async for request in requests:
            if request.WhichOneof("request") != "credit":
                raise field_invalid("start", "given once, in the first request")
            self.credit = _checked_credit(request.credit, self.credit)
            self._woken.set()

    def quiet(self) -> None:
        """Forget earlier wake-ups: what they told of is about to be read."""
        self._woken.clear()

    def wake(self, _cause: object = None) -> None:
        """Something changed: look again."""
        self._woken.set()

    async def sleep(self, longest_seconds: float) -> None:
        """Return when woken, and at the latest after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(longest_seconds, _REST_SECONDS)):
                await self._woken.wait()

    def seconds_to(self, every_seconds: float) -> float:
        """Return the time left until the reader must hear something, if it must every so often."""
        return 0.0 if self._sent_at is None else self._sent_at + every_seconds - self._loop.time()

    def sent(self, page: Page) -> None:
        """Note what the reader was sent."""
        self.log_id = page.log_id
        self.after_record_micros = None
        self.position = page.events[-1].position if page.events else self.position
        self.credit -= len(page.events)
        self._sent_at = self._loop.time()


async def _start_of(requests: AsyncIterator[eventlogpb.WatchEventsRequest]) -> eventlogpb.WatchStart:
    async for request in requests:
        if request.WhichOneof("request") == "start":
            _check_start(request.start.parent, request.start.after_position, within="start.")
            return request.start
        break
    raise field_invalid("start", "the first request of a watch")


def _check_start(parent: str, after_position: int, *, within: str = "") -> None:
    tenant = parent.removeprefix("tenants/")
    if tenant == parent or not tenant or "/" in tenant:
        raise field_invalid(f"{within}parent", "tenants/{tenant}, or tenants/- for the whole log")
    if after_position < 0:
        raise field_invalid(f"{within}after_position", "0 for the beginning, or a position")


def _remembered(start: eventlogpb.ReadEventsRequest | eventlogpb.WatchStart) -> int | None:
    """Return when the event at the reader's position was recorded, as the reader says."""
    if not start.HasField("after_record_time"):
        return None
    return start.after_record_time.seconds * 1_000_000 + start.after_record_time.nanos // 1_000


def _checked_credit(granted: int, held: int) -> int:
    if not 1 <= granted <= MAX_CREDIT:
        raise field_invalid("credit", f"1 to {MAX_CREDIT}")
    return min(held + granted, MAX_CREDIT_TOTAL)


def _log_regressed(error: LogRegressed) -> Refusal:
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        "LOG_REGRESSED",
        "The log was restored or replaced: stop, and have an operator reset this reader.",
        {
            "log_id": error.log_id,
            "head_position": str(error.head_position),
            "wanted_log_id": error.wanted_log_id,
            "wanted_position": str(error.wanted_position),
        },
    )


def _event_damaged(error: EventDamaged) -> Refusal:
    return Refusal(
        grpc.StatusCode.DATA_LOSS,
        "EVENT_DAMAGED",
        "The event at this position is not as it was recorded; your operator must restore the log.",
        {"position": str(error.position)},
    )


def _reader_too_slow(position: int) -> Refusal:
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "READER_TOO_SLOW",
        "Read faster, or connect again and resume.",
        {"resume_position": str(position)},
    )
