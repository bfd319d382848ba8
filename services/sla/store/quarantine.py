"""Clocks that cannot be decided: put aside, so that they hold up nobody else, and never forgotten."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select, update

from services.sla.store import schema

MOST_ATTEMPTS: Final = 3
_clock = schema.clock


def quarantine(connection: Connection, clocks: Sequence[str], *, now: datetime) -> None:
    """Look at these clocks no more by themselves; the next fact about their handoff tries again."""
    connection.execute(
        update(_clock)
        .where(_clock.c.id.in_(list(clocks)))
        .values(next_time=None, quarantine_time=now, attempts=_clock.c.attempts + 1)
    )


def count_failure(connection: Connection, clock: str, *, now: datetime) -> bool:
    """Count a failed attempt at one clock and put it off; return whether it is quarantined from now on."""
    attempts = connection.execute(select(_clock.c.attempts).where(_clock.c.id == clock)).scalar_one() + 1
    if attempts >= MOST_ATTEMPTS:
        quarantine(connection, [clock], now=now)
        return True
    later = now + timedelta(seconds=2**attempts)
    connection.execute(update(_clock).where(_clock.c.id == clock).values(attempts=attempts, next_time=later))
    return False
