"""The task that sends what is queued: woken by commits, driven by the next due attempt."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import httpx
import structlog
from sqlalchemy import Connection

from smarketing.delivery.addresses import AddressPolicy
from smarketing.delivery.carriers import WAYS, Carrier, Way, personal_webhook_of
from smarketing.delivery.endpoints import seal_purpose
from smarketing.delivery.queue import (
    Attempted,
    DueMessage,
    due_endpoints,
    due_messages,
    next_due,
    record_attempts,
    waking,
)
from smarketing.delivery.sealing import SealBroken, Sealer
from smarketing.delivery.tables import DeliveryTables
from smarketing.delivery.webhooks import attempt, new_client
from smarketing.failpoints import failpoint
from smarketing.sql.errors import StorageError
from smarketing.sql.writer import Writer

_log = structlog.get_logger(__name__)

_LONGEST_SLEEP_SECONDS: Final = 30.0
_BUSY_SLEEP_SECONDS: Final = 1.0
_SHORTEST_SLEEP_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """How deliveries are made."""

    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    timeout_seconds: float = 15.0
    """Limit of one attempt, from the name's lookup to the end of the answer."""
    batch_size: int = 20
    """Messages taken for one endpoint at a time; sent one after the other, in order."""
    endpoints_at_once: int = 32


class DeliveryObserver(Protocol):
    """Is told of every attempt."""

    def attempt_ended(self, outcome: str, seconds: float) -> None:
        """An attempt ended: `ok`, `http_error`, `timeout` or `refused`."""


