"""Look at old handoffs once more: a version took effect in the past, or a calendar counts otherwise now."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from services.sla.store.archive import Archive
from services.sla.store.moves import find_move
from services.sla.store.replays import advance_replay, find_replay, next_handoffs
from services.sla.store.tx import SlaTx
from services.sla.usecases.moving import move_batch
from services.sla.usecases.recasting import recast_batch
from services.sla.usecases.settle import settle
from smarketing.sql import Connection, StorageError, Writer

_log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 1.0


class Replayer:
    """Works through replays a few handoffs at a time, beside everything else."""

    def __init__(
        self,
        writer: Writer,
        archive: Archive,
        *,
        batch_handoffs: int = 200,
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._archive = archive
        self._batch_handoffs = batch_handoffs
        self._succeeded = succeeded

    async def run(self) -> None:
        """Replay until cancelled."""
        is_new = True
        while True:
            try:
                if is_new or await self._writer.read(_is_work_left):
                    await self.replay()
                    # The rules of zones are those of the build: they change with the process alone.
                    is_new = False
                self._succeeded()
            except StorageError as error:
                _log.warning("replay_failed", problem=str(error))
            await asyncio.sleep(_EVERY_SECONDS)

    async def replay(self) -> int:
        """Finish every replay and move that was begun; return how many handoffs and clocks were looked at."""
        total = 0
        while True:
            (done,) = await self._writer.run(self._unit, [self._batch_handoffs])
            if done is None:
                return total
            total += done

    def _unit(self, connection: Connection, limits: Sequence[int], now: datetime) -> list[int | None]:
        return [self._batch(connection, limit, now) for limit in limits]

    def _batch(self, connection: Connection, limit: int, now: datetime) -> int | None:
        batches = (replay_batch, recast_batch, move_batch)
        done = (batch(connection, self._archive, limit, now=now) for batch in batches)
        return next((each for each in done if each is not None), None)


def _is_work_left(connection: Connection) -> bool:
    return find_replay(connection) is not None or find_move(connection) is not None


def replay_batch(connection: Connection, archive: Archive, limit: int, *, now: datetime) -> int | None:
    """Settle the next handoffs of a replay; return how many, None when no replay is left."""
    replay = find_replay(connection)
    if replay is None:
        return None
    handoffs = next_handoffs(connection, replay, limit=limit)
    tx = SlaTx(connection, archive, now=now)
    settle(tx, handoffs)
    tx.flush()
    advance_replay(connection, replay, done=handoffs)
    return len(handoffs)
