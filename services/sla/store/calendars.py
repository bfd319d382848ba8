"""Calendar versions and leave."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, exists, insert, select

from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.store import schema
from services.sla.wire.calendars import calendar_bytes, calendar_from_bytes
from services.sla.wire.names import LEAVE
from smarketing.sql import UpsertRows, from_micros

_calendar = schema.calendar_version
_leave = schema.leave
_put_leave: Final = UpsertRows(
    _leave, key=["tenant", "person", "leave"], replace=["start_time", "end_time", "cancel_time"]
)


def newest_calendar(connection: Connection, tenant: str, calendar: str) -> MadeCalendar | None:
    """Return the newest version of a calendar; None before the first."""
    found = page_of_calendars(connection, tenant, calendar, limit=1, after=None)
    return found[0] if found else None


def calendars_of_older_editions(connection: Connection, edition: str, *, limit: int) -> list[MadeCalendar]:
    """Return the newest version of some calendars that was made by an older edition of the zone rules."""
    newer = _calendar.alias()
    query = (
        select(_calendar)
        .where(
            # Editions are named by year and letter; an older build beside this one takes nothing back.
            _calendar.c.tzdata_version < edition,
            ~exists().where(
                newer.c.tenant == _calendar.c.tenant,
                newer.c.calendar == _calendar.c.calendar,
                newer.c.version > _calendar.c.version,
            ),
        )
        .order_by(_calendar.c.tenant, _calendar.c.calendar)
        .limit(limit)
    )
    return [_made(row) for row in connection.execute(query)]


def page_of_calendars(
    connection: Connection,
    tenant: str,
    calendar: str | None,
    *,
    limit: int,
    after: Sequence[int | str] | None,
) -> list[MadeCalendar]:
    """Return versions, the newest of each calendar first; `after` is the key of the last one seen."""
    query = select(_calendar).where(_calendar.c.tenant == tenant)
    if calendar is not None:
        query = query.where(_calendar.c.calendar == calendar)
    if after is not None:
        seen, version = after
        query = query.where(
            (_calendar.c.calendar > seen) | and_(_calendar.c.calendar == seen, _calendar.c.version < version)
        )
    query = query.order_by(_calendar.c.calendar, _calendar.c.version.desc()).limit(limit)
    return [_made(row) for row in connection.execute(query)]


def add_calendar(connection: Connection, made: MadeCalendar) -> None:
    """Write a new version."""
    connection.execute(
        insert(_calendar).values(
            tenant=made.tenant,
            calendar=made.id,
            version=made.number,
            content=calendar_bytes(made.title, made.calendar),
            create_time=made.create_time,
            tzdata_version=made.tzdata_version,
        )
    )


def find_leave(connection: Connection, name: str) -> Leave | None:
    """Return the leave of this name; None when there is none."""
    if not LEAVE.matches(name):
        return None
    tenant, person, leave = LEAVE.parse(name)
    row = connection.execute(
        select(_leave).where(
            _leave.c.tenant == tenant,
            _leave.c.person == f"tenants/{tenant}/people/{person}",
            _leave.c.leave == leave,
        )
    ).one_or_none()
    return None if row is None else _of_row(row)


def put_leave(connection: Connection, leave: Leave) -> None:
    """Write leave, or that it was taken back."""
    key = (leave.tenant, leave.person, leave.id)
    _put_leave.upsert(connection, [(*key, leave.start_time, leave.end_time, leave.cancel_time)])


def page_of_leave(
    connection: Connection,
    tenant: str,
    person: str | None,
    *,
    now: datetime,
    limit: int,
    after: Sequence[Any] | None,
) -> list[Leave]:
    """Return leave that has not ended, soonest first; `after`: start in µs, person, id of the last."""
    query = select(_leave).where(_leave.c.tenant == tenant, _leave.c.end_time > now)
    if person is not None:
        query = query.where(_leave.c.person == person)
    if after is not None:
        start, seen_person, seen_id = from_micros(after[0]), after[1], after[2]
        query = query.where(
            (_leave.c.start_time > start)
            | and_(_leave.c.start_time == start, _leave.c.person > seen_person)
            | and_(_leave.c.start_time == start, _leave.c.person == seen_person, _leave.c.leave > seen_id)
        )
    query = query.order_by(_leave.c.start_time, _leave.c.person, _leave.c.leave).limit(limit)
    return [_of_row(row) for row in connection.execute(query)]


def _made(row: Row[Any]) -> MadeCalendar:
    title, calendar = calendar_from_bytes(row.content)
    return MadeCalendar(
        tenant=row.tenant,
        id=row.calendar,
        number=row.version,
        title=title,
        calendar=calendar,
        create_time=row.create_time,
        tzdata_version=row.tzdata_version,
    )


def _of_row(row: Row[Any]) -> Leave:
    return Leave(
        tenant=row.tenant,
        person=row.person,
        id=row.leave,
        start_time=row.start_time,
        end_time=row.end_time,
        cancel_time=row.cancel_time,
    )
