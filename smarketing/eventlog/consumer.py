"""Does something with every event of a log, once each, in order, whatever fails meanwhile.

The effect and the checkpoint are one transaction, so a kill at any moment repeats or loses nothing.
Positions decide what is new: `position + 1` is next, below is a duplicate, above is a gap, which is
filled by asking the log. A consumer that cannot be right stops and says so; it never skips.

An event that fails again and again stops the whole consumer: what is said of a position that was taken
in stays true, which it would not with one subject set aside (docs/adr/0048).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Connection

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import Checkpoint
from smarketing.eventlog.feed import EventSource, FeedBatch, backoff_seconds
from smarketing.eventlog.observing import ConsumerObserver, UnobservedConsumer
from smarketing.eventlog.partitions import WHOLE, Partition
from smarketing.eventlog.place import Place
from smarketing.eventlog.reading import LogRegressed
from smarketing.eventlog.stopping import ConsumerStopped, PoisonEvent, UnfillableGap, UnknownPayload
from smarketing.failpoints import failpoint
from smarketing.sql import ReadersBusy, StorageError, Writer, from_micros, take_lanes

__all__ = [
    "Apply",
    "Consumer",
    "ConsumerObserver",
    "ConsumerStopped",
    "EventSource",
    "PoisonEvent",
    "UnfillableGap",
    "UnknownPayload",
    "UnobservedConsumer",
]

_log = structlog.get_logger(__name__)

Apply: TypeAlias = Callable[[Connection, Sequence[eventlogpb.Event], datetime], None]
"""Makes a service's own of some events, by the given transaction and nothing else: it may be run again."""

_WHOLE_BATCHES: Final = 2
"""Attempts with full batches; after these each event goes alone, so that the failing one is known."""

_LOOKS_AGAIN_SECONDS: Final = 1.0
_STORES_PASSED_SECONDS: Final = 0.25


