"""How one clock runs: the arithmetic of start, stop, pause and reopening, without knowing what it measures.

Integers here are microseconds: instants since the epoch, amounts of the calendar's open time. A million
clocks are decided with them; `clock` turns the result into instants and working time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from smarketing.businesstime import Openings


class Step(Enum):
    """What a mark does to the clock."""

    START = "START"
    STOP = "STOP"
    EXIT = "EXIT"
    """The handoff leaves without a stop: until due nothing was owed any more, later the breach stays."""
    REOPEN = "REOPEN"
    RESTORE = "RESTORE"
    """The exit with the same key is undone, as a stop is by a reopening."""
    PAUSE = "PAUSE"
    RESUME = "RESUME"


class Outcome(Enum):
    """What a clock is; exactly one at a time."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    MET = "MET"
    BREACHED = "BREACHED"
    EXCUSED = "EXCUSED"
    VOID = "VOID"


class IntervalKind(Enum):
    """What the clock made of a span of time."""

    COUNTED = "COUNTED"
    CLOSED = "CLOSED"
    PAUSED = "PAUSED"


class Mark(NamedTuple):
    """A step at an instant.

    `key` tells pauses apart, None resumes all; of an exit it is the reason. `cap` is the most open time of
    a pause.
    """

    at: int
    step: Step
    key: str | int | None = None
    cap: int | None = None


class Pause(NamedTuple):
    """A united pause; `is_gap` when it is the time between a stop and its undoing."""

    start: int
    end: int
    is_gap: bool = False


