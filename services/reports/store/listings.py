"""Reads the few rows that a page lists: clocks that are due or overdue, and the zone its dates are in."""

from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from services.reports.domain.clocks import ClockState
from services.reports.domain.periods import Micros
from services.reports.store.fold import DEFAULT_ZONE
from services.reports.store.schema import Tables

__all__ = ["DueClock", "Listings"]

_RUNNING: Final = ClockState.RUNNING.value
_BREACHED: Final = ClockState.BREACHED.value


class DueClock(NamedTuple):
    """A clock that somebody should stop: ids, no person's data."""

    handoff: str
    commitment_id: str
    owner: str
    team: str | None
    due_time: Micros


class Listings:
    """Questions about single clocks, each inside the caller's read transaction."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def zone_name(self, connection: Connection, tenant: str) -> str:
        """Return the IANA name of the tenant's zone."""
        setting = self._tables.tenant_setting
        zone = connection.scalar(select(setting.c.time_zone).where(setting.c.tenant == tenant))
        return zone or DEFAULT_ZONE

    def overdue(
        self, connection: Connection, tenant: str, *, now: Micros, party: str, limit: int
    ) -> list[DueClock]:
        """Return clocks past due and not done (S4), the longest overdue first."""
        clock = self._tables.clock_fact
        late = clock.c.undone_due_time < now
        # A breach recorded at this very instant is one already; a running clock is not late yet.
        missed = and_(clock.c.state == _BREACHED, clock.c.undone_due_time == now)
        where = [clock.c.undone_due_time <= now, or_(late, missed), clock.c.state.in_((_BREACHED, _RUNNING))]
        return self._list(connection, tenant, where, party, limit)

    def due_next(
        self, connection: Connection, tenant: str, *, now: Micros, party: str, limit: int
    ) -> list[DueClock]:
        """Return running clocks not yet due, the nearest first; a paused one is due at no known instant."""
        clock = self._tables.clock_fact
        ahead = (clock.c.state == _RUNNING, clock.c.undone_due_time >= now)
        return self._list(connection, tenant, ahead, party, limit)

    def _list(
        self,
        connection: Connection,
        tenant: str,
        where: "list[ColumnElement[bool]] | tuple[ColumnElement[bool], ...]",
        party: str,
        limit: int,
    ) -> list[DueClock]:
        clock = self._tables.clock_fact
        query = (
            select(clock.c.handoff, clock.c.commitment_id, clock.c.owner, clock.c.team, clock.c.due_time)
            .where(clock.c.tenant == tenant, *where)
            .order_by(clock.c.undone_due_time, clock.c.clock)
            .limit(limit)
        )
        if party:
            query = query.where(clock.c.parties.contains(f",{party},"))
        return [DueClock(*row) for row in connection.execute(query)]
