"""Reads how long owners have waited where no clock counted it: those still to be done, and those let off.

Of few clocks every one is read. Of many, buckets hold those that run and were never paused; the others are
counted by the database, by the hours in which they began, were let off or paused. What began in one bucket
counts as if it had begun at its mean.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
)

from services.reports.domain.estimators import Outcome
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.waits import HOUR
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.queries import GroupKey, Question, month_of
from services.reports.store.schema import Tables, is_apart
from services.reports.store.wait_sums import CountedWait
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

    def read(
        self,
        connection: Connection,
        question: Question,
        days: LocalDays,
        waiting: Sequence[CountedWait],
    ) -> Iterator[OwnerWait]:
        """Yield the waits of clocks started in the period of which sla has not counted the time.

        `waiting` is what the buckets hold of them.
        """
        where = self._wanted(question, days)
        clock = self._tables.clock_fact
        many = _are_more(connection, clock, where, self._most)
        if many:
            where.append(is_apart(clock))
        versions = self._calendar_versions(connection, question.tenant)
        for wait in waiting if many else ():
            calendar = versions.get(wait.agreement_version or "")
            if calendar is not None and wait.began is not None:
                plain = _Wait(wait.began, None, None, None, void=False)
                openings = self._calendars.find(connection, calendar)
                yield wait.group, _item(plain, openings, question.now), wait.number
        for row in connection.execute(self._query(question, where, hourly=many)):
            *labels, version, void, start, end, original_due, due, number = row
            if version not in versions:
                continue
            openings = self._calendars.find(connection, versions[version])
            group = tuple(
                month_of(days.day_of(start)) if dimension is Dimension.MONTH else value
                for dimension, value in zip(question.group_by, labels, strict=True)
            )
            yield (
                group,
                _item(_Wait(start, end, original_due, due, bool(void)), openings, question.now),
                number,
            )

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
        # Only of a clock that was paused is it asked for how long, which the two due instants tell.
        paused = clock.c.due_time != clock.c.original_due_time
        # What is shown and what groups is one text, whatever a driver makes of parameters.
        void: ColumnElement[Any] = case((clock.c.state == _word("'void'"), _word("1")), else_=_word("0"))
        times: list[ColumnElement[Any]] = [
            clock.c.start_time,
            func.coalesce(clock.c.stop_time, clock.c.pause_time),
            case((paused, clock.c.original_due_time)),
            case((paused, clock.c.due_time)),
        ]
        keys = [*groups, clock.c.agreement_version, void]
        if not hourly:
            return self._joined(select(*keys, *times, literal(1)).where(*where), question)
        # Months begin at a quarter of some hour, wherever one lives.
        width = HOUR // 4 if Dimension.MONTH in question.group_by else HOUR
        query = select(*keys, *(_middle(time) for time in times), func.count()).where(*where)
        named = [self._column(each) for each in question.group_by if each is not Dimension.MONTH]
        told_apart = [*named, clock.c.agreement_version, void, *(time // width for time in times)]
        return self._joined(query, question).group_by(*told_apart)

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


class _Wait(NamedTuple):
    """What is read of a clock, or of several of one hour."""

    start: Micros
    end: Micros | None
    original_due: Micros | None
    due: Micros | None
    void: bool


def _are_more(connection: Connection, clock: Table, where: list[ColumnElement[bool]], most: int) -> bool:
    """Say whether there are more than `most`, and count no further than that."""
    some = select(clock.c.start_time).where(*where).limit(max(most, 0) + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(some)) or 0) > most


def _word(text: str) -> ColumnElement[Any]:
    return literal_column(text)


def _middle(time: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.min(time) + (func.max(time) - func.min(time)) // 2


def _item(wait: _Wait, openings: Openings | None, now: Micros) -> tuple[Micros, Outcome, Micros] | None:
    """Return the item of clocks that sla has not counted: business time until they were let off, or now."""
    if openings is None or wait.start > now:
        return None
    age = openings.between_us(wait.start, now)
    elapsed = age if wait.end is None else openings.between_us(wait.start, wait.end)
    # Pauses before this instant have moved the due instant by just their open time.
    if wait.due is not None and wait.original_due is not None:
        elapsed -= openings.between_us(wait.original_due, wait.due)
    return max(0, elapsed), Outcome.EXITED if wait.void else Outcome.WAITING, age
