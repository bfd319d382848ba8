"""Follows a log over NATS JetStream, which wakes and carries; what is true is asked of the log's owner.

Nothing is believed of the bus: it may lose, repeat, reorder, forget and invent. The owner is asked at the
start, every few seconds for how far its log reaches, and for the events themselves whenever the bus is
silent, away, or says two things of one position. A consumer over this is therefore as right as one over
`Feed` alone, and slower at worst.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.consumer import EventSource
from smarketing.eventlog.feed import FeedBatch, backoff_seconds
from smarketing.eventlog.link import BUS_REFUSALS, Link, durable_of, heed_cancellation, stream_of
from smarketing.eventlog.reading import LogRegressed

__all__ = ["BusObserver", "JetStream", "Pace", "UnobservedBus"]

_log = structlog.get_logger(__name__)

_REMEMBERED_EVENTS: Final = 10_000
_PAGE_OF_OWNER: Final = 5_000
_REQUEST_BYTES: Final = 8 * 1024 * 1024
_BREATH_SECONDS: Final = 0.05
_DOUBTS: Final = 2
_DOUBTS_LATER: Final = 60
_HEARTBEAT: Final = "100"
_SUBSCRIPTION_LOST: Final = ("404", "409", "503")
_ENDS_WITH_CREDIT: Final = ("Batch Completed", "Message Size Exceeds MaxBytes", "Request Timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the owner is asked, and how long the bus may be silent."""

    check_seconds: float = 3.0
    """Between two questions how far the log reaches, while the bus delivers."""
    poll_seconds: float = 0.5
    """Between two readings of the log while the bus does not."""
    heartbeat_seconds: float = 1.0
    """After this long without an event the bus says that it is there."""
    ack_wait_seconds: float = 30.0
    """After this long what was delivered and not acknowledged comes again."""
    forgotten_after_seconds: float = 3600.0
    """After this long without a word from a reader the bus keeps nothing for it; the owner has it all."""


class BusObserver(Protocol):
    """Is told what the bus does to a consumer, on the event loop."""

    def event_refused(self, consumer: str, reason: str) -> None:
        """A delivery was `unreadable`, of a `foreign` log, or a `mismatch`: two bodies of one position."""

    def resubscribed(self, consumer: str) -> None:
        """A subscription was given up and made anew."""


class UnobservedBus:
    """Notes nothing."""

    def event_refused(self, consumer: str, reason: str) -> None:
        """Do nothing."""

    def resubscribed(self, consumer: str) -> None:
        """Do nothing."""


