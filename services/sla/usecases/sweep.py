"""Fire what is due: driven by the next due instant, never by looking at what is merely open.

Everything it needs is in the database, so a restart, an outage or a second sweep finds the same work.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from services.sla.store.archive import Archive
from services.sla.store.due import due_clocks, next_due
from services.sla.store.quarantine import count_failure
from services.sla.store.tx import SlaTx
from services.sla.usecases.foresight import Foresight
from services.sla.usecases.settle import settle, settle_decided
from services.sla.usecases.waking import take_turns
from smarketing.sql import Connection, StorageError, Writer

_log = structlog.get_logger(__name__)

_LONGEST_SLEEP_SECONDS: Final = 1.0
_REST_SECONDS: Final = 0.02
_STEP_BACK_SECONDS: Final = 1.0


class SweepObserver(Protocol):
    """Is told what the sweeper does."""

    def timer_fired(self, kind: str, lateness_seconds: float) -> None:
        """A rung or a breach was recorded, so long after its instant."""

    def swept(self, seconds: float) -> None:
        """A batch was committed."""

    def turned(self) -> None:
        """What is due was looked at, and settled."""

    def clock_stepped_back(self) -> None:
        """The wall clock went back; nothing fires until it has caught up."""


class WallGuard:
    """Notices that the wall clock was set back, by the clock that never is."""

    def __init__(self, *, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._now = now
        self._monotonic = monotonic
        self._latest = now()
        self._latest_at = monotonic()
        self._until: datetime | None = None

    def is_back(self) -> bool:
        """Tell whether the wall clock shows, by more than a second, less than it has to."""
        wall, at = self._now(), self._monotonic()
        behind = (at - self._latest_at) - (wall - self._latest).total_seconds()
        if behind > _STEP_BACK_SECONDS and not self._caught_up(wall):
            return True
        self._latest, self._latest_at, self._until = wall, at, None
        return False

    def _caught_up(self, wall: datetime) -> bool:
        """Tell whether the clock shows again what it showed when it was set back."""
        if self._until is None:
            reached = timedelta(seconds=self._monotonic() - self._latest_at)
            self._until = self._latest + reached
        return wall >= self._until


class Sweeper:
    """Settles due clocks in order of their instants, a batch at a time."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        *,
        guard: WallGuard,
        now: Callable[[], datetime],
        may_fire: Callable[[], bool] = lambda: True,
        observer: SweepObserver | None = None,
        batch_clocks: int = 256,
        foresight: Foresight | None = None,
    ) -> None:
        """Take what sweeps; with a `foresight` it decides ahead while nothing is due."""
        self._writer = writer
        self._archive = archive
        self._guard = guard
        self._now = now
        self._may_fire = may_fire
        self._observer = observer
        self._batch_clocks = batch_clocks
        self._foresight = foresight

    async def run(self) -> None:
        """Sweep until cancelled."""
        await take_turns(self._writer, self._turn, rest_seconds=_REST_SECONDS)

    async def sweep(self) -> int:
        """Settle everything that is due now; return how many clocks that were."""
        if self._guard.is_back():
            _log.error("wall_clock_stepped_back")
            if self._observer is not None:
                self._observer.clock_stepped_back()
            return 0
        if not self._may_fire() or not await self._is_due():
            return 0
        total, limit, again = 0, self._batch_clocks, True
        while again:
            swept, limit, again = await self._batch(limit)
            total += swept
        return total

    async def _turn(self) -> float:
        """Sweep, and return how long nothing will be due."""
        try:
            await self.sweep()
            is_more_ahead = await self._look_ahead()
            following = await self._writer.read(next_due)
            if self._observer is not None:
                self._observer.turned()
        except StorageError as error:
            _log.warning("sweep_failed", problem=str(error))
            return _LONGEST_SLEEP_SECONDS
        if is_more_ahead:
            return 0.0
        if following is None:
            return _LONGEST_SLEEP_SECONDS
        return min(max((following - self._now()).total_seconds(), 0.0), _LONGEST_SLEEP_SECONDS)

    async def _look_ahead(self) -> bool:
        """Decide a few clocks before they are due; return whether there are others to come soon."""
        if self._foresight is None or not self._may_fire():
            return False
        return await self._foresight.look(self._writer, now=self._now)

    async def _is_due(self) -> bool:
        # Asked by a reader first: a commit of our own that found nothing would wake us again, for ever.
        following = await self._writer.read(next_due)
        return following is not None and following <= self._now()

    async def _batch(self, limit: int) -> tuple[int, int, bool]:
        """Settle at most `limit` due clocks; return how many, how many to try next, and whether to go on.

        A batch that fails is halved until the clock that fails is alone, which is then put aside.
        """
        began = asyncio.get_running_loop().time()
        try:
            (swept,) = await self._writer.run(self._unit, [limit])
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a clock made of itself must not stop the others
            self._archive.forget()
            if self._foresight is not None:
                self._foresight.forget()
            if limit > 1:
                return 0, limit // 2, True
            (quarantined,) = await self._writer.run(self._put_aside, [None])
            _log.error("clock_not_settled", quarantined=quarantined, exc_info=error)
            return 0, 1, True
        if self._observer is not None and swept:
            self._observer.swept(asyncio.get_running_loop().time() - began)
        return swept, min(limit * 2, self._batch_clocks), swept > 0

    def _unit(self, connection: Connection, limits: Sequence[int], now: datetime) -> list[int]:
        return [
            sweep_batch(
                connection,
                self._archive,
                limit,
                now=now,
                observer=self._observer,
                foresight=self._foresight,
            )
            for limit in limits
        ]

    def _put_aside(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[bool]:
        due = due_clocks(connection, now=now, limit=1)
        done = [count_failure(connection, clock, now=now) for clock, _ in due]
        return [any(done)] * len(requests)


def sweep_batch(
    connection: Connection,
    archive: Archive,
    limit: int,
    *,
    now: datetime,
    observer: SweepObserver | None = None,
    foresight: Foresight | None = None,
) -> int:
    """Settle the clocks due first, in one transaction; return how many."""
    due = due_clocks(connection, now=now, limit=limit)
    if not due:
        return 0
    tx = SlaTx(connection, archive, now=now)
    observe = None if observer is None else observer.timer_fired
    handoffs = list(dict.fromkeys(handoff for _, handoff in due))
    foreseen = foresight.valid(tx, handoffs) if foresight is not None else {}
    decided = [each for handoff in foreseen for each in foreseen[handoff].decided]
    settle_decided(tx, decided, observe=observe)
    settle(tx, [handoff for handoff in handoffs if handoff not in foreseen], observe=observe)
    tx.flush()
    return len(due)