class Consumer:
    """Applies one log to this service's database.

    `payload_types` are the full names of the messages that `apply` knows; a skippable event of any
    other is passed over. `name` is the consumer's own for ever: its checkpoint is kept under it. Of a
    `partition` the consumer is a member of that name's group, and takes in the events of its tenants alone.

    At an event that it cannot take in it rests for `rest_seconds` and tries again, and whatever else the
    process does goes on; with None it stops there.
    """

    def __init__(
        self,
        name: str,
        *,
        feed: EventSource,
        writer: Writer,
        apply: Apply,
        payload_types: Collection[str],
        now: Callable[[], datetime],
        batch_events: int = 500,
        max_attempts: int = 8,
        rest_seconds: float | None = 30.0,
        observer: ConsumerObserver | None = None,
        partition: Partition = WHOLE,
    ) -> None:
        self._name = name
        self._partition = partition
        self._is_whole = partition == WHOLE
        self._feed = feed
        self._writer = writer
        self._apply = apply
        self._payload_types = frozenset(payload_types)
        self._now = now
        self._batch_events = batch_events
        self._max_attempts = max_attempts
        self._rest_seconds = rest_seconds
        self._observer: ConsumerObserver = observer or UnobservedConsumer()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._place = Place(
            writer,
            partition.member_of(name),
            now=now(),
            reached=self._advance_waiting,
            has_row=not self._is_whole,
        )
        self._head = 0
        self._first_head: int | None = None
        self._fetched: Sequence[eventlogpb.Event] = ()
        self._tries = 0
        self._begun = False
        self._lagging_at: int | None = None
        self._failure: Exception | None = None

    @property
    def name(self) -> str:
        """Under which the checkpoint is kept; of a member of a group, the group's."""
        return self._name

    @property
    def position(self) -> int:
        """The last position that is applied and committed."""
        return self._place.checkpoint.position

    @property
    def log_id(self) -> str:
        """The log that is followed; empty before the first word from it."""
        return self._place.checkpoint.log_id

    @property
    def head_position(self) -> int:
        """The newest position known to be in the log; never below `position`."""
        return max(self._head, self.position)

    @property
    def caught_up(self) -> bool:
        """Whether all that the log held when it first answered, in this run, is applied."""
        return self._first_head is not None and self.position >= self._first_head

    @property
    def progress_time(self) -> datetime:
        """When `position` was reached."""
        return self._place.checkpoint.progress_time

    @property
    def read_until(self) -> datetime | None:
        """When the newest event taken in was recorded; None before the log was heard from in this run."""
        return None if self._first_head is None else self._place.checkpoint.record_time

    async def wait_until(self, position: int) -> None:
        """Return when everything up to `position` is applied and committed.

        Raises:
            Exception: what stopped the consumer, if it stops before.
        """
        if self.position >= position:
            return
        if self._failure is not None:
            raise self._failure
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, reached))
        await reached

    async def run(self) -> None:
        """Follow the log until cancelled; it may be run again.

        Faults that pass are waited out: of the peer, of the network, of storage.

        Raises:
            LogRegressed: the log was restored or replaced.
            UnknownPayload, PoisonEvent: the next event cannot be handled, and it does not rest.
            UnfillableGap: the log does not return the next event.
            WriterClosed, StorageCorrupt: there is nothing left to write to.
        """
        while True:
            try:
                await self._follow()
            except (UnknownPayload, PoisonEvent) as stopped:
                if self._rest_seconds is None:
                    raise
                _log.error("consumer_rests", consumer=self._name, position=self.position, why=str(stopped))
                await asyncio.sleep(self._rest_seconds)

    async def _follow(self) -> None:
        self._failure, self._begun, self._first_head, self._lagging_at = None, False, None, None
        try:
            await self._place.learn()
            await self._check_place()
            async with (
                self._storing_what_is_passed(),
                aclosing(self._feed.follow(log_id=self.log_id, after=self.position)) as batches,
            ):
                async for batch in batches:
                    await self._take(batch)
        except Exception as error:
            if isinstance(error, LogRegressed):
                self._observer.log_regressed(self._name)
            self._fail(error)
            raise
        finally:
            self._fail(ConsumerStopped(self._name, self.position, "it was told to"))

    async def level(self, position: int) -> None:
        """Apply what the log holds up to `position`, and no more; not while it runs.

        Faults that pass are waited out, as by `run`.

        Raises:
            LogRegressed: the log was restored or replaced.
            UnknownPayload, PoisonEvent: the next event cannot be handled.
            UnfillableGap: the log does not return the next event.
            ConsumerStopped: the stored place was set back, or is gone.
            WriterClosed, StorageCorrupt: there is nothing left to write to.
        """
        await self._place.learn()
        await self._check_place()
        await self._read_to(position)
        await self._place.store_passed()

    @asynccontextmanager
    async def _storing_what_is_passed(self) -> AsyncIterator[None]:
        """Meanwhile store, four times a second, how far events of other partitions were passed over."""
        if self._is_whole:
            yield
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                storing = tasks.create_task(self._store_what_is_passed())
                yield
                storing.cancel()
        except BaseExceptionGroup as failed:
            # Whichever of the two it was: without the one the other is not to go on.
            raise failed.exceptions[0] from None

    async def _store_what_is_passed(self) -> None:
        while True:
            await asyncio.sleep(_STORES_PASSED_SECONDS)
            await self._place.store_passed()

    async def look_on(self) -> None:
        """Know how far another replica follows the log, and how far it reaches, until cancelled.

        Applies nothing. What is wrong with the log is for the one who follows it to say.
        """
        self._failure, self._first_head = None, None
        while True:
            try:
                await self._place.look()
                page = await self._feed.read(log_id=self.log_id, after=self.position, limit=1)
                self._head = page.head_position
                if self._first_head is None:
                    self._first_head = page.head_position
            except (StorageError, ReadersBusy, LogRegressed, grpc.aio.AioRpcError) as error:
                _log.debug("not_looked_on", consumer=self._name, error=repr(error))
            await asyncio.sleep(_LOOKS_AGAIN_SECONDS)

    async def _check_place(self) -> None:
        """Refuse a log that no longer holds, at this position, the event that was applied last.

        Its identity and its head do not tell: a log restored from an older copy keeps the one, and
        grows beyond the other while nobody looks.
        """
        remembered = self._place.checkpoint.record_time
        if remembered is None or not self.position:
            return
        page = await self._read(after=self.position - 1, limit=1)
        if not page.events or _instant(page.events[0].record_time) != remembered:
            raise LogRegressed(
                wanted_log_id=self.log_id,
                wanted_position=self.position,
                log_id=page.log_id,
                head_position=page.head_position,
            )

    async def _read(self, *, after: int, limit: int) -> FeedBatch:
        """Read the log itself, as soon as it can be asked."""
        attempt = 0
        while True:
            try:
                page = await self._feed.read(log_id=self.log_id, after=after, limit=limit)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(backoff_seconds(self._name, attempt))
                attempt += 1
                continue
            self._check_log(page)
            return page

    async def _take(self, batch: FeedBatch) -> None:
        """Apply what is new in a delivery."""
        self._check_log(batch)
        fresh = [event for event in batch.events if event.position > self.position]
        if len(fresh) < len(batch.events):
            self._observer.events_handled(self._name, "duplicate", len(batch.events) - len(fresh))
        self._head = max(self._head, batch.head_position)
        if self._first_head is None:
            self._first_head = batch.head_position
        await self._apply_in_order(fresh)
        newest = max((event.position for event in fresh), default=0)
        if newest > self.position:
            await self._fill_to(newest)
        elif not batch.events:
            await self._take_bookmark(batch)

    async def _take_bookmark(self, bookmark: FeedBatch) -> None:
        """Fetch what a silent source owes: twice it named a head beyond this position, and sent nothing."""
        if bookmark.head_position <= self.position:
            self._lagging_at = None
        elif self._lagging_at == self.position:
            await self._fill_to(bookmark.head_position)
        else:
            self._lagging_at = self.position

    async def _apply_in_order(self, events: Sequence[eventlogpb.Event]) -> None:
        """Apply events as far as they follow one another from the present position."""
        ordered = sorted(events, key=lambda event: event.position)
        done = 0
        while done < len(ordered):
            part = _contiguous(ordered[done : done + self._batch_events], behind=self.position)
            if part:
                await self._apply_known(part)
            elif ordered[done].position > self.position:
                return
            done += len(part) or 1  # one: delivered twice within one batch

    async def _fill_to(self, position: int) -> None:
        """Ask the log itself for what a delivery left out."""
        self._observer.gap_met(self._name)
        _log.warning("gap_met", consumer=self._name, position=self.position, delivered=position)
        await self._read_to(position)

    async def _read_to(self, position: int) -> None:
        while self.position < position:
            page = await self._read(after=self.position, limit=position - self.position)
            if not page.events or page.events[0].position != self.position + 1:
                raise UnfillableGap(self._name, self.position, "the log did not return the next event")
            await self._apply_in_order(page.events)

    def _check_log(self, batch: FeedBatch) -> None:
        """Refuse a delivery of another log, or of one that ends before what was applied."""
        if not self.log_id:
            self._place.follow(batch.log_id)
        if batch.log_id != self.log_id:
            raise LogRegressed(
                wanted_log_id=self.log_id,
                wanted_position=self.position,
                log_id=batch.log_id,
                head_position=batch.head_position,
            )

    async def _apply_known(self, events: Sequence[eventlogpb.Event]) -> None:
        """Apply contiguous events up to the first that this build may not pass over."""
        self._fetched = events
        known: list[eventlogpb.Event] = []
        last = self.position
        unknown = ""
        for event in events:
            name = event.payload.type_url.rpartition("/")[2]
            if not (self._is_whole or self._partition.has(event.tenant)):
                pass
            elif name in self._payload_types:
                known.append(event)
            elif not event.skippable:
                unknown = name
                break
            last += 1
        if known or self._is_whole:
            await self._apply_until_done(known, last)
        elif last > self.position:
            self._pass_over(events[last - self.position - 1])
        if unknown:
            raise UnknownPayload(self._name, self.position, f"{unknown} is unknown to this build")

    def _pass_over(self, newest: eventlogpb.Event) -> None:
        """Be behind events of other partitions; a transaction for each delivery would cost more."""
        before = self.position
        self._place.pass_over(newest.position, _instant(newest.record_time), self._now())
        self._observer.events_handled(self._name, "passed_over", self.position - before)

    async def _apply_until_done(self, events: Sequence[eventlogpb.Event], last: int) -> None:
        """Apply events in one transaction and be at position `last`; from the third attempt on one by one."""
        while self.position < last:
            await self._count_first_attempt()
            if self.position >= last:
                # A replica went beyond it meanwhile: to end at `last` would be to set everybody back.
                return
            if self._place.checkpoint.attempts > self._max_attempts:
                raise PoisonEvent(self._name, self.position, "handling the next event ended the process")
            alone = self._place.checkpoint.attempts + self._tries > _WHOLE_BATCHES
            part = [event for event in events if event.position > self.position][: 1 if alone else None]
            end = part[0].position if alone and part else last
            try:
                await self._commit(part, end)
            except (StorageError, ConsumerStopped):
                raise
            except Exception as error:  # noqa: BLE001 -- whatever `apply` raised: the event's fault until proven
                await self._count_failure(error, part)

    async def _commit(self, events: Sequence[eventlogpb.Event], position: int) -> None:
        def apply(connection: Connection, now: datetime) -> None:
            if events and not self._is_whole:
                # Another log may be told of the same tenants, and be divided otherwise at the moment.
                take_lanes(connection, {event.tenant for event in events})
            if events:
                self._apply(connection, events, now)
            failpoint("consumer.after_apply")

        def there(now: datetime) -> Checkpoint:
            return replace(
                self._place.checkpoint,
                position=position,
                progress_time=now,
                attempts=0,
                record_time=_instant(at.record_time),
            )

        before = self.position
        at = next(event for event in self._fetched if event.position == position)
        if not await self._place.move(there, apply):
            return
        self._tries = 0
        others = 0 if self._is_whole else self._others_between(before, position)
        self._observer.events_handled(self._name, "applied", position - before - others)
        if others:
            self._observer.events_handled(self._name, "passed_over", others)
        if events:
            self._observer.batch_applied(self._name, _seconds_since(events[0], self._now()))

    def _others_between(self, before: int, position: int) -> int:
        """Return how many of the events behind `before` and up to `position` are other partitions'."""
        between = (event for event in self._fetched if before < event.position <= position)
        return sum(not self._partition.has(event.tenant) for event in between)

    async def _count_first_attempt(self) -> None:
        """Note, before the first event of this process is handled, that its handling was begun.

        Committing the event takes the note back: it stays only if the process does not live so long.
        """
        if not self._begun:
            await self._place.store(
                replace(self._place.checkpoint, attempts=self._place.checkpoint.attempts + 1)
            )
            self._begun = True

    async def _count_failure(self, error: Exception, events: Sequence[eventlogpb.Event]) -> None:
        self._tries += 1
        _log.error("events_not_applied", consumer=self._name, position=self.position, exc_info=error)
        if self._tries >= self._max_attempts:
            # The process survived, so the next one may try again at once, with its handling mended.
            await self._place.store(replace(self._place.checkpoint, attempts=0))
            subject = events[0].subject if events else "nothing"
            raise PoisonEvent(self._name, self.position, f"{subject} failed at every attempt") from error
        await asyncio.sleep(backoff_seconds(self._name, self._tries))

    def _advance_waiting(self) -> None:
        if not self._waiting:
            return
        for _, reached in (entry for entry in self._waiting if entry[0] <= self.position):
            if not reached.done():
                reached.set_result(None)
        self._waiting = [entry for entry in self._waiting if entry[0] > self.position]

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        for _, reached in self._waiting:
            if not reached.done():
                reached.set_exception(self._failure)
        self._waiting = []


def _contiguous(events: Sequence[eventlogpb.Event], *, behind: int) -> Sequence[eventlogpb.Event]:
    """Return the events from the first on that follow `behind` and one another."""
    count = 0
    for event in events:
        if event.position != behind + count + 1:
            break
        count += 1
    return events[:count]


def _instant(stamp: Timestamp) -> datetime:
    """Return the instant of the wire, in microseconds."""
    return from_micros(stamp.seconds * 1_000_000 + stamp.nanos // 1_000)


def _seconds_since(event: eventlogpb.Event, now: datetime) -> float:
    """Return how long ago the event was recorded; 0 when the clocks disagree."""
    recorded = event.record_time.seconds + event.record_time.nanos / 1e9
    return max(0.0, now.timestamp() - recorded)
