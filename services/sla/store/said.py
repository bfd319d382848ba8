"""What the record and the log will hold of a clock that changed, written out before its transaction.

Nothing here depends on when that is but `detect_time`, and when an alert is made: so it can be prepared
while nothing is due.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.sla.domain.agreement import Delivery
from services.sla.domain.alert import Alert
from services.sla.domain.holders import Holder
from services.sla.domain.recorded import Advance, Clock, Happening
from services.sla.domain.slots import Settlement, settlements
from services.sla.store import schema
from services.sla.store.archive import Measure
from services.sla.store.rows import CLOCK_CHANGES, alert_values, clock_changes
from services.sla.wire.changes import NewAlert
from services.sla.wire.clocks import happening_message
from smarketing.eventlog.outbox import Cause, NewEvent

SELF: Final = "tenants/-/systems/sla"
"""Who made it happen, when nobody asked for it."""

_DETECT: Final = 2 + CLOCK_CHANGES.index("detect_time")
"""Where a row holds when a miss was found; id and generation stand in front."""
_CREATED: Final = [column.name for column in schema.alert.columns].index("create_time")


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a clock, in order, and what of that can be said once in a cycle."""

    told: tuple[tuple[Clock, Happening], ...]
    """Each with the clock as whoever answers for it had it."""
    events: tuple[NewEvent, ...]
    once: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """A clock that was on record, and is changed."""

    row: tuple[object, ...]
    """Its id and generation as they were, then what changes, in order of the statement that does it."""
    found_now: bool
    """The change is a miss that nobody knew of: it is found when the row is written."""
    said: Said
    settlements: tuple[Settlement, ...] = ()
    """What it changes in what budgets count."""

    @classmethod
    def of(cls, before: Clock, change: Advance, cause: Cause | None = None) -> "Moved":
        """Write out what an evaluation changed."""
        # Whatever kept it in quarantine has been got over.
        row = (before.id, before.generation, *clock_changes(change.clock), 0, None)
        found_now = change.clock.detect_time is not None and before.detect_time != change.clock.detect_time
        settled = tuple(settlements(before, change.clock))
        return cls(row, found_now, said_of(change, cause), settled)

    def row_at(self, now: datetime) -> tuple[object, ...]:
        """Return the row as it is written at an instant."""
        return (*self.row[:_DETECT], now, *self.row[_DETECT + 1 :]) if self.found_now else self.row


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert that is made, with what is written of it but for when that was."""

    alert: Alert
    measure: Measure
    delivery: Delivery
    row: tuple[object, ...]
    event: NewAlert

    @classmethod
    def of(cls, alert: Alert, measure: Measure) -> "Opened":
        """Write out a new alert."""
        step = measure.terms.step(alert.commitment_id, alert.rung_id)
        delivery = step.delivery if step else Delivery.IN_HOURS
        return cls(alert, measure, delivery, tuple(alert_values(alert).values()), NewAlert(alert))

    def row_at(self, now: datetime) -> tuple[object, ...]:
        """Return the row as it is written at an instant."""
        return (*self.row[:_CREATED], now, *self.row[_CREATED + 1 :])


def said_of(change: Advance, cause: Cause | None = None) -> Said:
    """Write out what the log will say of a change."""
    clock, once, events = change.clock, [], []
    told = [
        (_as_held(clock, holder), happening)
        for happening, holder in zip(change.happenings, change.held, strict=True)
    ]
    for of, happening in told:
        key = once_key(happening)
        if key:
            once.append((clock.id, getattr(happening, "cycle", clock.cycle), key))
        events.append(
            NewEvent(
                tenant=f"tenants/{clock.tenant}",
                subject=clock.name,
                occur_time=happening.occur_time,
                actor=SELF,
                payload=happening_message(of, happening),
                cause=cause,
            )
        )
    return Said(tuple(told), tuple(events), tuple(once))


def _as_held(clock: Clock, holder: Holder) -> Clock:
    if holder.names == (clock.owner, clock.team):
        return clock
    return replace(clock, owner=holder.owner, team=holder.team)


def once_key(happening: Happening) -> str:
    """Name what can be said once in a cycle; empty for what can be said again."""
    rung = getattr(happening, "rung", "")
    kind = type(happening).__name__
    if kind in {"ClockPaused", "ClockResumed", "ClockReassigned"}:
        return ""
    return f"{kind}:{rung}" if rung else kind
