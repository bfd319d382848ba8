"""Publishes a service's own log to the bus, in order and at least once, from a stored place.

The service itself never waits for it: with the bus away its events stay in the log, where everyone who
follows it reads them meanwhile, and the relay catches up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, PubAck, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog import reading
from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint, put_checkpoint, relay_name
from smarketing.eventlog.feed import backoff_seconds
from smarketing.eventlog.link import BUS_REFUSALS, BusAway, Link, heed_cancellation, stream_of, subject_of
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Connection, ReadersBusy, StorageError, Writer

__all__ = ["Relay", "StreamSettings"]

_log = structlog.get_logger(__name__)

_ENVELOPE_BYTES: Final = 512
"""What the bus may count beside the event: headers, and a margin."""
_LOOK_SECONDS: Final = 0.25
_REPORT_EVERY: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How a log's stream is kept on the bus."""

    replicas: int = 3
    """Servers that hold every message; 1 where there is one server."""
    max_bytes: int = 1024**3
    """What consumers may leave unacknowledged before the relay has to wait for them."""
    duplicate_window_seconds: float = 120.0
    """For this long the bus itself drops what it was given before."""


class Relay:
    """The one publisher of a service's log.

    `may_run` tells whether this process is the one that should publish. Two that both do so harm nothing:
    each message names the place in the stream that it expects, and of two the bus takes one. `admit` is
    asked after each connection, and raises `BusAway` when nothing may be published over it.
    """

    def __init__(
        self,
        link: Link,
        writer: Writer,
        *,
        log: str,
        stream: StreamSettings,
        may_run: Callable[[], bool] = lambda: True,
        admit: Callable[[], Awaitable[None]] | None = None,
        window_events: int = 500,
        poll_seconds: float = 0.25,
        ack_seconds: float = 5.0,
        store_seconds: float = 0.5,
        longest_pause_seconds: float = 5.0,
    ) -> None:
        self._link = link
        self._writer = writer
        self._log = log
        self._name = relay_name(log)
        self._settings = stream
        self._may_run = may_run
        self._admit = admit
        self._window_events = window_events
        self._poll_seconds = poll_seconds
        self._ack_seconds = ack_seconds
        self._store_seconds = store_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._loop_time = asyncio.get_running_loop().time
        self._woken = asyncio.Event()
        self._log_id = ""
        self._position = 0
        self._stored = 0
        self._stored_at = 0.0
        self._unsure = True
        self._client: Client | None = None
        self._context: Any = None

    @property
    def position(self) -> int:
        """Up to here the bus has acknowledged every event that it can carry."""
        return self._position

    async def run(self) -> None:
        """Publish until cancelled; whatever fails is tried again, later and later."""
        forget = self._writer.when_committed(self._woken.set)
        attempt = 0
        try:
            while True:
                before = self._position
                try:
                    await self._publish()
                except (StorageError, ReadersBusy, *BUS_REFUSALS) as error:
                    attempt = 0 if self._position > before else attempt + 1
                    if attempt % _REPORT_EVERY == 1:
                        _log.warning(
                            "relay_interrupted", log=self._log, position=self._position, error=str(error)
                        )
                heed_cancellation()
                await asyncio.sleep(min(backoff_seconds(self._name, attempt), self._longest_pause_seconds))
        finally:
            forget()

    async def _publish(self) -> None:
        """Publish for as long as nothing fails and this process is the one to do it."""
        if not self._may_run():
            return
        client = await self._link.client()
        if self._admit is not None:
            await self._admit()
        if client is not self._client:
            # One for a connection: each that publishes leaves its subscription to answers behind.
            self._client, self._context = client, client.jetstream(timeout=self._ack_seconds)
        stream = self._context
        await self._begin()
        # The newest may be there already. One by one until one was not: a window would break at each that
        # is, and the bus forgets an id that it refused.
        self._unsure = True
        sent = await self._ensure_stream(stream)
        while self._may_run() and not client.is_closed:
            heed_cancellation()
            self._woken.clear()
            limit = 1 if self._unsure else self._window_events
            page = await self._writer.read(
                partial(reading.read, view=WHOLE_LOG, after=self._position, limit=limit)
            )
            if page.events:
                sent = await self._send(stream, page.events, sent)
            await self._store(at_once=not page.events)
            if not page.events:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._woken.wait()

    async def _begin(self) -> None:
        """Find the stored place; the first time it is the head: what is older is read, not carried."""

        def place(connection: Connection) -> tuple[str, int]:
            log_id, head = reading.head(connection, WHOLE_LOG)
            found = find_checkpoint(connection, self._name)
            return log_id, head if found is None or found.log_id != log_id else min(found.position, head)

        log_id, position = await self._writer.read(place)
        if log_id != self._log_id:
            self._log_id, self._position, self._stored = log_id, position, -1
            await self._store(at_once=True)
        elif position > self._position:
            # Another published meanwhile, and went further.
            self._position = self._stored = position

    async def _ensure_stream(self, stream: JetStreamContext) -> int:
        """Make the stream, or make it as it should be; return the number of its last message."""
        wanted = StreamConfig(
            name=stream_of(self._log),
            subjects=[subject_of(self._log)],
            # Kept until every consumer has it, and never dropped to make room: then the relay waits.
            retention=RetentionPolicy.INTEREST,
            discard=DiscardPolicy.NEW,
            max_age=0,
            max_msgs=-1,
            storage=StorageType.FILE,
            num_replicas=self._settings.replicas,
            max_bytes=self._settings.max_bytes,
            duplicate_window=self._settings.duplicate_window_seconds,
        )
        try:
            info = await stream.stream_info(stream_of(self._log))
        except NotFoundError:
            info = await stream.add_stream(wanted)
        kept = info.config
        if (kept.num_replicas, kept.max_bytes, kept.duplicate_window, kept.discard) != (
            wanted.num_replicas,
            wanted.max_bytes,
            wanted.duplicate_window,
            wanted.discard,
        ):
            info = await stream.update_stream(wanted)
        return int(info.state.last_seq)

    async def _send(self, stream: JetStreamContext, events: Sequence[eventlogpb.Event], sent: int) -> int:
        """Publish events together, each expecting the one before it; return the stream's last number.

        Raises:
            Exception: why the first that failed did, once every one before it is counted.
        """
        answers = await self._in_flight(stream, events, sent)
        for event, answer in zip(events, answers, strict=True):
            if answer is not None:
                ack = _outcome(answer)
                self._unsure = bool(ack.duplicate)
                sent = ack.seq
            self._position = event.position
        # What had been published before did not move the stream on: ask it where it is.
        return await self._ensure_stream(stream) if self._unsure else sent

    async def _in_flight(
        self, stream: JetStreamContext, events: Sequence[eventlogpb.Event], sent: int
    ) -> list[asyncio.Future[PubAck] | None]:
        """Publish events; return what the bus answers to each, None for one that it cannot carry."""
        answers: list[asyncio.Future[PubAck] | None] = []
        client: Any = stream._nc  # noqa: SLF001 -- the context does not tell otherwise
        for event in events:
            body = event.SerializeToString(deterministic=True)
            if len(body) > client.max_payload - _ENVELOPE_BYTES:
                _log.warning(
                    "event_too_large_for_bus", log=self._log, position=event.position, bytes=len(body)
                )
                answers.append(None)
                continue
            headers = {
                "Nats-Msg-Id": f"{event.log_id}:{event.position}",
                "Nats-Expected-Last-Sequence": str(sent),
            }
            sent += 1
            answers.append(await stream.publish_async(subject_of(self._log), body, headers=headers))
        waiting = {answer for answer in answers if answer is not None}
        deadline = self._loop_time() + self._ack_seconds
        while waiting and not client.is_closed and self._loop_time() < deadline:
            _, waiting = await asyncio.wait(waiting, timeout=_LOOK_SECONDS)
        for answer in (answer for answer in answers if answer is not None):
            # Cancelled unless it is done: this client hands on no refusal, so a full bus shows by silence.
            # Looked at, so that nobody is told of an error that nobody missed.
            if not answer.cancel():
                answer.exception()
        return answers

    async def _store(self, *, at_once: bool) -> None:
        """Keep the place, now and then: what was published since is published again after a crash."""
        due = at_once or self._loop_time() >= self._stored_at + self._store_seconds
        if self._position == self._stored or not due:
            return
        await self._writer.run(_put_place, [(self._name, self._log_id, self._position)])
        self._stored, self._stored_at = self._position, self._loop_time()


def _outcome(answer: asyncio.Future[PubAck]) -> PubAck:
    """Return the bus's word that it has a message.

    Raises:
        Exception: why it has not, or that it did not say.
    """
    if answer.cancelled():
        raise BusAway("the bus did not answer in time")
    return answer.result()


def _put_place(
    connection: Connection, places: Sequence[tuple[str, str, int]], now: datetime
) -> Sequence[object]:
    for name, log_id, position in places:
        put_checkpoint(
            connection,
            Checkpoint(consumer=name, log_id=log_id, position=position, progress_time=now, attempts=0),
        )
    return places
