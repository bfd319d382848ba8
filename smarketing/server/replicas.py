"""What several processes of one service on one database need of one another."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

from smarketing.server.bootstrap import BackgroundTask
from smarketing.sql import Writer
from smarketing.sql.leases import Lease
from smarketing.sql.others import Others

__all__ = ["Replicas"]

_LEASE: Final = "background"


class Follower(Protocol):
    """Follows a log, or looks on while another replica does."""

    async def run(self) -> None:
        """Apply what comes, until cancelled."""

    async def look_on(self) -> None:
        """Know how far the other one is, until cancelled."""


class Replicas:
    """Has one of the replicas do what only one has to, and each hear of what another committed.

    Where a process owns its database it is the only one, and all of this costs nothing.
    """

    def __init__(self, writer: Writer, *, holder: str, monotonic: Callable[[], float]) -> None:
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

    def following(self, name: str, consumer: Follower) -> BackgroundTask:
        """Give the task that follows a log: in one replica at a time, while the others look on.

        Two that followed it at once would do no harm either; each would only fetch what the other applied.
        """
        if not self._is_shared:
            return BackgroundTask(name, consumer.run)
        return BackgroundTask(name, lambda: self._lease.while_held(consumer.run, meanwhile=consumer.look_on))

    def tasks(self) -> Iterator[BackgroundTask]:
        """Give what keeps this going."""
        if self._is_shared:
            yield BackgroundTask("others", self._others.run)
            yield BackgroundTask("lease", self._lease.run)
