"""Sight as a condition, and the teams and queues that somebody answers for."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, or_, select

from services.sla.domain.sight import Sight
from services.sla.store import schema

__all__ = ["groups_of_manager", "seen_alerts", "seen_clocks"]

_alert: Final = schema.alert
_clock: Final = schema.clock


def groups_of_manager(connection: Connection, tenant: str, person: str) -> frozenset[str]:
    """Return the teams that somebody manages, with their queues, and the queues that they answer for."""
    team, queue = schema.directory_tables.team, schema.queue
    teams = frozenset(
        connection.execute(
            select(team.c.team).where(team.c.tenant == tenant, team.c.manager == person)
        ).scalars()
    )
    queues = connection.execute(
        select(queue.c.queue).where(
            queue.c.tenant == tenant, or_(queue.c.manager == person, queue.c.team.in_(sorted(teams)))
        )
    ).scalars()
    return teams | frozenset(queues)


def seen_clocks(sight: Sight) -> ColumnElement[bool]:
    """Return the condition for clocks."""
    seen = _held(_clock, sight)
    if sight.party:
        seen.append(_clock.c.parties.contains(sight.party, autoescape=True))
    return or_(*seen)


def seen_alerts(sight: Sight) -> ColumnElement[bool]:
    """Return the condition for alerts: whoever was told of one sees it."""
    told = (" " + _alert.c.recipients + " ").contains(f" {sight.person} ", autoescape=True)
    seen = [*_held(_alert, sight), told]
    if sight.party:
        promised = select(_clock.c.id).where(
            _alert.c.clock == "tenants/" + _clock.c.tenant + "/clocks/" + _clock.c.id,
            _clock.c.parties.contains(sight.party, autoescape=True),
        )
        seen.append(promised.exists())
    return or_(*seen)


def _held(table: Table, sight: Sight) -> list[ColumnElement[Any]]:
    groups = sorted(sight.groups)
    return [table.c.owner == sight.person, table.c.owner.in_(groups), table.c.team.in_(groups)]
