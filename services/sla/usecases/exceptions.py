"""Ask for an exception, answer it, let it lapse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from services.sla.domain.accord import AccordState
from services.sla.domain.agreement import Party
from services.sla.domain.exceptions import (
    ExceptionReason,
    ExceptionState,
    ExceptionUnknown,
    SlaException,
    Span,
    lapse_time_of,
    require_askable,
    sides_of,
)
from services.sla.domain.refused import (
    AgreementUnknown,
    ClockUnknown,
    NoParty,
    NotYours,
    Refused,
    StateForbids,
)
from services.sla.store.accords import accords_of
from services.sla.store.archive import Measure
from services.sla.store.clocks import find_clock
from services.sla.store.exceptions import (
    add_exception,
    due_lapses,
    find_exception,
    has_waiting,
    save_exception,
    wake_excused,
)
from services.sla.store.said import SELF
from services.sla.store.tx import SlaTx
from services.sla.wire.exceptions import exception_changed
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import AGREEMENT

__all__ = ["Answer", "AskForClock", "AskForSpan", "approve", "ask", "decline", "lapse"]

Q = TypeVar("Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """Somebody asks for an exception. `speaks_for`: their sides; `manages`: those whose manager they are."""

    tenant: str
    id: str
    reason: ExceptionReason
    note: str
    actor: str
    speaks_for: tuple[Party, ...]
    manages: tuple[Party, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForClock(_Ask):
    """For one clock."""

    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForSpan(_Ask):
    """For all that falls due of one commitment in a span of time; `agreement` is well-formed."""

    agreement: str
    commitment_id: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Somebody answers; `parties` are those whose manager they are."""

    name: str
    etag: str
    actor: str
    parties: tuple[Party, ...]


def ask(
    tx: SlaTx, requests: Sequence[AskForClock | AskForSpan], *, now: datetime
) -> list[SlaException | Exception]:
    """Return each request as it waits for its answer."""
    return [_tried(_asked, tx, request, now) for request in requests]


def approve(tx: SlaTx, requests: Sequence[Answer], *, now: datetime) -> list[SlaException | Exception]:
    """Return each exception as granted; the misses that it is for are excused as the next thing."""
    return [_tried(_approved, tx, request, now) for request in requests]


def decline(tx: SlaTx, requests: Sequence[Answer], *, now: datetime) -> list[SlaException | Exception]:
    """Return each exception as refused."""
    return [_tried(_declined, tx, request, now) for request in requests]


def lapse(tx: SlaTx, *, limit: int) -> int:
    """Note the requests that nobody answered in time, each once; return how many."""
    due = due_lapses(tx.connection, now=tx.now, limit=limit)
    for waiting in due:
        lapsed = waiting.lapse()
        if save_exception(tx.connection, lapsed):
            _say(tx, lapsed, actor=SELF, at=lapsed.lapse_time, labels=("lapsed",))
    return len(due)


def _tried(
    step: Callable[[SlaTx, Q, datetime], SlaException], tx: SlaTx, request: Q, now: datetime
) -> SlaException | Exception:
    try:
        return step(tx, request, now)
    except Refused as refused:
        return refused


def _asked(tx: SlaTx, request: AskForClock | AskForSpan, now: datetime) -> SlaException:
    exception = (
        _for_clock(tx, request, now) if isinstance(request, AskForClock) else _for_span(tx, request, now)
    )
    add_exception(tx.connection, exception)
    _say(tx, exception, actor=request.actor, at=now, labels=("requested",))
    return exception


