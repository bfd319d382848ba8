"""One clock decided the slow way, for the tests alone: by counting what is left outside the pauses."""

from collections.abc import Iterable

from tests.builders.second_by_second import Counted

PAIRS = {"go_on": "hold", "on": "wait"}
"""What ends a pause, and which."""


class SlowClock:
    """Rules 9 to 11 for one clock; instants and amounts are microseconds, used once.

    The first `start` starts it, `hold` to `go_on` and `wait` to `on` pause it, `stop` stops it, and `undo`
    undoes a stop that met. Every due instant is worked out anew from the start: paused time is struck out of
    the open seconds, and what is left is counted.
    """

    def __init__(self, counted: Counted, target: int) -> None:
        self._counted = counted
        self._target = target
        self._start: int | None = None
        self._stop: int | None = None
        self._since: int | None = None
        self._state = ""
        self._held: set[str] = set()
        self._paused: list[tuple[int, int]] = []

    def shown(self, events: Iterable[tuple[int, str]], as_of: int) -> dict[str, object]:
        """Return the clock as the offline evaluation shows it, in microseconds."""
        for at, kind in events:
            if at <= as_of:
                self._take(at, kind)
        assert self._start is not None
        due = self._due()
        end = as_of if self._stop is None else self._stop
        if not self._state:
            is_held = self._since is not None and self._since < due
            self._state = "PAUSED" if is_held else "BREACHED" if as_of > due else "RUNNING"
        self._let_go(end)
        out = sum(self._counted.between(a, b) for a, b in self._paused)
        elapsed = self._counted.between(self._start, end) - out
        shown: dict[str, object] = {
            "state": self._state,
            "original_due": self._counted.add(self._start, self._target),
            "due": due,
            "elapsed_seconds": elapsed,
            "remaining_seconds": self._target - elapsed,
            "paused_seconds": out,
        }
        if self._state == "BREACHED":
            shown["breached"] = due
        return shown

    def _take(self, at: int, kind: str) -> None:
        if kind == "start":
            if self._start is None:
                self._start = at
                self._since = at if self._held else None
        elif kind == "stop":
            self._end(at)
        elif kind == "undo":
            self._go_on(at)
        elif kind in PAIRS:
            self._held.discard(PAIRS[kind])
            if not self._held:
                self._let_go(at)
        else:
            self._held.add(kind)
            if self._start is not None and self._stop is None and self._since is None:
                self._since = at

    def _end(self, at: int) -> None:
        if self._start is None or self._stop is not None:
            return
        self._let_go(at)
        self._held.clear()
        self._stop = at
        self._state = "MET" if at <= self._due() else "BREACHED"

    def _go_on(self, at: int) -> None:
        if self._state == "MET" and self._stop is not None:
            self._paused.append((self._stop, at))
            self._state, self._stop = "", None
            self._since = at if self._held else None

    def _let_go(self, at: int) -> None:
        if self._since is not None:
            self._paused.append((self._since, at))
            self._since = None

    def _due(self) -> int:
        """Return the least instant by which the target has counted outside the pauses so far."""
        assert self._start is not None
        at, missing = self._start, self._target
        if missing == 0:
            return at
        for begin, end in self._paused:
            stretch = self._counted.between(at, begin)
            if stretch >= missing:
                break
            missing -= stretch
            at = end
        due = self._counted.add(at, missing)
        assert due is not None
        return due
