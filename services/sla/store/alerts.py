"""Alerts by name and in lists."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, tuple_

from services.sla.domain.alert import Alert, AlertState, Topic
from services.sla.domain.sight import Sight
from services.sla.store import schema
from services.sla.store.rows import alert_of
from services.sla.store.sights import seen_alerts
from smarketing.names import ALERT
from smarketing.sql import from_micros

_alert, _clock = schema.alert, schema.clock


def find_alert(connection: Connection, name: str) -> Alert | None:
    """Return the alert of this name; None when there is none."""
    if not ALERT.matches(name):
        return None
    tenant, each = ALERT.parse(name)
    row = (
        connection.execute(select(_alert).where(_alert.c.tenant == tenant, _alert.c.id == each))
        .mappings()
        .one_or_none()
    )
    return None if row is None else alert_of(dict(row))


def version_of(connection: Connection, alert: Alert) -> str:
    """Return the agreement version that an alert's clock is pinned to, or by which it was found."""
    if alert.agreement_version:
        return alert.agreement_version
    query = select(_clock.c.agreement_version).where(_clock.c.id == alert.clock.rsplit("/", 1)[1])
    return str(connection.execute(query).scalar_one())


def open_alerts_of(
    connection: Connection, tenant: str, topics: Collection[Topic], commitment_id: str
) -> list[Alert]:
    """Return the alerts of no clock, about these topics and this promise, that nobody has dealt with."""
    query = select(_alert).where(
        _alert.c.tenant == tenant,
        _alert.c.topic.in_(sorted(topic.value for topic in topics)),
        # No topic is empty; said for the index, which holds the alerts that have one.
        _alert.c.topic != "",
        _alert.c.commitment_id == commitment_id,
        _alert.c.state != AlertState.RESOLVED.value,
    )
    return [alert_of(dict(row)) for row in connection.execute(query).mappings()]


def find_alert_in_sight(connection: Connection, name: str, sight: Sight | None) -> Alert | None:
    """Return the alert of this name; None when there is none, or it is out of sight."""
    alert = find_alert(connection, name)
    if alert is None or sight is None:
        return alert
    here = and_(_alert.c.tenant == alert.tenant, _alert.c.id == alert.id)
    seen = connection.execute(select(_alert.c.id).where(here, seen_alerts(sight))).one_or_none()
    return None if seen is None else alert


def page_of_alerts(
    connection: Connection,
    tenant: str,
    *,
    states: Sequence[str],
    owner: str,
    handoff: str,
    sight: Sight | None = None,
    limit: int,
    after: Sequence[Any] | None,
) -> list[Alert]:
    """Return the alerts in sight, newest first; `after` is the creation time in µs and the id of the last."""
    query = select(_alert).where(_alert.c.tenant == tenant)
    if sight is not None:
        query = query.where(seen_alerts(sight))
    if states:
        query = query.where(_alert.c.state.in_(states))
    if owner:
        query = query.where(_alert.c.owner == owner)
    if handoff:
        query = query.where(_alert.c.handoff == handoff)
    if after is not None:
        query = query.where(tuple_(_alert.c.create_time, _alert.c.id) < (from_micros(after[0]), after[1]))
    query = query.order_by(_alert.c.create_time.desc(), _alert.c.id.desc()).limit(limit)
    return [alert_of(dict(row)) for row in connection.execute(query).mappings()]
