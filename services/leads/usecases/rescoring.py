"""Rates all that is open again, after a model was activated and once a day: a part at a time, resumably."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.lead import Contact, Rating
from services.leads.domain.lead_fields import Facts
from services.leads.domain.scoring import Pass, ScoreModel
from services.leads.store import rescoring
from services.leads.store.leads import LeadStore
from services.leads.store.rescoring import OpenHandoff
from services.leads.store.transaction import LeadTx
from services.leads.usecases.routing import SYSTEM
from services.leads.wire.scoring import rerated_event
from smarketing import names

__all__ = ["Rescorer", "rate_part"]

_EVERY: Final = timedelta(seconds=2)
_PART: Final = 250
"""Handoffs rated in one transaction: callers wait behind it for some milliseconds."""
_AHEAD: Final = 2_000
"""Handoffs found in one query of a reader."""
_PURGE_EVERY: Final = timedelta(hours=1)


class Rescorer:
    """Advances every pass that is under way, tenants in turn; after a restart it goes on where it was."""

    def __init__(
        self, store: LeadStore, *, now: Callable[[], datetime], succeeded: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._now = now
        self._succeeded = succeeded
        self._next_purge: datetime | None = None

    async def run(self) -> None:
        """Rate until cancelled."""
        while True:
            if not await self.run_once():
                await self.purge_once()
                self._succeeded()
                await asyncio.sleep(_EVERY.total_seconds())

    async def run_once(self) -> bool:
        """Advance each pass by some thousand handoffs at most; return whether any was under way."""
        under_way = await self._store.read(rescoring.due(self._now()))
        for each in under_way:
            await self._advance(each)
        return bool(under_way)

    async def _advance(self, before: Pass) -> None:
        after = before.started(self._now()).after
        found = await self._store.read(rescoring.open_after(before.tenant, after, limit=_AHEAD))
        present: Pass | None = before
        for start in range(0, len(found), _PART):
            if present is None:
                return
            step = partial(rate_part, before=present, ids=found[start : start + _PART])
            present = await self._store.sweep(step)
        if present is not None and len(found) < _AHEAD:
            await self._store.sweep(partial(_finish, before=present))

    async def purge_once(self) -> None:
        """Forget all behaviour that was held too long, part by part; at most once an hour."""
        now = self._now()
        if self._next_purge is None or now >= self._next_purge:
            while await self._store.sweep(lambda tx: tx.scoring.purge_held()):
                pass
            self._next_purge = now + _PURGE_EVERY


def rate_part(tx: LeadTx, before: Pass, ids: Sequence[HandoffId]) -> Pass | None:
    """Rate these open handoffs, write those now rated otherwise, and return the pass after it.

    None, and nothing written, when the pass is not where it was: another model was activated meanwhile.
    """
    tenant = before.tenant
    model = tx.standard(tenant).model
    if model is None or tx.scoring.find_pass(tenant) != before or model.version != before.version:
        return None
    currency_code = tx.directory(tenant).settings.currency_code
    changed = _changed(tx, model, tx.scoring.read_open(ids), currency_code)
    if changed:
        tx.scoring.write_ratings(
            changed, order=tx.work.playbook(tenant).claim_order, currency_code=currency_code
        )
        subject = names.SCORE_MODEL.build(tenant, str(model.version))
        tx.tell_of(tenant, subject, SYSTEM, rerated_event(changed), skippable=True)
    done = before.started(tx.now).advanced(ids, len(changed))
    tx.scoring.save_pass(done)
    return done


def _changed(
    tx: LeadTx, model: ScoreModel, handoffs: Sequence[OpenHandoff], currency_code: str
) -> list[tuple[OpenHandoff, Rating]]:
    leads = [(each.id.tenant, each.id.lead) for each in handoffs]
    reads_contact = model.reads_contact
    if reads_contact:
        tx.people.load(leads)
    tx.scoring.load(leads, ((each.id.tenant, each.source_system, each.external_digest) for each in handoffs))
    nobody = Contact()
    changed = []
    for each, lead in zip(handoffs, leads, strict=True):
        contact = tx.people.contact(lead) if reads_contact else None
        facts = Facts(contact or nobody, each.qualification, each.source_system, currency_code)
        behaved = tx.scoring.behaved(lead, (lead[0], each.source_system, each.external_digest))
        rating = model.rate(facts, behaved, as_of=tx.now)
        if rating != each.qualification.rating:
            changed.append((each, rating))
    return changed


def _finish(tx: LeadTx, before: Pass) -> None:
    if tx.scoring.find_pass(before.tenant) == before:
        tx.scoring.save_pass(replace(before.started(tx.now), finish_time=tx.now))
