"""What happened to a clock, each recorded at most once; `occur_time` is when, not when it was found out."""

from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.agreement import Role
from services.sla.domain.clock import ClockKey
from smarketing.businesstime import BusinessTime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStarted:
    """The clock began, pinned to these versions."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    due_time: datetime
    agreement_version: int
    calendar: str
    calendar_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPaused:
    """The clock stands still."""

    clock: ClockKey
    cycle: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockResumed:
    """The pause ended; `begin_time` says which."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    begin_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMet:
    """What was promised happened in time."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    due_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockBreached:
    """The due instant passed; `occur_time` is that instant."""

    clock: ClockKey
    cycle: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LateStopRecorded:
    """What was promised happened after all; the breach stays."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    late_by: BusinessTime


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachRetracted:
    """Evidence came late of something that happened in time; `occur_time` is the breach that never was."""

    clock: ClockKey
    cycle: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachExcused:
    """The other party's manager excused the breach; nothing else changes."""

    clock: ClockKey
    cycle: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockVoided:
    """Nothing is owed any more, and the clock counts for nobody."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReopened:
    """The stop of a met clock was undone, or the merge that made it void: it runs on as this cycle."""

    clock: ClockKey
    cycle: int
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RungFired:
    """A rung was passed; `is_delivered` when its recipients are to be told."""

    clock: ClockKey
    cycle: int
    occur_time: datetime
    rung: str
    recipients: tuple[Role, ...]
    is_delivered: bool


ClockEvent = (
    ClockStarted
    | ClockPaused
    | ClockResumed
    | ClockMet
    | ClockBreached
    | LateStopRecorded
    | BreachRetracted
    | BreachExcused
    | ClockVoided
    | ClockReopened
    | RungFired
)
