"""What is due, found through the index that holds nothing else."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from services.sla.store import schema

_clock = schema.clock

DUE: Final = (
    select(_clock.c.id, _clock.c.handoff)
    .where(_clock.c.next_time.is_not(None), _clock.c.next_time <= bindparam("now"))
    .order_by(_clock.c.next_time)
    .limit(bindparam("limit"))
)
"""The statement itself, so that a test can ask the database how it goes about it."""

_NEXT: Final = (
    select(_clock.c.next_time).where(_clock.c.next_time.is_not(None)).order_by(_clock.c.next_time).limit(1)
)


_COMING: Final = (
    select(_clock.c.handoff, _clock.c.next_time)
    .where(
        _clock.c.next_time.is_not(None),
        _clock.c.next_time > bindparam("after"),
        _clock.c.next_time <= bindparam("until"),
    )
    .order_by(_clock.c.next_time)
    .limit(bindparam("limit"))
)


def due_clocks(connection: Connection, *, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Return clocks to look at and their handoffs, the one due first at the head."""
    return [(clock, handoff) for clock, handoff in connection.execute(DUE, {"now": now, "limit": limit})]


def next_due(connection: Connection) -> datetime | None:
    """Return when the next clock must be looked at; None when none has to."""
    found: datetime | None = connection.execute(_NEXT).scalar_one_or_none()
    return found


def coming_clocks(
    connection: Connection, *, after: datetime, until: datetime, limit: int
) -> list[tuple[str, datetime]]:
    """Return the handoffs of clocks to look at between two instants, and when; the first at the head."""
    rows = connection.execute(_COMING, {"after": after, "until": until, "limit": limit})
    return [(handoff, at) for handoff, at in rows]
