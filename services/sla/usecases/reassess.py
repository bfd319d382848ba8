"""Measure a clock by the version that is in force now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import TimeBasis
from services.sla.domain.history import History, Told
from services.sla.domain.pins import Pin
from services.sla.domain.reassess import measured_by, require_reassessable, version_now
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import ClockUnknown, Refused
from services.sla.domain.timeline import Fact, FactKind
from services.sla.store.archive import Archive
from services.sla.store.calendars import newest_calendar
from services.sla.store.clocks import find_clock
from services.sla.store.repinning import repin
from services.sla.store.tx import ClockMoved, SlaTx
from services.sla.usecases.settle import record
from services.sla.wire.clocks import clock_reassessed, measured_otherwise
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import CALENDAR_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassess:
    """Somebody wants a clock measured by what is in force now."""

    name: str
    etag: str
    actor: str


def reassess(
    archive: Archive, tx: SlaTx, requests: Sequence[Reassess], *, now: datetime
) -> list[Clock | Exception]:
    """Return each clock as it then stands."""
    answers: list[Clock | Exception] = []
    for request in requests:
        # Each sees what the one before it changed: they may be about one clock.
        part = SlaTx(tx.connection, archive, now=now)
        try:
            answers.append(_reassessed(part, request))
        except Refused as refused:
            answers.append(refused)
    return answers


def _reassessed(tx: SlaTx, request: Reassess) -> Clock:
    clock = _found(tx, request.name)
    require_reassessable(clock, etag=request.etag)
    accord = version_now(clock, tx.accords([clock.tenant])[clock.tenant], tx.now)
    history = tx.histories([clock.handoff])[clock.handoff]
    pinned, pin = _pinned(tx, clock, accord, history)
    if not repin(tx.connection, pinned):
        raise ClockMoved
    fact = told_of_pin(history, clock, pin, actor=request.actor, now=tx.now)
    record(tx, [fact], as_of=tx.now, causes={})
    tx.flush()
    after = _found(tx, request.name)
    say_reassessed(tx, after, clock, actor=request.actor)
    return after


def _pinned(tx: SlaTx, clock: Clock, accord: Accord, history: History) -> tuple[Clock, Pin]:
    """Return the clock as it is to be measured: by the newest version of the calendar that counts for it."""
    _, agreement, calendars = tx.measuring(accord.name)
    pinned = measured_by(clock, accord, agreement, calendars, history)
    if pinned.basis is TimeBasis.WALL:
        return pinned, Pin(accord.name)
    tenant, calendar, _ = CALENDAR_VERSION.parse(pinned.calendar_version)
    newest = newest_calendar(tx.connection, tenant, calendar)
    assert newest is not None, pinned.calendar_version  # noqa: S101 - a version of it was just looked up
    pin = Pin(accord.name, newest.name)
    return measured_by(clock, accord, agreement, newest.pinned(), history), pin


def told_of_pin(history: History, clock: Clock, pin: Pin, *, actor: str, now: datetime) -> Told:
    """Return the fact by which a clock is measured otherwise from now on."""
    fact = Fact(
        # Behind the last that the log told, where there is room for what this service knows itself.
        position=max(each.fact.position for each in history.told) + 1,
        kind=FactKind.REASSESSED,
        occur_time=now,
        record_time=now,
        person=actor,
        reason=pin.text,
        commitment=clock.commitment_id,
        about=clock.origin,
    )
    return Told(handoff=clock.handoff, fact=fact)


def say_reassessed(tx: SlaTx, after: Clock, before: Clock, *, actor: str) -> None:
    """Say in the log how a clock is measured now, and who changed that."""
    why = clock_reassessed(after, before, actor=actor)
    # What is over has said so itself; of what is open everybody must know when it is due now.
    told = [(measured_otherwise(after), False)] if after.is_open else []
    append(
        tx.connection,
        [
            NewEvent(
                tenant=f"tenants/{after.tenant}",
                subject=after.name,
                occur_time=tx.now,
                actor=actor,
                payload=payload,
                skippable=skippable,
            )
            for payload, skippable in (*told, (why, True))
        ],
        now=tx.now,
    )


def _found(tx: SlaTx, name: str) -> Clock:
    clock = find_clock(tx.connection, name)
    if clock is None:
        raise ClockUnknown(name)
    return clock
