"""Counts clocks together with their handoffs: under their labels, by their times, each handoff missed once.

A clock is counted by what its handoff's row says. When that changes, its clocks are found by its name and
counted anew, so that it does not matter which of the two logs is ahead.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, select

from services.reports.domain.clocks import ClockFact
from services.reports.domain.handoffs import HandoffFact
from services.reports.domain.labels import Labels
from services.reports.domain.misses import NOBODY, SeenHandoff
from services.reports.domain.periods import LocalDays, Micros
from services.reports.store.calendars import OpenTimes
from services.reports.store.facts import Change
from services.reports.store.schema import Tables
from services.reports.store.sheet import Sheet
from smarketing.sql.rows import FindRows

__all__ = ["ClockSums", "DaysOf", "Moved", "seen_in_row", "whose"]

DaysOf: TypeAlias = Callable[[str], LocalDays]
"""A tenant's days."""
Moved: TypeAlias = Mapping[str, tuple[SeenHandoff, SeenHandoff]]
"""By handoff, as its clocks were counted by it, and are now."""

_Dues: TypeAlias = dict[str, Micros | None]
"""By clock, when it was due that was missed."""

# The team is the clock's own.
_SEEN: Final = (*Labels._fields[:-1], *SeenHandoff._fields[1:])
_WIDTH: Final = len(Labels._fields) - 1
_seen_columns: Final = itemgetter(*(list(HandoffFact.__dataclass_fields__).index(name) for name in _SEEN))


def seen_in_row(row: Sequence[Any]) -> SeenHandoff:
    """Return what clocks are counted by of the handoff of a row."""
    return _seen(_seen_columns(row))


class ClockSums:
    """Counts into a sheet. Holds compiled statements, no data."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._find_seen = FindRows(tables.handoff_fact, key=["handoff"], columns=["handoff", *_SEEN])
        self._find_clocks_of = FindRows(tables.clock_fact, key=["handoff"])
        self._find_dues = FindRows(
            tables.clock_fact, key=["handoff"], columns=["handoff", "clock", "missed_due_time"]
        )

    def settle(
        self, connection: Connection, changes: Sequence[Change[ClockFact]], days_of: DaysOf, sheet: Sheet
    ) -> None:
        """Count clocks that are about to be written."""
        seen = self._seen_of(connection, (fact.handoff for _, _, fact in changes))
        times = OpenTimes(connection, self._tables)
        missed: dict[tuple[str, str], _Dues] = defaultdict(dict)
        for before, _, fact in changes:
            handoff, days = seen.get(fact.handoff, NOBODY), days_of(fact.tenant)
            once = None
            if before is not None:
                was = ClockFact(*before)
                once = was.missed_due_time
                sheet.count_clock(was, handoff, days, times, -1)
            sheet.count_clock(fact, handoff, days, times, 1)
            if once != fact.missed_due_time and handoff is not NOBODY:
                missed[fact.tenant, fact.handoff][fact.clock] = fact.missed_due_time
        # A handoff is missed once, by the first of its clocks that was.
        known = self._dues_of(connection, [handoff for _, handoff in missed])
        for (tenant, handoff_name), changed in missed.items():
            dues = known[handoff_name]
            days = days_of(tenant)
            sheet.count_missed(tenant, seen[handoff_name], _first(dues), days, -1)
            sheet.count_missed(tenant, seen[handoff_name], _first(dues | changed), days, 1)

    def move(self, connection: Connection, moved: Moved, days_of: DaysOf, sheet: Sheet) -> None:
        """Count the clocks of handoffs by what these are now."""
        times = OpenTimes(connection, self._tables)
        by_handoff: dict[str, list[ClockFact]] = defaultdict(list)
        for row in self._find_clocks_of.find(connection, [(name,) for name in moved]):
            clock = ClockFact(*row)
            by_handoff[clock.handoff].append(clock)
        for name, clocks in by_handoff.items():
            old, new = moved[name]
            tenant = clocks[0].tenant
            days = days_of(tenant)
            for clock in clocks:
                sheet.count_clock(clock, old, days, times, -1)
                sheet.count_clock(clock, new, days, times, 1)
            due = _first({clock.clock: clock.missed_due_time for clock in clocks})
            sheet.count_missed(tenant, old, due, days, -1)
            sheet.count_missed(tenant, new, due, days, 1)

    def retime(
        self, connection: Connection, once: OpenTimes, tenants: Collection[str], days_of: DaysOf, sheet: Sheet
    ) -> None:
        """Count missed clocks of tenants anew whose open time was `once` another one, or not known."""
        times = OpenTimes(connection, self._tables)
        # Of other tenants' agreements something may have become known meanwhile, by another replica.
        changed = [version for version in times.changed_since(once) if whose(version) in tenants]
        if not changed:
            return
        clock = self._tables.clock_fact
        missed = select(clock).where(
            clock.c.missed_due_time.is_not(None), clock.c.agreement_version.in_(changed)
        )
        clocks = [ClockFact(*row) for row in connection.execute(missed)]
        seen = self._seen_of(connection, (each.handoff for each in clocks))
        for each in clocks:
            for then, number in ((once, -1), (times, 1)):
                handoff, days = seen.get(each.handoff, NOBODY), days_of(each.tenant)
                sheet.count_clock(each, handoff, days, then, number)

    def count_missed(
        self, connection: Connection, facts: Sequence[HandoffFact], days: LocalDays, sheet: Sheet
    ) -> None:
        """Count which of these handoffs were missed, where nothing of that was counted yet."""
        tenants = {fact.handoff: fact.tenant for fact in facts}
        dues = self._dues_of(connection, list(tenants))
        for name, seen in self._seen_of(connection, dues).items():
            sheet.count_missed(tenants[name], seen, _first(dues[name]), days, 1)

    def count_clocks(
        self, connection: Connection, clocks: Sequence[ClockFact], days: LocalDays, sheet: Sheet
    ) -> None:
        """Count clocks of which nothing was counted yet."""
        seen = self._seen_of(connection, (clock.handoff for clock in clocks))
        times = OpenTimes(connection, self._tables)
        for clock in clocks:
            sheet.count_clock(clock, seen.get(clock.handoff, NOBODY), days, times, 1)

    def _dues_of(self, connection: Connection, handoffs: Sequence[str]) -> dict[str, _Dues]:
        """Return when the missed clocks of each handoff were due, as they are written."""
        dues: dict[str, _Dues] = defaultdict(dict)
        for handoff, clock, due in self._find_dues.find(connection, [(name,) for name in handoffs]):
            dues[handoff][clock] = due
        return dues

    def _seen_of(self, connection: Connection, handoffs: Iterable[str]) -> dict[str, SeenHandoff]:
        keys = [(name,) for name in dict.fromkeys(handoffs)]
        return {row[0]: _seen(row[1:]) for row in self._find_seen.find(connection, keys)}


def whose(version: str) -> str:
    """Return the tenant of a version of an agreement or a calendar, as its name says."""
    return "/".join(version.split("/", 2)[:2])


def _seen(values: Sequence[Any]) -> SeenHandoff:
    return SeenHandoff(Labels(*values[:_WIDTH]), *values[_WIDTH:])


def _first(dues: _Dues) -> Micros | None:
    return min((due for due in dues.values() if due is not None), default=None)
