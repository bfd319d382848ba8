"""What falls due besides clocks: requests that lapse, budgets of which something changes, periods that end.

Driven by the next instant that stands in the database, like the sweeper, and as little in memory: a restart
finds the same work.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from services.sla.store.archive import Archive
from services.sla.store.budgets import next_budget
from services.sla.store.exceptions import next_lapse
from services.sla.store.periods import next_period_time
from services.sla.store.tx import SlaTx
from services.sla.usecases.budgets import judge_due
from services.sla.usecases.exceptions import lapse
from services.sla.usecases.periods import settle_due
from services.sla.usecases.waking import take_turns
from smarketing.sql import Connection, StorageError, Writer

__all__ = ["Promptly", "do_what_is_due", "next_instant"]

_log = structlog.get_logger(__name__)

_LONGEST_SLEEP_SECONDS: Final = 1.0
_REST_SECONDS: Final = 0.05
_BATCH: Final = 100


def next_instant(connection: Connection) -> datetime | None:
    """Return when something is due next; None when nothing is."""
    instants = (next_lapse(connection), next_budget(connection), next_period_time(connection))
    return min((each for each in instants if each is not None), default=None)


def do_what_is_due(connection: Connection, archive: Archive, *, now: datetime) -> int:
    """Do a batch of what is due, in one transaction; return how much that was."""
    tx = SlaTx(connection, archive, now=now)
    done = lapse(tx, limit=_BATCH) + judge_due(tx, limit=_BATCH) + settle_due(tx, limit=_BATCH)
    tx.flush()
    return done


class Promptly:
    """Does what is due when it is due."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        *,
        now: Callable[[], datetime],
        may_act: Callable[[], bool] = lambda: True,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what is worked on; `may_act` tells whether all that happened until now is taken in."""
        self._writer = writer
        self._may_act = may_act
        self._archive = archive
        self._now = now
        self._succeeded = succeeded

    async def run(self) -> None:
        """Go on until cancelled."""
        await take_turns(self._writer, self._turn, rest_seconds=_REST_SECONDS)

    async def catch_up(self) -> int:
        """Do everything that is due now; return how much that was."""
        total = 0
        if not self._may_act():
            return total
        # Asked by a reader first: a commit that found nothing would wake us again, for ever.
        while await self._is_due():
            (done,) = await self._writer.run(self._unit, [None])
            if not done:
                break
            total += done
        return total

    async def _is_due(self) -> bool:
        following = await self._writer.read(next_instant)
        return following is not None and following <= self._now()

    async def _turn(self) -> float:
        """Catch up, and return how long nothing will be due."""
        try:
            await self.catch_up()
            following = await self._writer.read(next_instant)
            self._succeeded()
        except StorageError as error:
            _log.warning("prompt_work_failed", problem=str(error))
            return _LONGEST_SLEEP_SECONDS
        if following is None:
            return _LONGEST_SLEEP_SECONDS
        return min(max((following - self._now()).total_seconds(), 0.0), _LONGEST_SLEEP_SECONDS)

    def _unit(self, connection: Connection, requests: Sequence[None], now: datetime) -> list[int]:
        done = do_what_is_due(connection, self._archive, now=now)
        return [done] * len(requests)
