"""What several processes of one service on one database need of one another."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

from smarketing.server.bootstrap import BackgroundTask
from smarketing.sql import Writer
from smarketing.sql.leases import Lease
from smarketing.sql.others import Others
from smarketing.sql.shares import Shares

__all__ = ["Replicas"]

_LEASE: Final = "background"
_PARTITION: Final = "partition"


class Follower(Protocol):
    """Follows a log, or looks on while another replica does."""

    async def run(self) -> None:
        """Apply what comes, until cancelled."""

    async def look_on(self) -> None:
        """Know how far the other one is, until cancelled."""


class FollowerGroup(Protocol):
    """The followers of a log's partitions, one each."""

    @property
    def members(self) -> Sequence[Follower]:
        """In the order of their partitions."""

    async def run(self) -> None:
        """Follow the whole log here, until cancelled."""

    async def divide(self) -> None:
        """Give each member its place, if it has none yet."""


class Replicas:
    """Has one of the replicas do what only one has to, and each hear of what another committed.

    Where a process owns its database it is the only one, and all of this costs nothing. Logs are divided in
    `partitions`, and one replica follows the same partition of each.
    """

    def __init__(
        self, writer: Writer, *, holder: str, monotonic: Callable[[], float], partitions: int = 1
    ) -> None:
        # Of their number, too: who divides otherwise has no part in these.
        name = f"{_PARTITION}-of-{partitions}"
        self._shares = Shares(writer, name, partitions, holder=holder, monotonic=monotonic)
        self._is_shared = writer.database.is_remote
        self._lease = Lease(writer, _LEASE, holder=holder, monotonic=monotonic)
        self._others = Others(writer)

    def alone(self, *tasks: BackgroundTask) -> Iterator[BackgroundTask]:
        """Give the tasks as this replica runs them: only while it holds the lease.

        With two holders each of them still does right; deliveries would merely be made twice.
        """
        if not self._is_shared:
            yield from tasks
            return
        for task in tasks:
            yield BackgroundTask(task.name, partial(self._lease.while_held, task.run))

    def following(self, name: str, group: FollowerGroup) -> BackgroundTask:
        """Give the task that follows a log: each partition in one replica, while the others look on.

        Two that followed it at once would do no harm either; each would only fetch what the other applied.
        """
        if not self._is_shared:
            return BackgroundTask(name, group.run)
        if len(group.members) == 1:
            work, meanwhile = partial(_divide_and_run, group), group.members[0].look_on
            return BackgroundTask(name, lambda: self._lease.while_held(work, meanwhile=meanwhile))
        return BackgroundTask(name, partial(self._follow_in_parts, group))

    async def _follow_in_parts(self, group: FollowerGroup) -> None:
        leases = self._shares.leases
        await _first_failure(
            self._lease.while_held(partial(_divide, group)),
            *(
                lease.while_held(member.run, meanwhile=member.look_on)
                for lease, member in zip(leases, group.members, strict=True)
            ),
        )

    def tasks(self) -> Iterator[BackgroundTask]:
        """Give what keeps this going."""
        if self._is_shared:
            yield BackgroundTask("others", self._others.run)
            yield BackgroundTask("lease", self._lease.run)
            if len(self._shares.leases) > 1:
                yield BackgroundTask("shares", self._shares.run)


async def _divide_and_run(group: FollowerGroup) -> None:
    await group.divide()
    await group.run()


async def _divide(group: FollowerGroup) -> None:
    await group.divide()
    await asyncio.Event().wait()


async def _first_failure(*works: Coroutine[Any, Any, None]) -> None:
    """Do all of this until one fails or all are cancelled; raise what that one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
