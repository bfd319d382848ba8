"""Ask vendors for the rest of what a notification names, until it is here or nobody expects it any more."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx

from services.leads.domain.intake import Secrets, SetAside, Source
from services.leads.store.intake import IntakeReading
from services.leads.store.leads import Batch, LeadStore
from services.leads.store.transaction import LeadTx
from services.leads.usecases.intake import Delivery, FailedFetch, note_failed_fetches, take_in
from services.leads.wire.intake import context_of, told_again
from smarketing.delivery import AddressPolicy, FetchFailed, fetch, new_client
from smarketing.logs import get_log
from smarketing.mapping.documents import BodyFaulty, BodyForm, Document, parsed_body
from smarketing.mapping.webhooks import WebhookMapping
from smarketing.server.commands import Call
from smarketing.sql import StorageError

__all__ = ["Catalogue", "Fetcher", "Registered", "call_of"]

_log = get_log(__name__)

_AT_ONCE: Final = 20
_LONGEST_REST: Final = timedelta(seconds=30)
_BETWEEN_TIDYINGS: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Registered:
    """A source, and how it is read."""

    source: Source
    secrets: Secrets
    mapping: WebhookMapping
    context: Document


class Catalogue:
    """The mappings there are, and the sources that use them."""

    def __init__(
        self, mappings: Mapping[str, WebhookMapping], reading: IntakeReading, store: LeadStore
    ) -> None:
        self.mappings: Final = dict(mappings)
        self.reading: Final = reading
        self._store = store

    async def find(self, source_id: str) -> Registered | None:
        """Return a source that may send; None for one that was removed, or whose mapping is gone."""
        found = await self._store.read(self.reading.source_by_id(source_id))
        if found is None or found[0].delete_time is not None:
            return None
        source, secrets, rules = found
        mapping = self.mappings.get(source.mapping)
        if mapping is None:
            return None
        return Registered(source, secrets, mapping, context_of(secrets.digest_key, rules))


class Fetcher:
    """The task that runs fetch steps: woken by webhooks, and by the time of the next attempt."""

    def __init__(
        self,
        store: LeadStore,
        catalogue: Catalogue,
        *,
        policy: AddressPolicy,
        now: Callable[[], datetime],
        new_request_id: Callable[[], str],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._policy = policy
        self._now = now
        self._new_request_id = new_request_id
        self._succeeded = succeeded
        self._woken = asyncio.Event()
        self._tidied = now()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Fetch until cancelled; storage at fault only delays it."""
        while True:
            self._woken.clear()
            rest = _LONGEST_REST
            try:
                rest = await self.run_once()
                await self._tidy()
                self._succeeded()
            except StorageError as error:
                _log.warning("fetches_not_recorded", fault=type(error).__name__)
            try:
                async with asyncio.timeout(rest.total_seconds()):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def run_once(self) -> timedelta:
        """Attempt everything that is due, once; return how long nothing else is."""
        reading, now = self._catalogue.reading, self._now()
        due = await self._store.read(reading.due(now, limit=_AT_ONCE))
        if due:
            async with new_client() as client:
                for kept, body in due:
                    await self._attempt(client, kept, body)
            return timedelta(0)
        following = await self._store.read(reading.next_due)
        if following is None:
            return _LONGEST_REST
        return min(max(following - self._now(), timedelta(milliseconds=20)), _LONGEST_REST)

    async def _attempt(self, client: httpx.AsyncClient, kept: SetAside, body: bytes) -> None:
        registered = await self._catalogue.find(kept.source_id)
        try:
            if registered is None:
                raise FetchFailed("its source or mapping is gone", final=True)
            delivery = await self._fetched(client, registered, kept, body)
        except FetchFailed as failed:
            await self._note(kept, body, failed)
            return
        call = call_of(registered.source, "fetch", self._new_request_id())
        await self._store.batch(take_in, Batch([delivery], call))
        _log.info("fetch_step_ended", source=kept.source_id, item=kept.item)

    async def _fetched(
        self, client: httpx.AsyncClient, registered: Registered, kept: SetAside, body: bytes
    ) -> Delivery:
        source, mapping, context = registered.source, registered.mapping, registered.context
        asked = told_again(mapping, source, kept, body, context)
        if not asked.fetch_url:
            return Delivery(source=source, items=[asked])
        raw = await fetch(client, asked.fetch_url, token=registered.secrets.api_token, policy=self._policy)
        try:
            answer = parsed_body(raw, BodyForm.JSON)
        except BodyFaulty as faulty:
            raise FetchFailed(f"the answer {faulty}", final=True) from None
        told = told_again(mapping, source, kept, body, context, answer=answer)
        return Delivery(source=source, items=[told])

    async def _note(self, kept: SetAside, body: bytes, failed: FetchFailed) -> None:
        failure = FailedFetch(kept=kept, body=body, problem=failed.problem, final=failed.final)
        await self._store.sweep(lambda tx: note_failed_fetches(tx, [failure]))
        _log.info("fetch_step_failed", source=kept.source_id, item=kept.item, problem=failed.problem)

    async def _tidy(self) -> None:
        """Forget what is too old to be asked about."""
        if self._now() - self._tidied < _BETWEEN_TIDYINGS:
            return
        self._tidied = self._now()
        await self._store.sweep(_forget_old)


def _forget_old(tx: LeadTx) -> None:
    tx.intake.purge()
    tx.write_backs.purge()


def call_of(source: Source, how: str, request_id: str, traceparent: str = "") -> Call:
    """Return the call as which a source's webhook stands on the audit trail."""
    return Call(
        tenant=source.tenant,
        principal=source.system,
        on_behalf_of="",
        method=f"/intake/{how}",
        request_id=request_id,
        fingerprint=b"",
        resource=source.name,
        traceparent=traceparent,
    )
