"""One clock as the sla log tells it. Reports decides no clock; it counts what was decided."""

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

from services.reports.domain.periods import Micros

__all__ = [
    "CLOCK_COUNTERS",
    "DUE",
    "AlertTold",
    "ClockChange",
    "ClockEvent",
    "ClockFact",
    "ClockMark",
    "ClockState",
    "ClockTally",
    "RungTold",
    "begin_clock",
    "clock_marks",
    "fold_clock",
]


class ClockState(enum.StrEnum):
    """Where a clock stands."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"
    EXCUSED = "excused"
    VOID = "void"


class ClockChange(enum.StrEnum):
    """What an event did to a clock."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    MET = "met"
    BREACHED = "breached"
    STOPPED_LATE = "stopped_late"
    RETRACTED = "retracted"
    EXCUSED = "excused"
    VOIDED = "voided"
    REOPENED = "reopened"
    REASSIGNED = "reassigned"
    WARNED = "warned"


class ClockEvent(NamedTuple):
    """A change of one clock, and all that the sla log says of the clock with it."""

    tenant: str
    clock: str
    time: Micros
    change: ClockChange
    handoff: str
    agreement_version: str
    commitment_id: str
    parties: str
    """Lower-case words in alphabetical order, between commas: `,marketing,sales,`."""
    kind: str
    basis: str
    start_time: Micros
    original_due_time: Micros
    due_time: Micros
    owner: str
    team: str | None
    historical: bool
    elapsed: Micros | None = None
    late: Micros | None = None
    """Of one done late: how late, in the clock's own time."""


class RungTold(NamedTuple):
    """A rung of a clock's ladder was reached."""

    tenant: str
    clock: str
    time: Micros
    cycle: int
    rung_id: str
    delivered: bool


class AlertTold(NamedTuple):
    """An alert is now like this; also the row in which it is kept."""

    alert: str
    tenant: str
    handoff: str
    commitment_id: str
    rung_id: str
    team: str | None
    state: str
    create_time: Micros
    acknowledge_time: Micros | None
    resolve_time: Micros | None
    clock: str | None = None
    """Whose rung it was; None where it is of no clock."""


@dataclass(slots=True)
class ClockFact:
    """The accumulator of the fold; its fields are the columns of the clock table, in this order."""

    clock: str
    tenant: str
    handoff: str
    agreement_version: str
    commitment_id: str
    parties: str
    kind: str
    basis: str
    start_time: Micros
    original_due_time: Micros
    due_time: Micros
    owner: str
    team: str | None
    historical: bool
    state: str = ClockState.RUNNING.value
    stop_time: Micros | None = None
    """When it was met, done after all, or voided."""
    pause_time: Micros | None = None
    elapsed: Micros | None = None
    retracted: bool = False
    late: Micros | None = None
    warned: bool = False
    """Whether a rung was reached before it was due."""
    undone_due_time: Micros | None = None
    """When it is due, while it is not done: an index holds these alone."""
    missed_due_time: Micros | None = None
    """When it was due, if it was missed and not excused: an index holds these alone."""
    agreement: str = ""
    """The agreement whose version it pins."""


class ClockMark(enum.IntFlag):
    """What is counted of a clock."""

    MET = 1
    BREACHED = 2
    EXCUSED = 4
    VOID = 8
    RUNNING = 16
    PAUSED = 32
    UNSERVED = 64
    RETRACTED = 128
    MET_ORIGINAL = 256
    WARNED = 512
    WARNED_MET = 1024


CLOCK_COUNTERS: Final = ("items", *(mark.name.lower() for mark in ClockMark if mark.name))
"""The columns of the roll-up of clocks."""


