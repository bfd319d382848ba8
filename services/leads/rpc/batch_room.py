"""Room for batches of streams at the writer: a few at once, tenants in turn, within each one's quota."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["BatchRoom"]

_PLACES: Final = 3
"""Of all streams together. The others wait, so that a stream is slowed where a call would be refused."""
_LONGEST_NAP_SECONDS: Final = 0.5
"""A quota may be widened while somebody waits for it."""


class BatchRoom:
    """Lets batches in, at most three at once; whose tenant waited longest for its turn is next.

    However many streams and batches one tenant has waiting, another's batch waits for those inside and for
    one of each other tenant. A tenant's own batches go in their order.
    """

    def __init__(self, spend: Callable[[str, int], float]) -> None:
        """Take the quota: it takes a tenant's items and returns 0, or the seconds to wait first."""
        self._spend = spend
        self._inside = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By tenant, the one whose turn is next first."""
        self._in_order: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def place(self, tenant: str, items: int) -> AsyncIterator[None]:
        """Wait for the tenant's quota, then for a place, and have it until the block ends."""
        async with self._in_order[tenant]:
            while (seconds := self._spend(tenant, items)) > 0.0:  # noqa: ASYNC110 - time alone pays
                await asyncio.sleep(min(seconds, _LONGEST_NAP_SECONDS))
        await self._enter(tenant)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, tenant: str) -> None:
        if self._inside < _PLACES:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            else:
                self._forget(tenant, turn)
            raise

    def _leave(self) -> None:
        """Hand the place to the next; while somebody waits, no place is free."""
        if not self._waiting:
            self._inside -= 1
            return
        tenant, turns = next(iter(self._waiting.items()))
        turn = turns.popleft()
        del self._waiting[tenant]
        if turns:
            self._waiting[tenant] = turns
        turn.set_result(None)

    def _forget(self, tenant: str, turn: "asyncio.Future[None]") -> None:
        turns = self._waiting[tenant]
        turns.remove(turn)
        if not turns:
            del self._waiting[tenant]
