"""Reads the owners' waits that no bucket holds: of clocks that still run, and of those that were let off.

Of few clocks every one is read. Of many, the database counts them by the hour in which they began and, where
they were let off or paused, by the hours of that: the cost is then that of hours, and what began in one hour
counts as if it had begun at its mean.
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, null, select

from services.reports.domain.estimators import Outcome
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.waits import HOUR
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.queries import GroupKey, Question, month_of
from services.reports.store.schema import Tables
from smarketing.businesstime import Openings

__all__ = ["OwnerWait", "OwnerWaits"]

OwnerWait: TypeAlias = tuple[GroupKey, tuple[Micros, Outcome, Micros] | None, int]
"""The group; duration, outcome and age, None where it began after now; and how many there are of it."""

_OF_CLOCKS: Final = frozenset({Dimension.TEAM, Dimension.MONTH})


class OwnerWaits:
    """Reads inside the caller's transaction; more than `most_single` clocks are counted by hours."""

    def __init__(self, tables: Tables, calendars: CompiledCalendars, *, most_single: int) -> None:
        self._tables = tables
        self._calendars = calendars
        self._most = most_single

    def read(self, connection: Connection, question: Question, days: LocalDays) -> Iterator[OwnerWait]:
        """Yield the waits of clocks started in the period of which sla has not counted the time."""
        where = self._wanted(question, days)
        clock = self._tables.clock_fact
        number = connection.scalar(select(func.count()).select_from(clock).where(*where)) or 0
        if not number:
            return
        versions = self._calendar_versions(connection, question.tenant)
        groups = len(question.group_by)
        for row in connection.execute(self._query(question, where, hourly=number > self._most)):
            if row.agreement_version not in versions:
                continue
            openings = self._calendars.find(connection, versions[row.agreement_version])
            group = tuple(
                month_of(days.day_of(row.start)) if dimension is Dimension.MONTH else value
                for dimension, value in zip(question.group_by, row[:groups], strict=True)
            )
            yield group, _item(row, openings, question.now), row.number

    def _calendar_versions(self, connection: Connection, tenant: str) -> dict[str, str]:
        version = self._tables.agreement_version
        query = select(version.c.agreement_version, version.c.calendar_version)
        return {row[0]: row[1] for row in connection.execute(query.where(version.c.tenant == tenant))}

    def _wanted(self, question: Question, days: LocalDays) -> list[ColumnElement[bool]]:
        clock = self._tables.clock_fact
        wanted: list[ColumnElement[bool]] = [
            clock.c.tenant == question.tenant,
            clock.c.elapsed.is_(None),
            clock.c.kind == "first_follow_up",
            clock.c.basis == "business",
        ]
        if question.period is not None:
            wanted.append(clock.c.start_time >= days.start_of(question.period.first))
            wanted.append(clock.c.start_time < days.start_of(question.period.last))
        return wanted

    def _query(self, question: Question, where: list[ColumnElement[bool]], *, hourly: bool) -> Select[Any]:
        clock = self._tables.clock_fact
        groups = [self._column(dimension) for dimension in question.group_by]
        void = case((clock.c.state == "void", 1), else_=0)
        # Only of a clock that was paused is it asked for how long, which the two due instants tell.
        paused = clock.c.due_time != clock.c.original_due_time
        times: dict[str, ColumnElement[Any]] = {
            "start": clock.c.start_time,
            "end": func.coalesce(clock.c.stop_time, clock.c.pause_time),
            "original_due": case((paused, clock.c.original_due_time)),
            "due": case((paused, clock.c.due_time)),
        }
        if hourly:
            # Months begin at a quarter of some hour, wherever one lives.
            width = HOUR // 4 if Dimension.MONTH in question.group_by else HOUR
            keys = [*groups, clock.c.agreement_version, void, *(time // width for time in times.values())]
            shown = [
                (func.min(time) + (func.max(time) - func.min(time)) // 2).label(name)
                for name, time in times.items()
            ]
            number: ColumnElement[int] = func.count()
        else:
            keys, number = [], literal(1)
            shown = [time.label(name) for name, time in times.items()]
        query = select(
            *groups, clock.c.agreement_version, void.label("void"), *shown, number.label("number")
        ).where(*where)
        return self._joined(query, question).group_by(*keys)

    def _joined(self, query: Select[Any], question: Question) -> Select[Any]:
        clock, handoff = self._tables.clock_fact, self._tables.handoff_fact
        if _OF_CLOCKS.issuperset(question.group_by):
            return query.select_from(clock)
        return query.select_from(clock.outerjoin(handoff, handoff.c.handoff == clock.c.handoff))

    def _column(self, dimension: Dimension) -> ColumnElement[Any]:
        if dimension is Dimension.TEAM:
            return self._tables.clock_fact.c.team
        # The month is that of the start, which is read anyway.
        return null() if dimension is Dimension.MONTH else self._tables.handoff_fact.c[dimension.value]


def _item(row: Any, openings: Openings | None, now: Micros) -> tuple[Micros, Outcome, Micros] | None:
    """Return the item of clocks that sla has not counted: business time until they were let off, or now."""
    if openings is None or row.start > now:
        return None
    age = openings.between_us(row.start, now)
    end = now if row.end is None else row.end
    # Pauses before this instant have moved the due instant by just their open time.
    paused = 0 if row.due is None else openings.between_us(row.original_due, row.due)
    elapsed = max(0, openings.between_us(row.start, end) - paused)
    return elapsed, Outcome.EXITED if row.void else Outcome.WAITING, age
