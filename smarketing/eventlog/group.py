"""The consumers of one log's partitions, seen as the one consumer that the undivided log would have.

What is asked of a group is answered by its member that is furthest behind: everything up to there is done
by all. A group of one is the plain case, and is that consumer under another name.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeAlias

import structlog
from sqlalchemy import Connection

from smarketing.eventlog.checkpoints import (
    Checkpoint,
    forget_checkpoints,
    list_group,
    put_checkpoint,
)
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.outbox import begin_log
from smarketing.eventlog.partitions import Partition, partitions
from smarketing.eventlog.stopping import PoisonEvent, UnknownPayload
from smarketing.server.listening import StartRefused
from smarketing.sql import StorageObserver, Writer

__all__ = ["ConsumerGroup", "Make", "Progress", "folding_writer"]

_log = structlog.get_logger(__name__)

Make: TypeAlias = Callable[[Partition], Consumer]
"""Gives the consumer of a partition."""


class Progress(Protocol):
    """How far a log is followed, by one consumer or by a group."""

    @property
    def position(self) -> int:
        """The last position up to which everything is applied and committed."""

    @property
    def head_position(self) -> int:
        """The newest position known to be in the log; never below `position`."""

    @property
    def caught_up(self) -> bool:
        """Whether all that the log held when it first answered, in this run, is applied."""

    @property
    def read_until(self) -> datetime | None:
        """When the newest event taken in was recorded; None before the log was heard from in this run."""


async def folding_writer(
    stack: AsyncExitStack,
    writer: Writer,
    count: int,
    *,
    now: Callable[[], datetime],
    observer: StorageObserver,
    not_before: Callable[[Connection], datetime | None],
) -> Writer:
    """Return what the members of groups write with: beside other replicas', where a log is divided.

    Raises:
        StartRefused: when it is to be divided, and this process owns the database alone.
    """
    if count == 1:
        return writer
    if not writer.database.is_remote:
        raise StartRefused("SMARKETING_PARTITIONS divides a log among replicas, which need PostgreSQL.")
    folding = await stack.enter_async_context(
        # One member at a time: none waits for another one's fold, holding what those of other replicas want.
        Writer(writer.database, now=now, observer=observer, not_before=not_before, sharing=True, max_batch=1)
    )
    folding.when_committed(writer.announce)
    return folding


class ConsumerGroup:
    """The members of a group: one for each of `count` partitions, made by `make`."""

    def __init__(
        self,
        name: str,
        make: Make,
        *,
        writer: Writer,
        count: int = 1,
        divided: Callable[[Connection, Checkpoint], None] = lambda _connection, _at: None,
        rest_seconds: float = 30.0,
    ) -> None:
        """Make the members; `divided` is told the place that they are given, in the same transaction."""
        self._name = name
        self._make = make
        self._writer = writer
        self.members = [make(partition) for partition in partitions(count)]
        self._parts = partitions(count)
        self._divided = divided
        self._rest_seconds = rest_seconds

    @property
    def name(self) -> str:
        """Under which the place is kept; each of several members has a name of its own below it."""
        return self._name

    @property
    def position(self) -> int:
        """The last position up to which everything is applied and committed."""
        return min(member.position for member in self.members)

    @property
    def log_id(self) -> str:
        """The log that is followed; empty before the first word from it."""
        return self.members[0].log_id

    @property
    def head_position(self) -> int:
        """The newest position known to be in the log; never below `position`."""
        return max(member.head_position for member in self.members)

    @property
    def caught_up(self) -> bool:
        """Whether all that the log held when it first answered, in this run, is applied."""
        return all(member.caught_up for member in self.members)

    @property
    def progress_time(self) -> datetime:
        """When `position` was reached."""
        return min(self.members, key=lambda member: member.position).progress_time

    @property
    def read_until(self) -> datetime | None:
        """When the newest event that all have taken in was recorded; None before all heard from the log."""
        reached = [member.read_until for member in self.members]
        return min((each for each in reached if each is not None), default=None) if all(reached) else None

    async def wait_until(self, position: int) -> None:
        """Return when everything up to `position` is applied and committed.

        Raises:
            Exception: what stopped a member, if one stops before.
        """
        await asyncio.gather(*(member.wait_until(position) for member in self.members))

    async def run(self) -> None:
        """Follow the whole log, all members in this process, until cancelled; raises what a member raises."""
        await asyncio.gather(*(member.run() for member in self.members))

    async def divide(self) -> None:
        """See to it that each member has its place, whatever division there was before.

        Members of an earlier division are brought to the place of the furthest of them first. Replicas that
        still follow in that division go on until then, and stop when their places are gone.
        """
        while True:
            (behind,) = await self._writer.run(self._settle, [None])
            if not behind:
                return
            for place, furthest in behind:
                _log.info("partition_is_levelled", consumer=place.consumer, position=furthest)
                await self._level(place.consumer, furthest)

    async def _level(self, member: str, position: int) -> None:
        try:
            await self._make(_partition_of(member)).level(position)
        except (UnknownPayload, PoisonEvent) as stopped:
            _log.error("consumer_rests", consumer=member, why=str(stopped))
            await asyncio.sleep(self._rest_seconds)

    def _settle(
        self, connection: Connection, requests: Sequence[None], now: datetime
    ) -> list[list[tuple[Checkpoint, int]]]:
        """Give the members their places; if they cannot have them yet, return who is behind, and how far."""
        wanted = [part.member_of(self._name) for part in self._parts]
        known = list_group(connection, self._name)
        if {place.consumer for place in known} != set(wanted):
            furthest = max((place.position for place in known), default=0)
            behind = [(place, furthest) for place in known if place.position < furthest]
            if behind:
                return [behind for _ in requests]
            begin_log(connection, now=now)
            at = known[0] if known else _beginning(self._name, now)
            self._divided(connection, at)
            forget_checkpoints(connection, [place.consumer for place in known])
            for name in wanted:
                put_checkpoint(connection, replace(at, consumer=name, attempts=0))
            if known:
                _log.info("log_divided", consumer=self._name, partitions=len(wanted), position=at.position)
        return [[] for _ in requests]


def _beginning(group: str, now: datetime) -> Checkpoint:
    return Checkpoint(consumer=group, log_id="", position=0, progress_time=now, attempts=0)


def _partition_of(member: str) -> Partition:
    found = re.search(r"\.(\d+)of(\d+)$", member)
    return Partition(int(found[1]), int(found[2])) if found else Partition()
