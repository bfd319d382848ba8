"""Make calendar versions, record leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.sla.domain.almanac import Leave, MadeCalendar, require_opening
from services.sla.domain.refused import LeaveUnknown, NotYours, Refused
from services.sla.store.calendars import add_calendar, find_leave, newest_calendar, put_leave
from services.sla.store.tx import SlaTx
from services.sla.wire.changes import calendar_created, leave_changed
from smarketing.businesstime import Calendar, tzdata_version


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCalendar:
    """Somebody wants this to be when time counts."""

    tenant: str
    id: str
    title: str
    calendar: Calendar
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLeave:
    """Somebody will be away; `only_for` is the one person the caller may speak for, None for anybody."""

    leave: Leave
    actor: str
    only_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLeave:
    """Leave is taken back."""

    name: str
    person: str
    actor: str
    only_for: str | None


def make_calendars(
    tx: SlaTx, requests: Sequence[MakeCalendar], *, now: datetime
) -> list[MadeCalendar | Exception]:
    """Return the new version of each; one equal to the newest returns that."""
    made: list[MadeCalendar | Exception] = []
    for request in requests:
        try:
            made.append(_make(tx, request, now))
        except Refused as refused:
            made.append(refused)
    return made


def record_leave(tx: SlaTx, requests: Sequence[RecordLeave], *, now: datetime) -> list[Leave | Exception]:  # noqa: ARG001 - a use case is given the instant
    """Return each leave as recorded."""
    recorded: list[Leave | Exception] = []
    for request in requests:
        try:
            _may_speak(request.only_for, request.leave.person)
            request.leave.require_sense()
        except Refused as refused:
            recorded.append(refused)
            continue
        recorded.append(_kept(tx, request.leave, request.actor))
    return recorded


def cancel_leave(tx: SlaTx, requests: Sequence[CancelLeave], *, now: datetime) -> list[Leave | Exception]:
    """Return each leave as taken back."""
    cancelled: list[Leave | Exception] = []
    for request in requests:
        try:
            _may_speak(request.only_for, request.person)
            leave = find_leave(tx.connection, request.name)
            if leave is None:
                raise LeaveUnknown(request.name)
        except Refused as refused:
            cancelled.append(refused)
            continue
        cancelled.append(leave if leave.cancel_time else _kept(tx, leave.cancel(now=now), request.actor))
    return cancelled


def _make(tx: SlaTx, request: MakeCalendar, now: datetime) -> MadeCalendar:
    require_opening(request.calendar, now=now)
    newest = newest_calendar(tx.connection, request.tenant, request.id)
    if newest is not None and (newest.title, newest.calendar) == (request.title, request.calendar):
        return newest
    made = MadeCalendar(
        tenant=request.tenant,
        id=request.id,
        number=newest.number + 1 if newest else 1,
        title=request.title,
        calendar=request.calendar,
        create_time=now,
        tzdata_version=tzdata_version(),
    )
    add_calendar(tx.connection, made)
    tx.say(made.tenant, made.name, calendar_created(made), actor=request.actor)
    return made


def _may_speak(only_for: str | None, person: str) -> None:
    if only_for is not None and only_for != person:
        raise NotYours(person)


def _kept(tx: SlaTx, leave: Leave, actor: str) -> Leave:
    put_leave(tx.connection, leave)
    tx.say(leave.tenant, leave.name, leave_changed(leave), actor=actor)
    return leave
