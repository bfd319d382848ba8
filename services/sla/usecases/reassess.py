"""Measure a clock by the version that is in force now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.reassess import measured_by, require_reassessable, version_now
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import ClockUnknown, Refused
from services.sla.store.archive import Archive
from services.sla.store.clocks import find_clock
from services.sla.store.repinning import repin
from services.sla.store.tx import ClockMoved, SlaTx
from services.sla.usecases.settle import settle
from services.sla.wire.clocks import clock_reassessed, measured_otherwise
from smarketing.eventlog.outbox import NewEvent, append


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
    measure = tx.measure(accord.name)
    history = tx.histories([clock.handoff])[clock.handoff]
    pinned = measured_by(clock, accord, measure.agreement, measure.calendars, history)
    if not repin(tx.connection, pinned):
        raise ClockMoved
    settle(tx, [clock.handoff])
    tx.flush()
    after = _found(tx, request.name)
    why = clock_reassessed(after, clock, actor=request.actor)
    # What is over has said so itself; of what is open everybody must know when it is due now.
    told = [(measured_otherwise(after), False)] if after.is_open else []
    append(
        tx.connection,
        [
            NewEvent(
                tenant=f"tenants/{clock.tenant}",
                subject=clock.name,
                occur_time=tx.now,
                actor=request.actor,
                payload=payload,
                skippable=skippable,
            )
            for payload, skippable in (*told, (why, True))
        ],
        now=tx.now,
    )
    return after


def _found(tx: SlaTx, name: str) -> Clock:
    clock = find_clock(tx.connection, name)
    if clock is None:
        raise ClockUnknown(name)
    return clock
