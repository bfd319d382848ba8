"""Exceptions: written, found, listed, and given to the histories of handoffs that they are about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, func, insert, or_, select, tuple_, update

from services.sla.domain.agreement import Party
from services.sla.domain.course import Outcome
from services.sla.domain.exceptions import ExceptionReason, ExceptionState, SlaException, Span, excuses_of
from services.sla.domain.history import Told
from services.sla.store import schema
from services.sla.store.tallies import EXCEPTION, RETRACTED, SETTLED
from services.sla.wire.names import EXCEPTION as EXCEPTION_NAME
from smarketing.names import tenant_of
from smarketing.sql import FindRows, from_micros

__all__ = [
    "ExceptionFilter",
    "add_exception",
    "due_lapses",
    "excuses_for",
    "find_exception",
    "has_waiting",
    "next_lapse",
    "page_of_counts",
    "page_of_exceptions",
    "save_exception",
    "wake_excused",
]

_exception: Final = schema.promise_tables.exception
_clock, _tally = schema.clock, schema.tally
_COLUMNS: Final = tuple(column.name for column in _exception.columns)
_CHANGES: Final = ("revision", "state", "decide_principal", "decide_time", "self_approved")
_find_approved: Final = FindRows(_exception, key=["tenant", "handoff", "state"])
_EXCUSABLE: Final = tuple(each.value for each in (Outcome.RUNNING, Outcome.PAUSED, Outcome.BREACHED))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFilter:
    """Which exceptions are listed; what is empty asks nothing."""

    states: tuple[str, ...] = ()
    clock: str = ""
    commitment_id: str = ""
    request_principal: str = ""


def find_exception(connection: Connection, name: str) -> SlaException | None:
    """Return the exception of this name; None when there is none."""
    if not EXCEPTION_NAME.matches(name):
        return None
    tenant, each = EXCEPTION_NAME.parse(name)
    query = select(_exception).where(_exception.c.tenant == tenant, _exception.c.id == each)
    row = connection.execute(query).one_or_none()
    return None if row is None else _exception_of(row)


def has_waiting(connection: Connection, clock: str) -> bool:
    """Tell whether a request for this clock waits for its answer."""
    query = select(_exception.c.id).where(
        _exception.c.clock == clock, _exception.c.state == ExceptionState.REQUESTED.value
    )
    return connection.execute(query.limit(1)).one_or_none() is not None


def add_exception(connection: Connection, exception: SlaException) -> None:
    """Write a new request."""
    connection.execute(insert(_exception).values(**_values(exception)))


def save_exception(connection: Connection, exception: SlaException) -> bool:
    """Write where a request stands; False when it is not any more as it was read."""
    values = _values(exception)
    statement = update(_exception).where(
        _exception.c.tenant == exception.tenant,
        _exception.c.id == exception.id,
        _exception.c.revision == exception.revision - 1,
    )
    return connection.execute(statement.values(**{name: values[name] for name in _CHANGES})).rowcount == 1


def page_of_exceptions(
    connection: Connection,
    tenant: str,
    wanted: ExceptionFilter,
    *,
    limit: int,
    after: Sequence[Any] | None,
) -> list[SlaException]:
    """Return exceptions, newest first; `after`: when the last one seen was asked for, in µs, and its id."""
    query = select(_exception).where(_exception.c.tenant == tenant)
    for column, value in (
        (_exception.c.clock, wanted.clock),
        (_exception.c.commitment_id, wanted.commitment_id),
        (_exception.c.request_principal, wanted.request_principal),
    ):
        if value:
            query = query.where(column == value)
    if wanted.states:
        query = query.where(_exception.c.state.in_(wanted.states))
    if after is not None:
        place = tuple_(_exception.c.request_time, _exception.c.id)
        query = query.where(place < (from_micros(after[0]), after[1]))
    query = query.order_by(_exception.c.request_time.desc(), _exception.c.id.desc()).limit(limit)
    return [_exception_of(row) for row in connection.execute(query)]


def due_lapses(connection: Connection, *, now: datetime, limit: int) -> list[SlaException]:
    """Return the requests whose time to be answered is over, the longest ago first."""
    query = (
        select(_exception)
        .where(_exception.c.state == ExceptionState.REQUESTED.value, _exception.c.lapse_time < now)
        .order_by(_exception.c.lapse_time)
        .limit(limit)
    )
    return [_exception_of(row) for row in connection.execute(query)]


def next_lapse(connection: Connection) -> datetime | None:
    """Return the last instant at which the next request to lapse can be answered; None when none waits."""
    query = (
        select(_exception.c.lapse_time)
        .where(_exception.c.state == ExceptionState.REQUESTED.value)
        .order_by(_exception.c.lapse_time)
        .limit(1)
    )
    found: datetime | None = connection.execute(query).scalar_one_or_none()
    return found


def excuses_for(connection: Connection, handoffs: Iterable[str]) -> dict[str, list[Told]]:
    """Return what approved exceptions tell of handoffs; handoffs of which they tell nothing are left out."""
    by_handoff: dict[str, list[SlaException]] = {}
    by_tenant: dict[str, list[str]] = {}
    for handoff in handoffs:
        by_tenant.setdefault(tenant_of(handoff), []).append(handoff)
    state = ExceptionState.APPROVED.value
    # Spans stand under no handoff, and are for all of the tenant's.
    keys = [(tenant, each, state) for tenant, own in by_tenant.items() for each in ("", *own)]
    for row in _find_approved.find(connection, keys):
        exception = _exception_of(row)
        meant = [exception.handoff] if exception.handoff else by_tenant[exception.tenant]
        for handoff in meant:
            by_handoff.setdefault(handoff, []).append(exception)
    return {handoff: excuses_of(handoff, found) for handoff, found in by_handoff.items()}


def wake_excused(connection: Connection, exception: SlaException, *, now: datetime) -> int:
    """Have the clocks that an exception is for looked at again, now; return how many.

    Their generation rises with it: whatever was decided beforehand, without the exception, is void.
    """
    span = exception.span
    if span is None:
        which = [_clock.c.id == exception.clock.rsplit("/", 1)[1], _clock.c.tenant == exception.tenant]
    else:
        which = [
            _clock.c.tenant == exception.tenant,
            _clock.c.due_time >= span.start_time,
            _clock.c.due_time < span.end_time,
            _clock.c.agreement == exception.agreement.rsplit("/", 1)[1],
            _clock.c.commitment_id == exception.commitment_id,
        ]
    statement = update(_clock).where(
        *which, _clock.c.outcome.in_(_EXCUSABLE), _clock.c.quarantine_time.is_(None)
    )
    return connection.execute(statement.values(next_time=now, generation=_clock.c.generation + 1)).rowcount


_LABELS: Final = {
    (SETTLED, "met"): "met",
    (SETTLED, "breached"): "breached",
    (SETTLED, "excused"): "excused",
    (RETRACTED, ""): "retracted",
    (EXCEPTION, "requested"): "requested",
    (EXCEPTION, "approved"): "approved",
    (EXCEPTION, "self_approved"): "self_approved",
    (EXCEPTION, "declined"): "declined",
    (EXCEPTION, "lapsed"): "lapsed",
}
"""Totals by what they count and their label → what they are called in an answer."""


def page_of_counts(
    connection: Connection, tenant: str, *, limit: int, after: Sequence[Any] | None
) -> list[tuple[str, dict[str, int]]]:
    """Return the totals of commitments by name, in order of the commitment; `after`: the last one seen."""
    counted = or_(*(and_(_tally.c.what == what, _tally.c.label == label) for what, label in _LABELS))
    ids = select(_tally.c.commitment_id).where(_tally.c.tenant == tenant, counted).distinct()
    if after is not None:
        ids = ids.where(_tally.c.commitment_id > after[0])
    page = list(connection.execute(ids.order_by(_tally.c.commitment_id).limit(limit)).scalars())
    totals: dict[str, dict[str, int]] = {each: {} for each in page}
    query = (
        select(_tally.c.commitment_id, _tally.c.what, _tally.c.label, func.sum(_tally.c["count"]))
        .where(_tally.c.tenant == tenant, _tally.c.commitment_id.in_(page), counted)
        .group_by(_tally.c.commitment_id, _tally.c.what, _tally.c.label)
    )
    for commitment, what, label, count in connection.execute(query):
        totals[commitment][_LABELS[what, label]] = int(count)
    return list(totals.items())


def _values(exception: SlaException) -> dict[str, Any]:
    span = exception.span
    return {
        "tenant": exception.tenant,
        "id": exception.id,
        "revision": exception.revision,
        "state": exception.state.value,
        "agreement": exception.agreement,
        "commitment_id": exception.commitment_id,
        "clock": exception.clock,
        "handoff": exception.handoff,
        "since_time": exception.since_time,
        "start_time": span.start_time if span else None,
        "end_time": span.end_time if span else None,
        "reason": exception.reason.value,
        "note": exception.note,
        "requesting_party": exception.requesting_party.value,
        "deciding_party": exception.deciding_party.value,
        "request_principal": exception.request_principal,
        "request_time": exception.request_time,
        "lapse_time": exception.lapse_time,
        "decide_principal": exception.decide_principal,
        "decide_time": exception.decide_time,
        "self_approved": int(exception.self_approved),
    }


def _exception_of(row: Iterable[Any]) -> SlaException:
    values = dict(zip(_COLUMNS, row, strict=True))
    start, end = values.pop("start_time"), values.pop("end_time")
    return SlaException(
        **{
            **values,
            "state": ExceptionState(values["state"]),
            "reason": ExceptionReason(values["reason"]),
            "requesting_party": Party(values["requesting_party"]),
            "deciding_party": Party(values["deciding_party"]),
            "span": None if start is None else Span(start_time=start, end_time=end),
            "self_approved": bool(values["self_approved"]),
        }
    )
