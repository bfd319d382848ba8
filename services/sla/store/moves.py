"""Clocks to be measured by a calendar version with a reviewed year; the place outlives restarts."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, tuple_

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.course import Outcome
from services.sla.domain.recorded import Clock
from services.sla.store import schema
from services.sla.store.rows import CLOCK_COLUMNS, clock_of
from smarketing.sql import UpsertRows

ANY_YEAR: Final = 0
"""Of a move to new rules of a zone, which concerns the clocks alone that end at another instant by them."""

_move: Final = schema.promise_tables.calendar_move
_clock: Final = schema.clock
_KEY: Final = ("tenant", "calendar", "year")
_CHANGED: Final = ("calendar_version", "principal", "after_due_time", "after_clock")
_put_move: Final = UpsertRows(_move, key=_KEY, replace=_CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMove:
    """Clocks that are due from an instant on count by a newer version of their calendar."""

    tenant: str
    calendar: str
    """The calendar's id."""
    year: int
    """Whose holidays were looked through; `ANY_YEAR` when the rules of the zone are others."""
    calendar_version: str
    """Name of the version to count by."""
    principal: str
    """Who caused it."""
    after_due_time: datetime
    """Where it goes on; at first the beginning of the year."""
    after_clock: str = ""

    def behind(self, clock: Clock) -> "CalendarMove":
        """Return the move as it goes on behind a clock."""
        return replace(self, after_due_time=clock.due_time, after_clock=clock.id)


def put_move(connection: Connection, move: CalendarMove) -> None:
    """Write a move as it is now."""
    _put_move.upsert(connection, [tuple(getattr(move, name) for name in (*_KEY, *_CHANGED))])


def find_move(connection: Connection) -> CalendarMove | None:
    """Return a move that is not done, of each calendar the earliest year first; None when there is none."""
    query = select(_move).order_by(_move.c.tenant, _move.c.calendar, _move.c.year).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else CalendarMove(**row)


def end_move(connection: Connection, move: CalendarMove) -> None:
    """Forget a move that is done."""
    connection.execute(delete(_move).where(*(_move.c[name] == getattr(move, name) for name in _KEY)))


def clocks_behind(connection: Connection, move: CalendarMove, *, limit: int) -> list[Clock]:
    """Return the next clocks that a move may concern: undecided, and counted by some calendar."""
    query = (
        select(*(_clock.c[name] for name in CLOCK_COLUMNS))
        .where(
            _clock.c.tenant == move.tenant,
            tuple_(_clock.c.due_time, _clock.c.id) > (move.after_due_time, move.after_clock),
            _clock.c.outcome.in_([Outcome.RUNNING.value, Outcome.PAUSED.value]),
            _clock.c.basis == TimeBasis.BUSINESS.value,
        )
        .order_by(_clock.c.due_time, _clock.c.id)
        .limit(limit)
    )
    return [clock_of(tuple(row)) for row in connection.execute(query)]