class ClockTally(NamedTuple):
    """Clocks counted at their due instants: `items` in all, and of them those with each mark."""

    items: int = 0
    met: int = 0
    breached: int = 0
    excused: int = 0
    void: int = 0
    running: int = 0
    paused: int = 0
    unserved: int = 0
    retracted: int = 0
    met_original: int = 0
    warned: int = 0
    """Warned before they were due, and settled."""
    warned_met: int = 0
    running_late: int = 0
    """Of the running ones, those past due that the sla log has not settled yet."""

    @property
    def settled(self) -> int:
        """Met and breached."""
        return self.met + self.breached

    @property
    def open(self) -> int:
        """Running and paused."""
        return self.running + self.paused

    @property
    def overdue(self) -> int:
        """Past due and not done (S4)."""
        return self.unserved + self.running_late

    @property
    def ever_overdue(self) -> int:
        """Past due without having been met (S5)."""
        return self.breached + self.excused + self.running_late


DUE: Final = "due"
"""The anchor of clocks: they are counted on the day they are due, whenever they were met."""

_STATE_OF: Final = {
    ClockChange.STARTED: ClockState.RUNNING,
    ClockChange.PAUSED: ClockState.PAUSED,
    ClockChange.RESUMED: ClockState.RUNNING,
    ClockChange.MET: ClockState.MET,
    ClockChange.BREACHED: ClockState.BREACHED,
    ClockChange.STOPPED_LATE: ClockState.BREACHED,
    ClockChange.RETRACTED: ClockState.MET,
    ClockChange.EXCUSED: ClockState.EXCUSED,
    ClockChange.VOIDED: ClockState.VOID,
    ClockChange.REOPENED: ClockState.RUNNING,
}
_STOPS: Final = {ClockChange.MET, ClockChange.STOPPED_LATE, ClockChange.RETRACTED, ClockChange.VOIDED}


def begin_clock(event: ClockEvent) -> ClockFact:
    """Return the fact of a clock of which nothing was known, before its first event is folded in."""
    agreement = event.agreement_version.partition("/versions/")[0]
    return ClockFact(event.clock, event.tenant, *event[4:16], agreement=agreement)


def fold_clock(fact: ClockFact, event: ClockEvent) -> None:
    """Take one event into the fact."""
    _take(fact, event)
    done = fact.stop_time is not None or fact.state == ClockState.VOID.value
    fact.undone_due_time = None if done else fact.due_time
    fact.missed_due_time = fact.due_time if fact.state == ClockState.BREACHED.value else None


def _take(fact: ClockFact, event: ClockEvent) -> None:
    fact.original_due_time, fact.due_time = event.original_due_time, event.due_time
    fact.owner, fact.team = event.owner, event.team
    change = event.change
    fact.warned = fact.warned or (change is ClockChange.WARNED and event.time < event.due_time)
    if change is ClockChange.EXCUSED and fact.state != ClockState.BREACHED.value:
        return
    state = _STATE_OF.get(change)
    if state is None or (change is ClockChange.STOPPED_LATE and fact.state == ClockState.EXCUSED.value):
        return
    fact.state = state.value
    if change is ClockChange.PAUSED:
        fact.pause_time = event.time
    elif change in _STOPS:
        fact.pause_time = None
        fact.stop_time, fact.elapsed, fact.late = event.time, event.elapsed, event.late
    elif change in (ClockChange.RESUMED, ClockChange.REOPENED):
        fact.pause_time = fact.stop_time = fact.elapsed = fact.late = None
    fact.retracted = fact.retracted or change is ClockChange.RETRACTED


def clock_marks(fact: ClockFact) -> int:
    """Return what is counted of the clock as it stands."""
    mark = _MARK_OF[fact.state]
    if mark is ClockMark.MET and fact.stop_time is not None and fact.stop_time <= fact.original_due_time:
        mark |= ClockMark.MET_ORIGINAL
    if mark is ClockMark.BREACHED and fact.stop_time is None:
        mark |= ClockMark.UNSERVED
    if fact.retracted:
        mark |= ClockMark.RETRACTED
    if fact.warned and mark & (ClockMark.MET | ClockMark.BREACHED):
        mark |= ClockMark.WARNED
        if mark & ClockMark.MET:
            mark |= ClockMark.WARNED_MET
    return mark.value


_MARK_OF: Final[dict[str, ClockMark]] = {state.value: ClockMark[state.name] for state in ClockState}
