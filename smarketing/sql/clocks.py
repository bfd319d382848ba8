"""Whose clock decides: this process' own, or that of the server which several processes share."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta


class ServerClock:
    """The database server's time, as its answers tell it: between two of them our own clock only measures.

    What it gives is behind the server by the way of an answer, and never ahead, so nothing is early.
    """

    def __init__(self) -> None:
        self._known: tuple[datetime, float] | None = None

    def note(self, instant: datetime) -> None:
        """Take in what the server's clock showed when it sent the answer that has just arrived."""
        self._known = (instant, time.monotonic())

    def now(self) -> datetime | None:
        """Return the server's time; None as long as it never said it."""
        if self._known is None:
            return None
        instant, noted = self._known
        return instant + timedelta(seconds=time.monotonic() - noted)

    def instead_of(self, now: Callable[[], datetime]) -> Callable[[], datetime]:
        """Return a clock that shows the server's time, and what `now` shows until that is known."""
        return lambda: self.now() or now()
