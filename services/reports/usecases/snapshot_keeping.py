"""Copies the read model once a day of its log, or after so many events; removes copies that are not kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.reports.domain.as_of import Place, Places
from services.reports.domain.periods import micros_of
from services.reports.store.queries import Queries
from services.reports.store.snapshots import Snapshot, Snapshots
from smarketing.logs import get_log
from smarketing.sql import Database, StorageError, Writer

__all__ = ["SnapshotKeeper", "SnapshotPace"]

_log = get_log(__name__)

_LOOK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class SnapshotPace:
    """How far the newest copy may be left behind, whichever comes first."""

    time: timedelta
    events: int

    def is_due(self, present: Places, last: Places) -> bool:
        """Say whether a copy is to be made of a model that is folded in so far."""
        if not present:
            return False
        events = sum(
            place.position - (last[service].position if service in last else 0)
            for service, place in present.items()
        )
        newest = max(place.record_time for place in present.values())
        before = max((place.record_time for place in last.values()), default=0)
        return events > 0 and (
            events >= self.events or newest - before >= self.time // timedelta(microseconds=1)
        )


class SnapshotKeeper:
    """Looks once a minute whether a copy is due."""

    def __init__(
        self,
        writer: Writer,
        database: Database,
        queries: Queries,
        snapshots: Snapshots,
        pace: SnapshotPace,
        *,
        now: Callable[[], datetime],
        succeeded: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._database = database
        self._queries = queries
        self._snapshots = snapshots
        self._pace = pace
        self._now = now
        self._succeeded = succeeded

    async def run(self) -> None:
        """Make and thin copies until cancelled; one that cannot be made is tried again."""
        try:
            while True:
                try:
                    await self.look()
                    self._succeeded()
                except (OSError, StorageError) as error:
                    _log.warning("snapshot_failed", error=type(error).__name__)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            # A thread that still copies would hold up the end of the process.
            self._snapshots.give_up()

    async def look(self) -> Snapshot | None:
        """Make a copy if one is due, and thin those that are there."""
        present = await self._writer.read(
            lambda connection: {log.service: Place(*log[1:]) for log in self._queries.folded(connection)}
        )
        known = await asyncio.to_thread(self._snapshots.all)
        made = None
        if self._pace.is_due(present, known[-1].logs if known else {}):
            made = await asyncio.to_thread(self._snapshots.make, self._database)
            if made is None:
                _log.warning("snapshot_failed", error="the disk has too little room")
            else:
                _log.info("snapshot_made", bytes=made.size, position=sum(_positions(made.logs)))
        await asyncio.to_thread(self._snapshots.thin, micros_of(self._now()))
        return made


def _positions(places: Places) -> list[int]:
    return [place.position for place in places.values()]
