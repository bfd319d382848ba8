"""Clocks that are due after the last year whose holidays were looked through: those may still move them."""

from collections.abc import Iterable

from services.sla.domain.agreement import TimeBasis
from services.sla.domain.recorded import Clock
from services.sla.store.archive import Archive
from services.sla.store.planning import last_reviewed_year
from smarketing.businesstime import load_zone
from smarketing.names import CALENDAR_VERSION
from smarketing.sql import Connection


def provisional(connection: Connection, archive: Archive, clocks: Iterable[Clock]) -> frozenset[str]:
    """Return the names of the clocks whose due instant is provisional.

    In a calendar of which no year was ever looked through people enter the dates themselves: nothing is.
    """
    last: dict[str, int | None] = {}
    found: set[str] = set()
    for clock in clocks:
        # What was decided stays decided.
        if clock.is_decided or clock.breach_time is not None or clock.basis is TimeBasis.WALL:
            continue
        made = archive.calendar(connection, clock.calendar_version)
        assert made is not None, clock.calendar_version  # noqa: S101 - it was looked up when the clock started
        _, calendar, _ = CALENDAR_VERSION.parse(made.name)
        if calendar not in last:
            last[calendar] = last_reviewed_year(connection, clock.tenant, calendar)
        year = last[calendar]
        if year is not None and clock.due_time.astimezone(load_zone(made.calendar.zone).info).year > year:
            found.add(clock.name)
    return frozenset(found)