class Sender:
    """Delivers queued messages, at least once each, in order within an endpoint.

    What was sent but not yet recorded when the process died is sent again under the same id.
    """

    def __init__(
        self,
        writer: Writer,
        tables: DeliveryTables,
        *,
        sealer: Sealer,
        now: Callable[[], datetime],
        settings: SenderSettings | None = None,
        observer: DeliveryObserver | None = None,
        succeeded: Callable[[], None] = lambda: None,
        carriers: Mapping[str, Carrier] | None = None,
        opened: Callable[[Connection, Sequence[DueMessage]], list[DueMessage]] = lambda _, due: list(due),
    ) -> None:
        """Take what sends; `carriers` by `Way` are for people's own addresses, webhooks need none.

        `opened` makes of messages as they are kept what is sent: what is kept may be sealed.
        """
        self._writer = writer
        self._tables = tables
        self._sealer = sealer
        self._now = now
        self._settings = settings or SenderSettings()
        self._observer = observer
        self._succeeded = succeeded
        self._carriers = carriers or {}
        self._opened = opened
        self._busy: set[tuple[str, str]] = set()
        self._woken = asyncio.Event()
        self._marks = (waking.mark, waking.mark)

    def wake(self) -> None:
        """Look at the queue soon."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        stop_listening = self._writer.when_committed(self._committed)
        try:
            async with new_client() as client, asyncio.TaskGroup() as group:
                while True:
                    self._woken.clear()
                    wait_seconds = await self._start_due(group, client)
                    await self._rest(wait_seconds)
        finally:
            stop_listening()

    def _committed(self) -> None:
        """Look at the queue after a commit that may have put something in, here or in another process.

        Two commits late, because it may have been put in while the commit before was still on its way back.
        """
        before, self._marks = self._marks[0], (self._marks[1], waking.mark)
        if self._writer.database.is_remote or before is not waking.mark:
            self.wake()

    async def send_due(self) -> None:
        """Attempt everything that is due once, and return when all of it is recorded."""
        async with new_client() as client, asyncio.TaskGroup() as group:
            await self._start_due(group, client)

    async def _rest(self, wait_seconds: float) -> None:
        # The pause in front lets a burst of commits share one look at the queue.
        await asyncio.sleep(_SHORTEST_SLEEP_SECONDS)
        try:
            async with asyncio.timeout(wait_seconds):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _start_due(self, group: asyncio.TaskGroup, client: httpx.AsyncClient) -> float:
        """Start a task for each idle endpoint that has something due; return when to look again."""
        try:
            due, following = await self._writer.read(self._look)
        except StorageError as error:
            _log.warning("delivery_queue_unreadable", problem=str(error))
            return 1.0
        self._succeeded()
        for tenant, endpoint_id in due:
            if (tenant, endpoint_id) in self._busy or len(self._busy) >= self._settings.endpoints_at_once:
                continue
            self._busy.add((tenant, endpoint_id))
            group.create_task(self._serve_endpoint(client, tenant, endpoint_id))
        if self._busy:
            # The next instant may be a busy endpoint's; another's must not wait for that one to finish.
            return _BUSY_SLEEP_SECONDS
        if following is None:
            return _LONGEST_SLEEP_SECONDS
        return min(max((following - self._now()).total_seconds(), 0.0), _LONGEST_SLEEP_SECONDS)

    def _look(self, connection: Connection) -> tuple[list[tuple[str, str]], datetime | None]:
        following, now = next_due(connection, self._tables), self._now()
        if following is None or following > now:
            return [], following
        return due_endpoints(connection, self._tables, now=now), following

    async def _serve_endpoint(self, client: httpx.AsyncClient, tenant: str, endpoint_id: str) -> None:
        try:
            messages = await self._writer.read(partial(self._take, tenant=tenant, endpoint_id=endpoint_id))
            for message in messages:
                result = await self._attempt(client, message)
                failpoint("sender.after_delivery")
                await self._writer.run(self._record, [result])
        except StorageError as error:
            _log.warning("delivery_not_recorded", endpoint=endpoint_id, problem=str(error))
        finally:
            self._busy.discard((tenant, endpoint_id))
            self.wake()

    def _take(self, connection: Connection, *, tenant: str, endpoint_id: str) -> list[DueMessage]:
        due = due_messages(
            connection,
            self._tables,
            tenant=tenant,
            endpoint_id=endpoint_id,
            now=self._now(),
            limit=self._settings.batch_size,
        )
        return self._opened(connection, due)

    async def _attempt(self, client: httpx.AsyncClient, message: DueMessage) -> Attempted:
        began = asyncio.get_running_loop().time()
        try:
            purpose = seal_purpose(message.tenant, message.endpoint_id)
            secret = self._sealer.open(message.sealed_secret, purpose).decode()
        except SealBroken as error:
            result = Attempted(message=message, delivered=False, problem=str(error))
        else:
            result = await self._sent(client, message, secret)
        seconds = asyncio.get_running_loop().time() - began
        if self._observer is not None:
            self._observer.attempt_ended(_outcome(result), seconds)
        _log.info(
            "webhook_attempted",
            message_id=message.message_id,
            endpoint=message.endpoint_id,
            delivered=result.delivered,
            problem=result.problem,
        )
        return result

    async def _sent(self, client: httpx.AsyncClient, message: DueMessage, secret: str) -> Attempted:
        carrier = self._carriers.get(message.url)
        if carrier is not None:
            return await carrier.carry(message, secret, now=self._now())
        addressed = message
        if message.url == Way.WEBHOOK:
            url, secret = personal_webhook_of(secret)
            addressed = replace(message, url=url)
        elif message.url in WAYS:
            return Attempted(message=message, delivered=False, problem=f"nothing here sends {message.url}")
        result = await attempt(
            client,
            addressed,
            secret=secret,
            policy=self._settings.addresses,
            timeout_seconds=self._settings.timeout_seconds,
            now=self._now(),
        )
        return replace(result, message=message)

    def _record(self, connection: Connection, results: Sequence[Attempted], now: datetime) -> list[None]:
        record_attempts(connection, self._tables, results, now=now)
        return [None] * len(results)


def _outcome(result: Attempted) -> str:
    if result.delivered:
        return "ok"
    if result.problem == "no answer in time":
        return "timeout"
    return "http_error" if result.problem.startswith("answered") else "refused"