def _for_clock(tx: SlaTx, request: AskForClock, now: datetime) -> SlaException:
    clock = find_clock(tx.connection, request.clock)
    if clock is None or clock.tenant != request.tenant:
        # For those who do not see all, out of sight reads like not there.
        raise ClockUnknown(request.clock) if request.manages else NotYours(request.clock)
    asking, answering = sides_of(clock.parties, request.speaks_for)
    # What marketing promised is measured on handoffs that sales have: there the owner is not who asks.
    if asking is Party.SALES and asking not in request.manages and clock.owner != request.actor:
        raise NotYours(clock.name)
    measure = tx.measure(clock.agreement_version)
    require_askable(clock, measure.calendar.calendar, measure.openings, now=now)
    if has_waiting(tx.connection, clock.name):
        raise StateForbids(clock.name, ExceptionState.REQUESTED.value)
    return SlaException(
        tenant=clock.tenant,
        id=request.id,
        agreement=AGREEMENT.build(clock.tenant, clock.agreement),
        commitment_id=clock.commitment_id,
        clock=clock.name,
        handoff=clock.handoff,
        since_time=clock.start_time,
        reason=request.reason,
        note=request.note,
        requesting_party=asking,
        deciding_party=answering,
        request_principal=request.actor,
        request_time=now,
        lapse_time=_lapse_time(measure, now),
    )


def _for_span(tx: SlaTx, request: AskForSpan, now: datetime) -> SlaException:
    if not request.manages:
        raise NoParty
    measure, promisers = _in_force(tx, request)
    asking, answering = sides_of(promisers, request.manages)
    require_askable(request.span, measure.calendar.calendar, measure.openings, now=now)
    return SlaException(
        tenant=request.tenant,
        id=request.id,
        agreement=request.agreement,
        commitment_id=request.commitment_id,
        since_time=request.span.start_time,
        span=request.span,
        reason=request.reason,
        note=request.note,
        requesting_party=asking,
        deciding_party=answering,
        request_principal=request.actor,
        request_time=now,
        lapse_time=_lapse_time(measure, now),
    )


def _in_force(tx: SlaTx, request: AskForSpan) -> tuple[Measure, tuple[Party, ...]]:
    """Return by what the commitment is measured, and who promised it: in force, else the newest."""
    tenant, agreement = AGREEMENT.parse(request.agreement)
    versions = accords_of(tx.connection, tenant, agreement) if tenant == request.tenant else []
    active = [each for each in versions if each.state is AccordState.ACTIVE]
    for accord in (*active, *(each for each in versions if each.state is AccordState.RETIRED)):
        promise = next((each for each in accord.terms.promises if each.id == request.commitment_id), None)
        if promise is not None:
            return tx.measure(accord.name), promise.parties
    raise AgreementUnknown(request.agreement)


def _lapse_time(measure: Measure, now: datetime) -> datetime:
    return lapse_time_of(now, measure.calendar.calendar, measure.openings)


def _approved(tx: SlaTx, request: Answer, now: datetime) -> SlaException:
    waiting = _found(tx, request.name)
    granted = waiting.approve(by=request.actor, parties=request.parties, etag=request.etag, now=now)
    _save(tx, granted)
    wake_excused(tx.connection, granted, now=now)
    labels = ("approved", "self_approved") if granted.self_approved else ("approved",)
    _say(tx, granted, actor=request.actor, at=now, labels=labels)
    return granted


def _declined(tx: SlaTx, request: Answer, now: datetime) -> SlaException:
    waiting = _found(tx, request.name)
    refused = waiting.decline(by=request.actor, parties=request.parties, etag=request.etag, now=now)
    _save(tx, refused)
    _say(tx, refused, actor=request.actor, at=now, labels=("declined",))
    return refused


def _found(tx: SlaTx, name: str) -> SlaException:
    exception = find_exception(tx.connection, name)
    if exception is None:
        raise ExceptionUnknown(name)
    return exception


def _save(tx: SlaTx, exception: SlaException) -> None:
    if not save_exception(tx.connection, exception):
        # Somebody else answered between our reading and our writing.
        raise StateForbids(exception.name, "answered meanwhile")


def _say(tx: SlaTx, exception: SlaException, *, actor: str, at: datetime, labels: Sequence[str]) -> None:
    """Put it in the log, in an event that readers who do not know it may pass over, and count it."""
    for label in labels:
        tx.tallies.count_exception(exception.tenant, exception.commitment_id, label)
    event = NewEvent(
        tenant=f"tenants/{exception.tenant}",
        subject=exception.name,
        occur_time=at,
        actor=actor,
        payload=exception_changed(exception),
        skippable=True,
    )
    append(tx.connection, [event], now=tx.now)
