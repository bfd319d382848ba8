"""The place of a consumer in its log: the row that is committed together with what the consumer did."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias, TypeVar

import structlog
from sqlalchemy import Connection

from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint, put_checkpoint
from smarketing.eventlog.feed import backoff_seconds
from smarketing.eventlog.stopping import ConsumerStopped
from smarketing.sql import StorageCorrupt, StorageError, Writer, WriterClosed

__all__ = ["Effect", "Place"]

_log = structlog.get_logger(__name__)

Effect: TypeAlias = Callable[[Connection, datetime], None]
"""What is committed together with the step to the next place."""

_Found = TypeVar("_Found")

_WAITS_FOR_ITS_ROW_SECONDS: Final = 0.25


class Place:
    """Where one consumer stands, and the only one who moves it there.

    Everything up to `checkpoint` is done. The stored row may be behind it by events that were none of the
    consumer's own, which cost nothing to pass over once more.
    """

    def __init__(
        self,
        writer: Writer,
        consumer: str,
        *,
        now: datetime,
        reached: Callable[[], None],
        has_row: bool = False,
    ) -> None:
        """Start at the beginning; `reached` is told of every step. With `has_row`, others make the row."""
        self._writer = writer
        self._consumer = consumer
        self._reached = reached
        self._has_row = has_row
        self._checkpoint = Checkpoint(consumer=consumer, log_id="", position=0, progress_time=now, attempts=0)
        self._stored = self._checkpoint
        self._turn = asyncio.Lock()

    @property
    def checkpoint(self) -> Checkpoint:
        """What is true by now."""
        return self._checkpoint

    @property
    def is_behind(self) -> bool:
        """Whether the stored row is behind what was passed over."""
        return self._stored.position < self._checkpoint.position

    async def learn(self) -> None:
        """Take over what is stored, whatever was believed before; wait for a row that is yet to be made."""
        while True:
            found = await self._write(
                lambda connection, _now: find_checkpoint(connection, self._consumer) or self._stored
            )
            if found is not self._stored:
                self._has_row = True
            if found is not self._stored or not self._has_row:
                self._be_at(found, stored=found)
                return
            _log.info("waits_for_its_place", consumer=self._consumer)
            await asyncio.sleep(_WAITS_FOR_ITS_ROW_SECONDS)

    async def look(self) -> None:
        """Take over where another replica has stored it by now, in a transaction that reads.

        Raises:
            StorageError: when storage is at fault.
        """
        found = await self._writer.read(partial(find_checkpoint, consumer=self._consumer))
        if found is not None:
            self._be_at(found, stored=found)

    def follow(self, log_id: str) -> None:
        """Know the log, from its first word on."""
        self._checkpoint = replace(self._checkpoint, log_id=log_id)

    def pass_over(self, position: int, record_time: datetime, now: datetime) -> None:
        """Be behind events of which none is the consumer's own, and store that later."""
        there = replace(self._checkpoint, position=position, record_time=record_time, progress_time=now)
        self._be_at(there, stored=self._stored)

    async def store(self, checkpoint: Checkpoint) -> None:
        """Commit a checkpoint by itself."""
        await self.move(lambda _now: checkpoint, lambda _connection, _now: None)

    async def store_passed(self) -> None:
        """Store what was passed over, if anything was."""
        if self.is_behind:
            await self.move(lambda _now: self._checkpoint, lambda _connection, _now: None)

    async def move(self, to: Callable[[datetime], Checkpoint], effect: Effect) -> bool:
        """Commit an effect together with the place it leads to, unless a replica of this service went first.

        Either way `checkpoint` is what is committed, or beyond it by what was passed over. Returns whether it
        was us who moved.

        Raises:
            ConsumerStopped: the stored place was set back, or is gone.
        """
        async with self._turn:
            return await self._move(to, effect)

    async def _move(self, to: Callable[[datetime], Checkpoint], effect: Effect) -> bool:
        ours = False
        known = self._stored

        def step(connection: Connection, now: datetime) -> Checkpoint | None:
            nonlocal ours
            found = find_checkpoint(connection, self._consumer, to_move=True)
            if found is None and self._has_row:
                return None
            ours = found is None or (
                found.position == known.position and found.log_id in ("", self._checkpoint.log_id)
            )
            if found is not None and not ours:
                return found
            effect(connection, now)
            checkpoint = to(now)
            put_checkpoint(connection, checkpoint)
            return checkpoint

        after = await self._write(step)
        if after is None:
            raise ConsumerStopped(self._consumer, known.position, "its place is gone")
        if not ours and (after.log_id != self._checkpoint.log_id or after.position < known.position):
            raise ConsumerStopped(self._consumer, known.position, "somebody set its place back")
        # More may have been passed over meanwhile.
        self._be_at(after if after.position >= self._checkpoint.position else self._checkpoint, stored=after)
        return ours

    def _be_at(self, checkpoint: Checkpoint, *, stored: Checkpoint) -> None:
        self._checkpoint, self._stored = checkpoint, stored
        self._reached()

    async def _write(self, step: Callable[[Connection, datetime], _Found]) -> _Found:
        """Run one step as a unit of the writer; wait out faults of storage, which are not the events'."""
        attempt = 0
        while True:
            try:
                (found,) = await self._writer.run(_run_steps, [step])
            except (WriterClosed, StorageCorrupt):
                raise
            except StorageError as error:
                _log.warning("storage_refused", consumer=self._consumer, error=str(error))
                await asyncio.sleep(backoff_seconds(self._consumer, attempt))
                attempt += 1
                continue
            return found


def _run_steps(
    connection: Connection, steps: Sequence[Callable[[Connection, datetime], _Found]], now: datetime
) -> list[_Found]:
    """Run the steps of consumers that wait together; each is of another consumer."""
    return [step(connection, now) for step in steps]