class JetStream:
    """One log as the bus carries it, for one consumer; `owner` is the log itself.

    `log` is the name of the service whose log it is. What was delivered is acknowledged when the next
    batch is asked for: by then the consumer has committed it.
    """

    def __init__(
        self,
        link: Link,
        owner: EventSource,
        *,
        log: str,
        name: str,
        batch_events: int = 500,
        pace: Pace = Pace(),
        observer: BusObserver | None = None,
    ) -> None:
        self._owner = owner
        self._name = name
        self._batch_events = batch_events
        self._pace = pace
        self._observer: BusObserver = observer or UnobservedBus()
        self._link = link
        self._stream = stream_of(log)
        self._loop_time = asyncio.get_running_loop().time

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return one page of the log, from its owner."""
        return await self._owner.read(log_id=log_id, after=after, limit=limit)

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield what the owner says first, then what the bus brings and what it failed to bring, for ever.

        Raises:
            LogRegressed: the owner's log is another one, ends before `after`, or holds another event
                there than the one that was yielded.
        """
        first = await self._first_word(log_id, after)
        yield first
        place = _Place(first.log_id, after)
        place.passed(first)
        place.head = first.head_position
        pull = _Pull(
            self._link, self._stream, self._name, self._batch_events, self._pace, observer=self._observer
        )
        try:
            async with aclosing(self._deliveries(pull, place)) as batches:
                async for batch in batches:
                    yield batch
                    place.passed(batch)
        finally:
            await pull.close()

    async def _deliveries(self, pull: "_Pull", place: "_Place") -> AsyncGenerator[FeedBatch, None]:
        now = self._loop_time
        checked_at = now() - self._pace.check_seconds
        heard = False
        while True:
            every = self._pace.check_seconds if heard and pull.working else self._pace.poll_seconds
            messages = await pull.next(max(0.0, checked_at + every - now()))
            if messages:
                heard = True
                batch = await self._sifted(messages, place)
                if batch.events:
                    yield batch
                await pull.acknowledge(messages)
                heed_cancellation()
            if now() < checked_at + every:
                continue
            checked_at = now()
            silent = not messages and not pull.pending
            page = await self._asked(place, _PAGE_OF_OWNER if silent else 1)
            if page is None:
                continue
            # While the bus brings events these are on their way: only how far the log reaches is news.
            yield page if silent else FeedBatch(page.log_id, (), page.head_position)
            if silent and page.events:
                # What it owed was read here; until it brings something again the log is read often.
                heard = False
                if page.events[-1].position < page.head_position:
                    checked_at -= every
                else:
                    pull.doubt()

    async def _first_word(self, log_id: str, after: int) -> FeedBatch:
        attempt = 0
        while True:
            try:
                return await self._owner.read(log_id=log_id, after=after, limit=self._batch_events)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(backoff_seconds(self._name, attempt))
                attempt += 1

    async def _asked(self, place: "_Place", limit: int) -> FeedBatch | None:
        """Return what the owner has behind the reader's place; None when it cannot be asked.

        The event at the place is read once more: a log restored from an older copy has another there.
        """
        again = 1 if place.record_time is not None else 0
        try:
            page = await self._owner.read(
                log_id=place.log_id, after=place.position - again, limit=limit + again
            )
        except grpc.aio.AioRpcError:
            return None
        if again and (not page.events or page.events[0].record_time != place.record_time):
            raise LogRegressed(
                wanted_log_id=place.log_id,
                wanted_position=place.position,
                log_id=page.log_id,
                head_position=page.head_position,
            )
        place.head = max(place.head, page.head_position)
        return FeedBatch(page.log_id, page.events[again:], page.head_position)

    async def _sifted(self, messages: Sequence[Msg], place: "_Place") -> FeedBatch:
        """Return the events of this log among messages, in order; of doubtful ones what the owner has."""
        fresh: dict[int, eventlogpb.Event] = {}
        for message in messages:
            event = self._event_in(message, place.log_id)
            if event is None:
                continue
            if place.contradicts(event) or fresh.get(event.position, event) != event:
                event = await self._settled(event, place)
            if event is not None:
                fresh[event.position] = event
        events = await self._credible([fresh[position] for position in sorted(fresh)], place)
        place.head = max([place.head, *(event.position for event in events[-1:])])
        return FeedBatch(place.log_id, events, place.head)

    async def _credible(self, events: list[eventlogpb.Event], place: "_Place") -> list[eventlogpb.Event]:
        """Leave out events beyond a gap where, as the owner says, there is nothing."""
        reached = place.position
        for index, event in enumerate(events):
            if event.position > max(reached + 1, place.head):
                await self._asked(place, 1)
                kept = [each for each in events[index:] if each.position <= place.head]
                for _ in events[index + len(kept) :]:
                    self._observer.event_refused(self._name, "foreign")
                return events[:index] + kept
            reached = max(reached, event.position)
        return events

    def _event_in(self, message: Msg, log_id: str) -> eventlogpb.Event | None:
        try:
            event = eventlogpb.Event.FromString(message.data)
        except DecodeError:
            self._refuse("unreadable", message)
            return None
        if event.log_id != log_id:
            # Of a log that was replaced, or nobody's: whether ours was, its owner will say.
            self._refuse("foreign", message)
            return None
        return event

    async def _settled(self, event: eventlogpb.Event, place: "_Place") -> eventlogpb.Event | None:
        """Return the owner's event for a position of which two bodies came; None when it cannot be asked.

        Raises:
            LogRegressed: what was applied there is not what the owner has.
        """
        self._observer.event_refused(self._name, "mismatch")
        _log.error("bus_contradicts_itself", consumer=self._name, position=event.position)
        try:
            page = await self._owner.read(log_id=place.log_id, after=event.position - 1, limit=1)
        except grpc.aio.AioRpcError:
            return None
        found = page.events[0] if page.events else None
        if found is None or place.contradicts(found):
            raise LogRegressed(
                wanted_log_id=place.log_id,
                wanted_position=event.position,
                log_id=page.log_id,
                head_position=page.head_position,
            )
        return found

    def _refuse(self, reason: str, message: Msg) -> None:
        self._observer.event_refused(self._name, reason)
        _log.error("bus_event_refused", consumer=self._name, reason=reason, id=_id_of(message))