class Cycle(NamedTuple):
    """An earlier cycle of the clock: it had met, or was void for a reason, and that was undone."""

    number: int
    stop: int
    due: int
    reopen: int
    void_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A clock as of an instant.

    `end` is where the clock stands: its stop or exit (then `is_ended`), else the instant asked about.
    `elapsed` leaves out every pause; `remaining` is the target less `elapsed`. `pauses` lie between `start`
    and `end`; one that goes on ends at `end`, and then `pause_start` says when it began and `pause_expiry`
    when its cap ends it. `exit_key` is the reason of an exit.
    """

    outcome: Outcome
    start: int
    original_due: int
    due: int
    end: int
    stop: int | None
    is_ended: bool
    elapsed: int
    remaining: int
    paused: int
    pauses: tuple[Pause, ...]
    pause_start: int | None
    pause_expiry: int | None
    earlier: tuple[Cycle, ...]
    exit_key: str | int | None = None

    @property
    def breach(self) -> int | None:
        """When the clock breached: at due, whenever that was found out."""
        return self.due if self.outcome is Outcome.BREACHED else None


def run(openings: Openings, target: int, marks: Iterable[Mark], as_of: int) -> Course | None:
    """Return the clock as of an instant, or None when it has not started by then.

    `marks` come in order of `at`, equal instants as they count; those after `as_of` are not looked at.

    Raises:
        CalendarNeverOpens: when the due instant cannot be reached.
        InstantOutOfRange: when it lies beyond the years.
    """
    track = _Track(openings, target)
    for mark in marks:
        if mark.at > as_of:
            break
        track.take(mark)
    return track.as_of(as_of)


def instant_of(course: Course, openings: Openings, target: int, counted: int) -> int:
    """Return when the clock has counted so much: it moves with the pauses, as the due instant does.

    Up to the target it is the first instant with that much elapsed time; one that was passed before a pause
    stays where it was passed. Beyond the target it is counted from due, which later pauses do not move.
    """
    if counted > target:
        return openings.add_us(course.due, counted - target)
    at, missing = course.start, counted
    for pause in course.pauses:
        run_up = openings.between_us(at, pause.start)
        if missing <= run_up or (pause.end == course.end and pause.start == course.pause_start):
            break
        missing -= run_up
        at = pause.end
    return openings.add_us(at, max(missing, 0))


def typed_intervals(course: Course, openings: Openings) -> list[tuple[IntervalKind, int, int]]:
    """Return the time from start to end, each stretch as counted, paused or closed; they add up exactly."""
    cuts = {course.start, course.end}
    spans = openings.intervals_us(course.start, course.end)
    cuts.update(edge for span in spans for edge in span)
    cuts.update(edge for pause in course.pauses for edge in (pause.start, pause.end))
    pieces: list[tuple[IntervalKind, int, int]] = []
    opened, paused = iter(spans), iter(course.pauses)
    span, pause = next(opened, None), next(paused, None)
    for start, end in pairwise(sorted(cuts)):
        while span and span[1] <= start:
            span = next(opened, None)
        while pause and pause.end <= start:
            pause = next(paused, None)
        kind = IntervalKind.CLOSED
        if span and span[0] <= start:
            kind = IntervalKind.PAUSED if pause and pause.start <= start else IntervalKind.COUNTED
        if pieces and pieces[-1][0] is kind:
            pieces[-1] = (kind, pieces[-1][1], end)
        else:
            pieces.append((kind, start, end))
    return pieces


class _Track:
    """The state while marks are taken in; one clock, one use."""

    def __init__(self, openings: Openings, target: int) -> None:
        self._openings = openings
        self._target = target
        self._start: int | None = None
        self._original_due = self._due = 0
        self._stop: int | None = None
        self._settled: Outcome | None = None
        self._has_left = False
        self._exit_key: str | int | None = None
        self._held: dict[str | int, int | None] = {}
        """Open pauses by key, with the instant at which their cap ends them."""
        self._pause_start: int | None = None
        self._pauses: list[Pause] = []
        self._earlier: list[Cycle] = []
        self._steps = {
            Step.START: self._begin,
            Step.STOP: self._end,
            Step.EXIT: self._leave,
            Step.REOPEN: self._reopen,
            Step.RESTORE: self._restore,
            Step.PAUSE: self._pause,
            Step.RESUME: self._resume,
        }

    def take(self, mark: Mark) -> None:
        """Take in one mark. Once a late stop or an exit settled the clock, no mark changes it any more."""
        self._expire(mark.at)
        self._steps[mark.step](mark)

    def as_of(self, now: int) -> Course | None:
        if self._start is None:
            return None
        if self._settled is None:
            self._expire(now)
        end = now if self._stop is None else self._stop
        pauses = list(self._pauses)
        if self._pause_start is not None:
            pauses.append(Pause(self._pause_start, end))
        between = self._openings.between_us
        paused = sum(between(pause.start, pause.end) for pause in pauses)
        elapsed = between(self._start, end) - paused
        outcome = self._settled or self._open_outcome(now)
        expiries = [expiry for expiry in self._held.values() if expiry is not None]
        return Course(
            outcome=outcome,
            start=self._start,
            original_due=self._original_due,
            due=self._due,
            end=end,
            stop=None if self._has_left else self._stop,
            is_ended=self._stop is not None,
            elapsed=elapsed,
            remaining=self._target - elapsed,
            paused=paused,
            pauses=tuple(pause for pause in pauses if pause.start < pause.end),
            pause_start=self._pause_start,
            pause_expiry=min(expiries, default=None) if self._pause_start is not None else None,
            earlier=tuple(self._earlier),
            exit_key=self._exit_key,
        )

    def _open_outcome(self, now: int) -> Outcome:
        # A pause that began at due or later holds nothing back.
        if self._pause_start is not None and self._pause_start < self._due:
            return Outcome.PAUSED
        return Outcome.BREACHED if now > self._due else Outcome.RUNNING

    @property
    def _is_running(self) -> bool:
        return self._start is not None and self._stop is None

    def _begin(self, mark: Mark) -> None:
        if self._start is not None:
            return
        self._start = mark.at
        self._original_due = self._due = self._openings.add_us(mark.at, self._target)
        if self._held:
            self._pause_start = mark.at

    def _end(self, mark: Mark) -> None:
        if self._is_running:
            self._close(mark.at)
            self._settled = Outcome.MET if mark.at <= self._due else Outcome.BREACHED

    def _leave(self, mark: Mark) -> None:
        if self._is_running:
            self._close(mark.at)
            self._has_left = True
            self._exit_key = mark.key
            self._settled = Outcome.VOID if mark.at <= self._due else Outcome.BREACHED

    def _close(self, at: int) -> None:
        self._held.clear()
        self._unpause(at)
        self._stop = at

    def _reopen(self, mark: Mark) -> None:
        if self._settled is not Outcome.MET or self._stop is None:
            return
        self._run_on(self._stop, mark.at, None)

    def _restore(self, mark: Mark) -> None:
        if self._settled is Outcome.VOID and self._stop is not None and self._exit_key == mark.key:
            self._has_left, self._exit_key = False, None
            self._run_on(self._stop, mark.at, str(mark.key))

    def _run_on(self, stop: int, at: int, void_reason: str | None) -> None:
        """Begin the next cycle; the time since the end of the last one counts as a pause."""
        self._earlier.append(Cycle(len(self._earlier) + 1, stop, self._due, at, void_reason))
        self._pause_start, self._stop, self._settled = stop, None, None
        self._unpause(at, is_gap=True)
        if self._held:
            self._pause_start = at

    def _pause(self, mark: Mark) -> None:
        if mark.key is None or mark.key in self._held:
            return
        self._held[mark.key] = None if mark.cap is None else self._openings.add_us(mark.at, mark.cap)
        if self._is_running and self._pause_start is None:
            self._pause_start = mark.at

    def _resume(self, mark: Mark) -> None:
        if mark.key is None:
            self._held.clear()
        else:
            self._held.pop(mark.key, None)
        if not self._held:
            self._unpause(mark.at)

    def _expire(self, now: int) -> None:
        """End the pauses whose cap has run out by now, each at its own instant."""
        for key, expiry in sorted(self._held.items(), key=lambda held: (held[1] is None, held[1] or 0)):
            if expiry is not None and expiry <= now:
                del self._held[key]
                if not self._held:
                    self._unpause(expiry)

    def _unpause(self, at: int, *, is_gap: bool = False) -> None:
        start, self._pause_start = self._pause_start, None
        if start is None or start == at:
            return
        self._pauses.append(Pause(start, at, is_gap))
        if start < self._due:
            self._due = self._openings.add_us(self._due, self._openings.between_us(start, at))
