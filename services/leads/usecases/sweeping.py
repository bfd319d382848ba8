"""Keeps looking after what time alone moves: leases that run out, and handoffs that wait for routing."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from services.leads.store.leads import LeadStore
from services.leads.store.statements import next_expiry
from services.leads.usecases.routing import expire_offers, route_waiting

_LONGEST_REST: Final = timedelta(seconds=5)
"""Leases given by another process, or before a restart, are found after it at the latest."""


class Sweeper:
    """Passes offers on at the instant at which their lease ends; wakes for the next one, not by a period."""

    def __init__(
        self, store: LeadStore, *, now: Callable[[], datetime], succeeded: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._now = now
        self._succeeded = succeeded
        self._wake = asyncio.Event()
        self._due: datetime | None = None

    async def run_once(self) -> int:
        """Pass on everything that is due now, route what waits, and return how many handoffs moved."""
        self._store.forget_expiry()
        moved, more = 0, True
        while more:
            swept = await self._store.sweep(expire_offers)
            moved, more = moved + swept.moved, swept.more
        moved += (await self._store.sweep(route_waiting)).moved
        self._due = await self._store.read(next_expiry)
        self._succeeded()
        return moved

    async def run(self) -> None:
        """Sweep whenever something is due, until cancelled."""
        forget = self._store.writer.when_committed(self._look)
        try:
            while True:
                await self.run_once()
                self._wake.clear()
                rest = self._until_due().total_seconds()
                try:
                    async with asyncio.timeout(max(rest, 0.0)):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            forget()

    def _look(self) -> None:
        """Wake when a commit gave a lease that ends before the one that is waited for."""
        earliest = self._store.next_expiry
        if earliest is not None and (self._due is None or earliest < self._due):
            self._due = earliest
            self._wake.set()

    def _until_due(self) -> timedelta:
        if self._due is None:
            return _LONGEST_REST
        # A lease is over at its last instant: an empty sweep a moment before would spin.
        return min(_LONGEST_REST, max(self._due - self._now(), timedelta(milliseconds=5)))
