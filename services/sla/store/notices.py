"""Ways to people, and whom alerts are still to reach."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, case, delete, func, select, update

from services.sla.domain.agreement import Delivery
from services.sla.domain.alert import Alert
from services.sla.domain.calendar import openings_of
from services.sla.domain.notice import Channel, ChannelWay, Hours, Language, Notice, Reach
from services.sla.store import schema
from services.sla.store.calendars import newest_calendar
from services.sla.store.rows import alert_of
from smarketing.delivery import NewEndpoint, Sealer, Way, create_endpoint, delete_endpoint
from smarketing.delivery.endpoints import seal_purpose
from smarketing.names import CALENDAR
from smarketing.sql import InsertRows, UpsertRows

_channel, _notice, _alert = schema.alert_channel, schema.alert_notice, schema.alert
_add_notices: Final = InsertRows(schema.alert_notice)
_put_channel: Final = UpsertRows(
    schema.alert_channel,
    key=["tenant", "person", "way"],
    replace=["endpoint_id", "language", "calendar", "cover", "update_time"],
)
_WAYS: Final = {
    ChannelWay.EMAIL: Way.EMAIL,
    ChannelWay.WEBHOOK: Way.WEBHOOK,
    ChannelWay.CHAT: Way.CHAT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Somebody for whom something may be put in the queue, by one way."""

    tenant: str
    person: str
    way: ChannelWay


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice with the alert that it is about."""

    notice: Notice
    alert: Alert


# Ways.


def find_channel(connection: Connection, tenant: str, person: str, way: ChannelWay) -> Channel | None:
    """Return one way to a person; None when they have none such."""
    found = channels_of(connection, tenant, [person]).get(person, [])
    return next((channel for channel in found if channel.way is way), None)


def channels_of(connection: Connection, tenant: str, people: Iterable[str]) -> dict[str, list[Channel]]:
    """Return the ways to people, by person."""
    query = select(_channel).where(_channel.c.tenant == tenant, _channel.c.person.in_(sorted(set(people))))
    found: dict[str, list[Channel]] = {}
    for row in connection.execute(query.order_by(_channel.c.person, _channel.c.way)).mappings():
        found.setdefault(row["person"], []).append(_channel_of(row))
    return found


def page_of_channels(
    connection: Connection, tenant: str, person: str | None, *, limit: int, after: Sequence[Any] | None
) -> list[Channel]:
    """Return ways in order of person and way; `after` is both of the last one seen."""
    query = select(_channel).where(_channel.c.tenant == tenant)
    if person is not None:
        query = query.where(_channel.c.person == person)
    if after is not None:
        seen, way = after
        query = query.where(
            (_channel.c.person > seen) | and_(_channel.c.person == seen, _channel.c.way > way)
        )
    query = query.order_by(_channel.c.person, _channel.c.way).limit(limit)
    return [_channel_of(row) for row in connection.execute(query).mappings()]


def put_channel(
    connection: Connection, channel: Channel, address: str, *, sealer: Sealer, now: datetime
) -> Channel:
    """Keep a way; what already waits for an earlier address of it goes to the new one."""
    known = find_channel(connection, channel.tenant, channel.person, channel.way)
    if known is None:
        new = NewEndpoint(
            tenant=channel.tenant,
            endpoint_id=channel.endpoint_id,
            url=_WAYS[channel.way],
            display_name="",
            secret=address,
        )
        create_endpoint(connection, schema.delivery_tables, new, sealer=sealer, now=now)
        kept = channel
    else:
        kept = Channel(
            tenant=channel.tenant,
            person=channel.person,
            way=channel.way,
            endpoint_id=known.endpoint_id,
            language=channel.language,
            calendar=channel.calendar,
            cover=channel.cover,
            update_time=now,
        )
        sealed = sealer.seal(address.encode(), seal_purpose(kept.tenant, kept.endpoint_id))
        _set_endpoint(connection, kept, sealed_secret=sealed, disable_time=None)
    key = (kept.tenant, kept.person, kept.way.value)
    _put_channel.upsert(
        connection,
        [(*key, kept.endpoint_id, kept.language.value, kept.calendar, kept.cover, now)],
    )
    return kept


def remove_channel(connection: Connection, channel: Channel, *, now: datetime) -> None:
    """Forget a way, its address, and what waits for it."""
    delete_endpoint(
        connection,
        schema.delivery_tables,
        tenant=channel.tenant,
        endpoint_id=channel.endpoint_id,
        now=now,
    )
    _set_endpoint(connection, channel, sealed_secret=b"")
    for table in (_channel, _notice):
        connection.execute(
            delete(table).where(
                table.c.tenant == channel.tenant,
                table.c.person == channel.person,
                table.c.way == channel.way.value,
            )
        )


def _set_endpoint(connection: Connection, channel: Channel, **values: object) -> None:
    endpoint = schema.delivery_tables.endpoint
    connection.execute(
        update(endpoint)
        .where(endpoint.c.tenant == channel.tenant, endpoint.c.endpoint_id == channel.endpoint_id)
        .values(**values)
    )


# Notices.


def reach_of(connection: Connection, tenant: str, people: Iterable[str], *, now: datetime) -> Reach:
    """Return the ways to people and to those who cover for them."""
    channels = channels_of(connection, tenant, people)
    covers = {channel.cover for found in channels.values() for channel in found if channel.cover}
    channels |= channels_of(connection, tenant, covers - channels.keys())
    hours: dict[str, Hours] = {}
    leave = _leave_of(connection, tenant, channels, now) if channels else {}
    openings: dict[str, Hours] = {}
    for person, found in channels.items():
        for channel in found:
            if channel.calendar not in openings:
                openings[channel.calendar] = _hours_in(connection, channel.calendar)
            hours[channel.name] = Hours(
                openings=openings[channel.calendar].openings, leave=leave.get(person, ())
            )
    return Reach(channels=channels, hours=hours)


def _hours_in(connection: Connection, calendar: str) -> Hours:
    if not calendar:
        return Hours()
    tenant, each = CALENDAR.parse(calendar)
    newest = newest_calendar(connection, tenant, each)
    return Hours(openings=None if newest is None else openings_of(newest.calendar))


def _leave_of(
    connection: Connection, tenant: str, people: Iterable[str], now: datetime
) -> dict[str, list[tuple[datetime, datetime]]]:
    table = schema.leave
    query = select(table.c.person, table.c.start_time, table.c.end_time).where(
        table.c.tenant == tenant,
        table.c.end_time > now,
        table.c.cancel_time.is_(None),
        table.c.person.in_(sorted(people)),
    )
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for person, start, end in connection.execute(query.order_by(table.c.start_time)):
        found.setdefault(person, []).append((start, end))
    return found


def plan_notices(
    connection: Connection, tenant: str, alerts: Sequence[tuple[Alert, Delivery]], *, now: datetime
) -> None:
    """Note whom alerts are to reach, and when; one that is put off waits for its instant."""
    people = {person for alert, _ in alerts for person in alert.recipients}
    if not people:
        return
    reach = reach_of(connection, tenant, people, now=now)
    if not reach.channels:
        return
    notices = [
        notice
        for alert, delivery in alerts
        for notice in reach.notices(alert, delivery, at=max(alert.snooze_until_time or now, now))
    ]
    _add_notices.insert(connection, [_row(notice) for notice in notices])


def drop_notices(connection: Connection, alert: Alert) -> None:
    """Forget whom an alert was still to reach."""
    connection.execute(delete(_notice).where(_notice.c.tenant == alert.tenant, _notice.c.alert == alert.id))


def put_off_notices(connection: Connection, told: Sequence[Told]) -> None:
    """Keep notices that were taken, for the instant until which their alerts are put off."""
    _add_notices.insert(
        connection,
        [
            _row(replace(each.notice, ready_time=each.alert.snooze_until_time or each.notice.ready_time))
            for each in told
        ],
    )


def next_ready(connection: Connection, *, after: datetime) -> datetime | None:
    """Return when next a notice becomes one that may be told; None when there is none to come."""
    query = select(func.min(_notice.c.ready_time)).where(_notice.c.ready_time > after)
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def ready_groups(
    connection: Connection, *, now: datetime, window: timedelta, limit: int
) -> tuple[list[Waiting], datetime | None]:
    """Return for whom a message is to be made now, and when next one of the others is.

    Whatever may be told gathers for `window`, then all of it goes; what is urgent takes the rest along.
    """
    first = func.min(_notice.c.ready_time)
    urgent = func.max(case((_notice.c.is_urgent == 1, 1), else_=0))
    query = (
        select(_notice.c.tenant, _notice.c.person, _notice.c.way, first, urgent)
        .where(_notice.c.ready_time <= now)
        .group_by(_notice.c.tenant, _notice.c.person, _notice.c.way)
        .order_by(first)
    )
    due: list[Waiting] = []
    later: list[datetime] = []
    for tenant, person, way, since, is_urgent in connection.execute(query):
        if is_urgent or since + window <= now:
            due.append(Waiting(tenant=tenant, person=person, way=ChannelWay(way)))
        else:
            later.append(since + window)
    return due[:limit], min(later, default=None)


def take_notices(connection: Connection, waiting: Waiting, *, now: datetime, limit: int) -> list[Told]:
    """Take what may be told to somebody by a way, the alert made first at the head."""
    here = and_(
        _notice.c.tenant == waiting.tenant,
        _notice.c.person == waiting.person,
        _notice.c.way == waiting.way.value,
        _notice.c.ready_time <= now,
    )
    query = (
        select(_notice, *(column.label(f"alert_{column.name}") for column in _alert.columns))
        .join(_alert, and_(_alert.c.tenant == _notice.c.tenant, _alert.c.id == _notice.c.alert))
        .where(here)
        .order_by(_alert.c.create_time, _alert.c.due_time, _alert.c.id)
        .limit(limit)
    )
    taken = [_told_of(dict(row)) for row in connection.execute(query).mappings()]
    for start in range(0, len(taken), 200):
        ids = [told.notice.alert for told in taken[start : start + 200]]
        connection.execute(delete(_notice).where(here, _notice.c.alert.in_(ids)))
    return taken


def _told_of(row: dict[str, Any]) -> Told:
    alert = alert_of({column.name: row[f"alert_{column.name}"] for column in _alert.columns})
    own = {column.name: row[column.name] for column in _notice.columns}
    notice = Notice(**{**own, "way": ChannelWay(own["way"]), "is_urgent": bool(own["is_urgent"])})
    return Told(notice=notice, alert=alert)


def _row(notice: Notice) -> tuple[object, ...]:
    return (
        notice.tenant,
        notice.person,
        notice.way.value,
        notice.alert,
        notice.round,
        notice.instead_of,
        notice.ready_time,
        int(notice.is_urgent),
    )


def _channel_of(row: Any) -> Channel:
    return Channel(**{**row, "way": ChannelWay(row["way"]), "language": Language(row["language"])})
