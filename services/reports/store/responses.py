"""Reads how long things took, item by item: an estimate that counts those who still wait needs every item.

The cost is that of the handoffs submitted in the period, by the index on their submission.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from services.reports.domain.estimators import Outcome
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros
from services.reports.domain.responses import MEASURES, Measure, ResponseItems, measure
from services.reports.store.calendars import calendar_of
from services.reports.store.queries import GroupKey, Queries, Question, month_of
from services.reports.store.schema import Tables
from smarketing.businesstime import Openings

__all__ = ["RememberedResponses", "ResponseQueries"]

_STOPPED: Final = frozenset({"met", "breached", "excused"})


class ResponseQueries:
    """Items of each measure, by group. Remembers compiled calendars: a version never changes."""

    def __init__(self, queries: Queries, openings: dict[str, Openings] | None = None) -> None:
        self._queries = queries
        self._tables: Tables = queries.tables
        self._openings: dict[str, Openings] = {} if openings is None else openings

    def remembering(self) -> "RememberedResponses":
        """Return one that reads the same items only once, for a single answer."""
        return RememberedResponses(self._queries, self._openings)

    def items(self, connection: Connection, question: Question, of: Measure) -> dict[GroupKey, ResponseItems]:
        """Return the items of handoffs submitted in the period.

        Archived history is left out: nobody was asked to answer it. So is history that tells of no answer:
        it does not say that nobody answered. One whose times contradict one another is counted all the same.
        """
        days = self._queries.days(connection, question.tenant)
        if of is Measure.OWNER_FIRST_FOLLOW_UP:
            return self._owner_items(connection, question, days)
        handoff = self._tables.handoff_fact
        measured = MEASURES[of]
        parts = (measured.start, measured.answers, measured.exits, ("won_time",))
        columns = [handoff.c[name] for part in parts for name in part]
        groups = [_column(self._tables, dimension, team=handoff.c.team) for dimension in question.group_by]
        query = self._submitted(select(*groups, *columns, handoff.c.historical), question, days)
        ends = [len(groups)]
        for part in parts:
            ends.append(ends[-1] + len(part))
        found: dict[GroupKey, ResponseItems] = defaultdict(ResponseItems)
        for row in connection.execute(query):
            start = next((time for time in row[ends[0] : ends[1]] if time is not None), None)
            if start is None:
                continue
            answer = _earliest(row[ends[1] : ends[2]])
            item = measure(
                start=start,
                answer=answer,
                exit_time=_earliest(row[ends[2] : ends[3]]),
                won=row[ends[3]],
                now=question.now,
            )
            if row.historical and answer is None and item is not None:
                continue
            found[_group(row[: ends[0]], question, days)].add(item)
        return dict(found)

    def _owner_items(
        self, connection: Connection, question: Question, days: LocalDays
    ) -> dict[GroupKey, ResponseItems]:
        clock = self._tables.clock_fact
        groups = [_column(self._tables, dimension, team=clock.c.team) for dimension in question.group_by]
        columns = (
            clock.c.state,
            clock.c.start_time,
            clock.c.stop_time,
            clock.c.pause_time,
            clock.c.elapsed,
            clock.c.original_due_time,
            clock.c.due_time,
            self._tables.agreement_version.c.calendar_version,
        )
        handoff, version = self._tables.handoff_fact, self._tables.agreement_version
        query = self._submitted(select(*groups, *columns), question, days)
        query = query.select_from(
            handoff.join(clock, clock.c.handoff == handoff.c.handoff).join(
                version, version.c.agreement_version == clock.c.agreement_version
            )
        ).where(clock.c.kind == "first_follow_up", clock.c.basis == "business")
        found: dict[GroupKey, ResponseItems] = defaultdict(ResponseItems)
        for row in connection.execute(query):
            openings = self._compiled(connection, row.calendar_version)
            found[_group(row[: len(groups)], question, days)].add(_owner_item(row, openings, question.now))
        return dict(found)

    def _submitted(self, query: Select[Any], question: Question, days: LocalDays) -> Select[Any]:
        handoff = self._tables.handoff_fact
        query = query.where(handoff.c.tenant == question.tenant, handoff.c.archived == 0)
        if question.period is None:
            return query
        return query.where(
            handoff.c.submit_time >= days.start_of(question.period.first),
            handoff.c.submit_time < days.start_of(question.period.last),
        )

    def _compiled(self, connection: Connection, calendar_version: str) -> Openings | None:
        known = self._openings.get(calendar_version)
        if known is None:
            table = self._tables.calendar_version
            definition = connection.scalar(
                select(table.c.definition).where(table.c.calendar_version == calendar_version)
            )
            if definition is None:
                return None
            known = self._openings[calendar_version] = Openings(calendar_of(definition))
        return known


class RememberedResponses(ResponseQueries):
    """The same items, each read once; lives no longer than one answer, in one transaction."""

    def __init__(self, queries: Queries, openings: dict[str, Openings]) -> None:
        super().__init__(queries, openings)
        self._known: dict[tuple[Question, Measure], dict[GroupKey, ResponseItems]] = {}

    def items(self, connection: Connection, question: Question, of: Measure) -> dict[GroupKey, ResponseItems]:
        """Return the items as `ResponseQueries.items` does."""
        key = (question, of)
        if key not in self._known:
            self._known[key] = super().items(connection, question, of)
        return self._known[key]


def _owner_item(row: Any, openings: Openings | None, now: Micros) -> tuple[Micros, Outcome, Micros] | None:
    """Return the item of a clock: as the sla log counted it, or business time until now."""
    if openings is None or row.start_time > now:
        return None
    age = openings.between_us(row.start_time, now)
    if row.state in _STOPPED and row.stop_time is not None and row.elapsed is not None:
        return row.elapsed, Outcome.ANSWERED, age
    end = row.stop_time or row.pause_time or now
    # Pauses before this instant have moved the due instant by just their open time.
    paused = openings.between_us(row.original_due_time, row.due_time)
    elapsed = max(0, openings.between_us(row.start_time, end) - paused)
    return elapsed, Outcome.EXITED if row.state == "void" else Outcome.WAITING, age


def _column(tables: Tables, dimension: Dimension, *, team: ColumnElement[Any]) -> ColumnElement[Any]:
    if dimension is Dimension.TEAM:
        return team
    if dimension is Dimension.MONTH:
        return tables.handoff_fact.c.submit_time
    return tables.handoff_fact.c[dimension.value]


def _group(values: Sequence[Any], question: Question, days: LocalDays) -> GroupKey:
    if Dimension.MONTH not in question.group_by:
        return tuple(values)
    return tuple(
        month_of(days.day_of(value)) if dimension is Dimension.MONTH else value
        for dimension, value in zip(question.group_by, values, strict=True)
    )


def _earliest(times: Sequence[Micros | None]) -> Micros | None:
    return min((time for time in times if time is not None), default=None)
