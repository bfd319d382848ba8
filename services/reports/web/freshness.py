"""How far behind the read model may be: since when a log was last known to be folded in whole.

A quiet log is not a stale one: the source says every few seconds how far its log reaches, and when nothing
was heard at all the age grows, whatever the events say.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta

from smarketing.eventlog.consumer import EventSource
from smarketing.eventlog.feed import FeedBatch

__all__ = ["Freshness", "HeardSource"]


class Freshness:
    """The age of what pages show, over the logs that are followed."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._current: dict[str, datetime] = {}
        self._awaited: set[str] = set()

    def expect(self, log: str) -> None:
        """Count a log from now on; until it is first current, its age is that of this call."""
        self._current[log] = self._now()
        self._awaited.add(log)

    def now(self) -> datetime:
        """Return the instant by which logs are current."""
        return self._now()

    def current(self, log: str, at: datetime | None = None) -> None:
        """Note that everything known of a log now, or at an instant before, is folded in.

        Of a log that is not counted nothing is noted.
        """
        if log in self._current:
            self._current[log] = max(self._current[log], at or self._now())
            self._awaited.discard(log)

    def age(self) -> timedelta:
        """Return for how long the log that is furthest behind has not been current."""
        return max((self._now() - since for since in self._current.values()), default=timedelta())

    def complete_until(self) -> datetime | None:
        """Return until when all that was told is folded in; None before each log was current once."""
        return None if self._awaited else min(self._current.values(), default=None)


class HeardSource:
    """Another source, whose words about the log's head are noted once their events are folded in.

    Whoever makes one says to `freshness` that the log counts.
    """

    def __init__(self, source: EventSource, log: str, freshness: Freshness) -> None:
        self._source = source
        self._log = log
        self._freshness = freshness
        self._asked: tuple[int, datetime] | None = None

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield what the source yields; who asks for more has folded in what was given."""
        position = after
        async with aclosing(self._source.follow(log_id=log_id, after=after)) as batches:
            async for batch in batches:
                yield batch
                position = max(position, *(event.position for event in batch.events[-1:]), 0)
                if position >= batch.head_position:
                    self._freshness.current(self._log)

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return one page of the log."""
        asked = self._freshness.now()
        page = await self._source.read(log_id=log_id, after=after, limit=limit)
        # Who asks for what is behind `after` has folded in the rest, by itself or in another replica.
        if after >= page.head_position:
            self._freshness.current(self._log)
        elif self._asked is not None and after >= self._asked[0]:
            # A busy log is never folded in to its head, but soon to where that was.
            self._freshness.current(self._log, self._asked[1])
        self._asked = (page.head_position, asked)
        return page