class _Place:
    """How far the reader is in its log, and what it was told of the newest positions."""

    def __init__(self, log_id: str, position: int) -> None:
        self.log_id = log_id
        self.position = position
        self.head = position
        self.record_time: Timestamp | None = None
        """Of the event at `position`, if that was seen here."""
        self._digests: dict[int, bytes] = {}

    def passed(self, batch: FeedBatch) -> None:
        """Note that a batch was taken, and whatever stood before it."""
        for event in batch.events:
            self._digests[event.position] = _digest(event)
            if event.position > self.position:
                self.position, self.record_time = event.position, event.record_time
        while len(self._digests) > _REMEMBERED_EVENTS:
            del self._digests[next(iter(self._digests))]

    def contradicts(self, event: eventlogpb.Event) -> bool:
        """Tell whether another body was taken at the event's position, as far as is remembered."""
        known = self._digests.get(event.position)
        return known is not None and known != _digest(event)


class _Pull:
    """A durable pull consumer's deliveries, asked for ahead; made anew whenever it falls silent.

    Connections and subscriptions are thrown away rather than mended: the client's own recovery has left
    pull subscriptions subscribed and silent (nats.py 354 and 504).
    """

    def __init__(
        self, link: Link, stream: str, consumer: str, batch: int, pace: Pace, *, observer: BusObserver
    ) -> None:
        self._link = link
        self._stream = stream
        self._consumer = consumer
        self._durable = durable_of(consumer)
        self._batch = batch
        self._pace = pace
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._client: Any = None
        self._joining: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._held: list[Msg] = []
        self._credit = 0
        self._lost = False
        self._doubts = 0
        self._heard_at = self._asked_at = 0.0
        self._attempt = 0
        self._retry_at = 0.0
        self._changed = asyncio.Event()

    @property
    def working(self) -> bool:
        """Whether there is a subscription that was heard of lately."""
        return self._subscription is not None and not self._lost

    @property
    def pending(self) -> bool:
        """Whether messages wait to be taken."""
        return bool(self._held)

    def doubt(self) -> None:
        """Note that the owner had events that did not come this way: twice in a row is a lost subscription.

        Or nobody publishes them, which another subscription does not mend: that is tried seldom.
        """
        self._doubts += 1
        self._lost = self._lost or self._doubts == _DOUBTS or self._doubts % _DOUBTS_LATER == 0

    async def next(self, seconds: float) -> list[Msg]:
        """Return what was delivered, as soon as there is something; nothing after so long."""
        deadline = self._loop.time() + seconds
        while not self._held:
            left = deadline - self._loop.time()
            await self._keep()
            heed_cancellation()
            wait = min(left, self._patience()) if self.working else left
            if left <= 0:
                return []
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.001)):
                    await self._changed.wait()
        taken, self._held = self._held[: self._batch], self._held[self._batch :]
        self._doubts = 0
        return taken

    async def acknowledge(self, messages: Sequence[Msg]) -> None:
        """Say that these and all before are done with; if that is lost they come again, and are known."""
        if messages[-1].reply and self._client is not None and not self._client.is_closed:
            with suppress(*BUS_REFUSALS):
                await self._client.publish(messages[-1].reply)

    async def close(self) -> None:
        """Give the subscription up; the bus remembers what was acknowledged."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)
            self._joining = None
        subscription, self._subscription = self._subscription, None
        self._credit = 0
        if subscription is not None and not self._client.is_closed:
            with suppress(*BUS_REFUSALS):
                await subscription.unsubscribe()

    async def _keep(self) -> None:
        """Have a subscription that is alive, and credit with the bus."""
        if self._subscription is not None and (self._lost or self._patience() <= 0 or self._client.is_closed):
            _log.warning("bus_resubscribes", consumer=self._consumer, silent=not self._lost)
            self._observer.resubscribed(self._consumer)
            await self.close()
            self._retry_at = self._loop.time() + _BREATH_SECONDS
        if self._subscription is None and self._loop.time() < self._retry_at:
            return
        try:
            if self._subscription is None and not await self._joined():
                return
            if self._credit <= self._batch // 2 or self._loop.time() > self._asked_at + self._expires():
                await self._ask()
        except BUS_REFUSALS as error:
            self._put_off(error)

    async def _joined(self) -> bool:
        """Tell whether the subscription is made: beside, lest a dead server keep the reader waiting.

        Raises:
            Exception: why it was not.
        """
        if self._joining is None:
            self._joining = asyncio.create_task(self._subscribe())
            self._joining.add_done_callback(lambda _: self._changed.set())
        if not self._joining.done():
            return False
        joining, self._joining = self._joining, None
        await joining
        return True

    async def _subscribe(self) -> None:
        self._client = await self._link.client()
        await self._client.jetstream().add_consumer(
            self._stream,
            ConsumerConfig(
                durable_name=self._durable,
                ack_policy=AckPolicy.ALL,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=self._pace.ack_wait_seconds,
                max_deliver=-1,
                max_ack_pending=4 * self._batch,
                inactive_threshold=self._pace.forgotten_after_seconds,
            ),
        )
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(self._inbox, cb=self._deliver)
        self._lost, self._credit, self._attempt = False, 0, 0
        self._heard_at = self._loop.time()

    async def _ask(self) -> None:
        wanted = {
            "batch": self._batch,
            "max_bytes": _REQUEST_BYTES,
            "expires": int(self._expires() * 1e9),
            "idle_heartbeat": int(self._pace.heartbeat_seconds * 1e9),
        }
        self._credit += self._batch
        self._asked_at = self._loop.time()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._durable}"
        await self._client.publish(subject, json.dumps(wanted).encode(), reply=self._inbox)

    async def _deliver(self, message: Msg) -> None:
        self._heard_at = self._loop.time()
        status = (message.headers or {}).get("Status", "") if not message.data else ""
        if not status:
            self._held.append(message)
            self._credit -= 1
        elif status != _HEARTBEAT:
            headers = message.headers or {}
            self._credit = max(0, self._credit - int(headers.get("Nats-Pending-Messages", self._credit)))
            told = headers.get("Description", "")
            self._lost = self._lost or (
                status in _SUBSCRIPTION_LOST and not told.startswith(_ENDS_WITH_CREDIT)
            )
        self._changed.set()

    def _put_off(self, error: BaseException) -> None:
        """Try again later; a bus that is away for an hour is one story, not thousands."""
        if self._attempt % 20 == 0:
            _log.warning("bus_not_followed", consumer=self._consumer, error=str(error))
        self._subscription, self._credit = None, 0
        self._retry_at = self._loop.time() + backoff_seconds(self._consumer, self._attempt)
        self._attempt += 1

    def _patience(self) -> float:
        """Return for how much longer the bus may be silent."""
        return self._heard_at + 2.5 * self._pace.heartbeat_seconds - self._loop.time()

    def _expires(self) -> float:
        return 10 * self._pace.heartbeat_seconds


def _digest(event: eventlogpb.Event) -> bytes:
    return hashlib.blake2b(event.SerializeToString(deterministic=True), digest_size=16).digest()


def _id_of(message: Msg) -> str:
    return str((message.headers or {}).get("Nats-Msg-Id", ""))
