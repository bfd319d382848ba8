"""Let a clock stand still for a reason, and let it run on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.agreement import PauseReason
from services.sla.domain.history import Told
from services.sla.domain.pausing import is_paused_for, require_pausable, require_resumable
from services.sla.domain.recorded import Clock
from services.sla.domain.refused import ClockUnknown, Refused
from services.sla.domain.timeline import Fact, FactKind
from services.sla.store.archive import Archive
from services.sla.store.clocks import find_clock
from services.sla.store.tx import SlaTx
from services.sla.usecases.settle import record
from services.sla.wire.clocks import pause_decided
from smarketing.eventlog.outbox import NewEvent, append


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPause:
    """Somebody says that a clock is to stand still for a reason, or no more."""

    name: str
    etag: str
    code: str
    actor: str
    resumes: bool


def decide_pauses(
    archive: Archive, tx: SlaTx, requests: Sequence[OnPause], *, now: datetime
) -> list[Clock | Exception]:
    """Return each clock as it then stands; saying again what holds changes nothing."""
    answers: list[Clock | Exception] = []
    for request in requests:
        # Each sees what the one before it changed: they may be about one clock.
        part = SlaTx(tx.connection, archive, now=now)
        try:
            answers.append(_decided(part, request))
        except Refused as refused:
            answers.append(refused)
    return answers


def _decided(tx: SlaTx, request: OnPause) -> Clock:
    clock = _found(tx, request.name)
    require = require_resumable if request.resumes else require_pausable
    reason = require(
        clock,
        tx.measure(clock.agreement_version).agreement,
        request.code,
        etag=request.etag,
        actor=request.actor,
        people=lambda roles: tx.staff(clock.tenant).recipients(
            roles, owner=clock.owner, team=clock.team, parties=[party.value for party in clock.parties]
        ),
    )
    history = tx.histories([clock.handoff])[clock.handoff]
    if is_paused_for(history, clock, request.code) is not request.resumes:
        return clock
    kind = FactKind.RESUMED if request.resumes else FactKind.PAUSED
    fact = Fact(
        # Behind the last that the log told, where there is room for what this service knows itself.
        position=max(each.fact.position for each in history.told) + 1,
        kind=kind,
        occur_time=tx.now,
        record_time=tx.now,
        person=request.actor,
        reason=request.code,
        commitment=clock.commitment_id,
        about=clock.origin,
    )
    record(tx, [Told(handoff=clock.handoff, fact=fact)], as_of=tx.now, causes={})
    tx.flush()
    after = _found(tx, request.name)
    _say(tx, after, reason, request)
    return after


def _found(tx: SlaTx, name: str) -> Clock:
    clock = find_clock(tx.connection, name)
    if clock is None:
        raise ClockUnknown(name)
    return clock


def _say(tx: SlaTx, clock: Clock, reason: PauseReason, request: OnPause) -> None:
    event = NewEvent(
        tenant=f"tenants/{clock.tenant}",
        subject=clock.name,
        occur_time=tx.now,
        actor=request.actor,
        payload=pause_decided(clock, reason, actor=request.actor, resumed=request.resumes),
        skippable=True,
    )
    append(tx.connection, [event], now=tx.now)
