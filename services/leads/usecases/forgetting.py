"""Keeps forgetting: finishes what erasures left, and erases people whose retention ran out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from services.leads.domain.privacy import Cause, Erasure
from services.leads.store import traces
from services.leads.store.journal import ErasureJournal
from services.leads.store.leads import LeadStore
from services.leads.store.old_copies import OldCopies
from services.leads.store.people import LeadKey
from services.leads.store.retention import aged_leads, retentions
from services.leads.store.subjects import AnswerKey
from services.leads.store.transaction import LeadTx
from services.leads.usecases.erasing import erase_leads
from services.leads.usecases.routing import SYSTEM
from smarketing.logs import get_log
from smarketing.sql import StorageFull

_log = get_log(__name__)

__all__ = ["Forgetter", "erase_aged"]

_EVERY: Final = timedelta(seconds=2)
_SMALL_BYTES: Final = 256 * 1024 * 1024
"""A file up to this size is rewritten as soon as somebody was erased: writers wait two or three seconds."""
_LARGE_EVERY: Final = timedelta(days=1)
"""How often a larger file is rewritten at most, for all who were erased since."""
_FULL_EVERY: Final = timedelta(minutes=15)
"""How often it is tried where there was no room: a try takes all the room there is, and writers wait."""
_AT_ONCE: Final = 50
"""Leads erased in one transaction: callers wait behind it for milliseconds."""


class Forgetter:
    """Finishes erasures every two seconds, and looks for aged leads once an interval; bounded work each."""

    def __init__(
        self,
        store: LeadStore,
        registry: CollectorRegistry,
        *,
        now: Callable[[], datetime],
        copies: OldCopies | None,
        journal: ErasureJournal | None = None,
        retention_interval: timedelta = timedelta(hours=1),
        small_bytes: int = _SMALL_BYTES,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the store, where it keeps old copies of rows, and the journal; None for one in memory."""
        self._store = store
        self._now = now
        self._copies = copies
        self._journal = journal
        self._interval = retention_interval
        self._succeeded = succeeded
        self._small_bytes = small_bytes
        self._rewrite_time: datetime | None = None
        self._full_until: datetime | None = None
        self._prepared: set[LeadKey] = set()
        self._next_retention: datetime | None = None
        self._pending = Gauge(
            "smarketing_leads_erasures_pending",
            "Erasures of which a trace may still lie in a file of ours",
            registry=registry,
        )
        self._oldest = Gauge(
            "smarketing_leads_oldest_erasure_request_timestamp_seconds",
            "When the longest pending erasure was asked for; 0 when none is",
            registry=registry,
        )

    async def run(self) -> None:
        """Forget until cancelled."""
        while True:
            await self.finish_once()
            now = self._now()
            if self._next_retention is None or now >= self._next_retention:
                await self.retain_once()
                self._next_retention = now + self._interval
            self._succeeded()
            await asyncio.sleep(_EVERY.total_seconds())

    async def finish_once(self) -> int:
        """Remove what erasures left in kept answers and in the files; return how many finished."""
        pending = await self._store.read(traces.unfinished)
        self._show(pending)
        if not pending:
            return 0
        is_journaled = await self._journaled(pending)
        await self._prepare([each for each in pending if (each.tenant, each.lead) not in self._prepared])
        if self._copies is not None and not await self._rewritten(self._copies, pending):
            return 0
        if not is_journaled:
            return 0
        await self._store.sweep(lambda tx: tx.subjects.finish(pending))
        self._prepared.clear()
        self._show([])
        return len(pending)

    async def _journaled(self, pending: Sequence[Erasure]) -> bool:
        """Whether a database that is restored would forget them again: without that no erasure is over."""
        if self._journal is None:
            return True
        try:
            await asyncio.to_thread(self._journal.append, pending)
        except OSError as error:
            _log.error("erasures_not_in_journal", fault=str(error), leads=len(pending))
            return False
        return True

    async def _prepare(self, new: Sequence[Erasure]) -> None:
        """Do what needs no rewritten file, once for each erasure."""
        if not new:
            return
        answers = await self._store.read(traces.answers_about(new))
        for start in range(0, len(answers), _AT_ONCE):
            part = answers[start : start + _AT_ONCE]
            await self._store.sweep(partial(_drop_answers, keys=part))
        self._prepared.update((each.tenant, each.lead) for each in new)

    async def _rewritten(self, copies: OldCopies, pending: Sequence[Erasure]) -> bool:
        """Whether what holds them was rewritten since these erasures, now or before."""
        now, last = self._now(), self._rewrite_time
        if last is not None:
            if all(each.erase_time <= last for each in pending):
                return True
            size_bytes = await asyncio.to_thread(copies.size_bytes)
            if size_bytes > self._small_bytes and now < last + _LARGE_EVERY:
                return False
        return await self._written_anew(copies, now)

    async def _written_anew(self, copies: OldCopies, now: datetime) -> bool:
        if self._full_until is not None and now < self._full_until:
            return False
        try:
            done = await asyncio.to_thread(copies.rewrite)
        except StorageFull as error:
            _log.error("no_room_to_write_anew", fault=str(error))
            self._full_until = now + _FULL_EVERY
            return False
        if done:
            self._rewrite_time = now
        return done

    async def repeat_once(self) -> int:
        """Forget again whom a database restored from a backup still knows; return how many.

        For the start, before anybody is answered.
        """
        if self._journal is None:
            return 0
        named = list((await asyncio.to_thread(self._journal.read)).items())
        erased = 0
        for start in range(0, len(named), _AT_ONCE):
            part = named[start : start + _AT_ONCE]
            erased += await self._store.sweep(partial(_erase_again, named=part))
        if erased:
            _log.warning("erasures_repeated", leads=erased)
        return erased

    async def retain_once(self) -> int:
        """Erase, in every tenant with a retention, the people whose last handoff closed longer ago."""
        erased = 0
        for tenant, retention in await self._store.read(retentions):
            until = self._now() - retention
            async for leads in self._aged(tenant, until):
                for start in range(0, len(leads), _AT_ONCE):
                    part = leads[start : start + _AT_ONCE]
                    step = partial(erase_aged, tenant=tenant, leads=part, until=until)
                    erased += await self._store.sweep(step)
        return erased

    async def count_aged(self, tenant: str, retention: timedelta) -> int:
        """Return how many leads a retention would erase now; writes nothing."""
        return sum([len(leads) async for leads in self._aged(tenant, self._now() - retention)])

    async def _aged(self, tenant: str, until: datetime) -> AsyncIterator[Sequence[str]]:
        after: str | None = ""
        while after is not None:
            part = await self._store.read(aged_leads(tenant, until, after=after))
            yield part.leads
            after = part.after

    def _show(self, pending: Sequence[Erasure]) -> None:
        self._pending.set(len(pending))
        self._oldest.set(pending[0].erase_time.timestamp() if pending else 0)


def _erase_again(tx: LeadTx, named: Sequence[tuple[LeadKey, Cause]]) -> int:
    known = [(lead, cause) for lead, cause in named if tx.subjects.exists(lead)]
    living = [(lead, cause) for lead, cause in known if tx.subjects.erasure(lead) is None]
    for lead, cause in living:
        erase_leads(tx, SYSTEM, [lead], cause)
    return len(living)


def _drop_answers(tx: LeadTx, keys: Sequence[AnswerKey]) -> None:
    tx.subjects.drop_answers(keys)


def erase_aged(tx: LeadTx, tenant: str, leads: Sequence[str], until: datetime) -> int:
    """Erase these leads, as far as all that is merged with each is aged too; return how many leads were."""
    erased = 0
    for lead in leads:
        person = tx.subjects.same_person(tenant, [lead])
        if tx.subjects.all_ended_by(tenant, person, until):
            before = sum(tx.subjects.erasure((tenant, each)) is not None for each in person)
            erase_leads(tx, SYSTEM, [(tenant, each) for each in person], Cause.RETENTION)
            erased += len(person) - before
    return erased
