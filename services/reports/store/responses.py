"""Reads how long things took, those who still wait included.

Of few handoffs every one is read, by the index on their submission. Of many, buckets are read instead: the
cost is then that of the buckets of the period, and a quantile is off by no more than its bucket is wide.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from services.reports.domain.estimators import Outcome
from services.reports.domain.funnel import Stage
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import LocalDays, Micros, Period
from services.reports.domain.responses import MEASURES, Measure, ResponseItems, measure
from services.reports.domain.waits import INVALID
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.owner_waits import OwnerWaits
from services.reports.store.queries import GroupKey, Queries, Question, month_of
from services.reports.store.schema import Tables
from services.reports.store.wait_sums import WaitSums

__all__ = ["MOST_SINGLE_ITEMS", "RememberedResponses", "ResponseQueries"]

MOST_SINGLE_ITEMS: Final = 1000
"""So many handoffs of a period are read one by one; of more, buckets are."""

_BEGINNING: Final = 1


class ResponseQueries:
    """Items of each measure, by group."""

    def __init__(
        self,
        queries: Queries,
        calendars: CompiledCalendars | None = None,
        *,
        most_single_items: int = MOST_SINGLE_ITEMS,
    ) -> None:
        self._queries = queries
        self._tables: Tables = queries.tables
        self._calendars = calendars or CompiledCalendars(queries.tables)
        self._most = most_single_items
        self._owners = OwnerWaits(self._tables, self._calendars, most_single=most_single_items)
        self._sums = WaitSums(queries)

    def remembering(self) -> "RememberedResponses":
        """Return one that reads the same items only once, for a single answer."""
        return RememberedResponses(self._queries, self._calendars, most_single_items=self._most)

    def items(self, connection: Connection, question: Question, of: Measure) -> dict[GroupKey, ResponseItems]:
        """Return the items of handoffs submitted in the period.

        Archived history is left out: nobody was asked to answer it. So is history that tells of no answer:
        it does not say that nobody answered. One whose times contradict one another is counted all the same.
        """
        days = self._queries.days(connection, question.tenant)
        if of is Measure.OWNER_FIRST_FOLLOW_UP:
            return self._owner_items(connection, question, days)
        if self.are_many(connection, question):
            return self._counted(connection, question, of)
        return self._single(connection, question, of, days)

    def counted(
        self, connection: Connection, question: Question, of: Measure
    ) -> dict[GroupKey, ResponseItems]:
        """Return the items as buckets hold them, however few there are."""
        return dict(self._counted(connection, question, of))

    def items_so_old(
        self, connection: Connection, question: Question, of: Measure, horizon: Micros
    ) -> dict[GroupKey, ResponseItems]:
        """Return the items as `items` does, fit to be asked what was answered within `horizon`.

        Of many, only the youngest days are read one by one: those on which somebody may be younger.
        """
        if not self.are_many(connection, question):
            return self.items(connection, question, of)
        days = self._queries.days(connection, question.tenant)
        asked = question.period or Period(_BEGINNING, days.day_of(question.now) + 1)
        boundary = days.day_of(question.now - horizon)
        old = asked.before(boundary)
        found: dict[GroupKey, ResponseItems] = {}
        if old is not None:
            found = self._counted(connection, replace(question, period=old), of)
        if asked.last > boundary:
            young = replace(question, period=Period(max(asked.first, boundary), asked.last))
            for group, items in self._single(connection, young, of, days).items():
                known = found.setdefault(group, ResponseItems())
                known.items += items.items
                known.invalid_count += items.invalid_count
        return found

    def are_many(self, connection: Connection, question: Question) -> bool:
        """Say whether so many handoffs were submitted in the period that buckets are read."""
        whole = self._queries.cohort(connection, replace(question, group_by=()), Stage.SUBMITTED)
        return sum(tally.items for tally in whole.values()) > self._most

    def _counted(
        self, connection: Connection, question: Question, of: Measure
    ) -> dict[GroupKey, ResponseItems]:
        found: dict[GroupKey, ResponseItems] = defaultdict(ResponseItems)
        for wait in self._sums.read(connection, question, of):
            known = found[wait.group]
            if wait.began is None:
                if wait.outcome == INVALID:
                    known.invalid_count += wait.number
                else:
                    known.counted.append((wait.duration, Outcome(wait.outcome), wait.number))
            elif wait.began > question.now:
                known.invalid_count += wait.number
            else:
                known.counted.append((question.now - wait.began, Outcome.WAITING, wait.number))
        return dict(found)

    def _single(
        self, connection: Connection, question: Question, of: Measure, days: LocalDays
    ) -> dict[GroupKey, ResponseItems]:
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
        """Return what the buckets hold of clocks started in the period, and those that no bucket holds."""
        found: dict[GroupKey, ResponseItems] = defaultdict(ResponseItems)
        sums = list(self._sums.read(connection, question, Measure.OWNER_FIRST_FOLLOW_UP))
        for wait in sums:
            if wait.began is None:
                found[wait.group].counted.append((wait.duration, Outcome(wait.outcome), wait.number))
        waiting = [wait for wait in sums if wait.began is not None]
        for group, item, number in self._owners.read(connection, question, days, waiting):
            found[group].add(item, number)
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


class RememberedResponses(ResponseQueries):
    """The same items, each read once; lives no longer than one answer, in one transaction."""

    def __init__(
        self,
        queries: Queries,
        calendars: CompiledCalendars,
        *,
        most_single_items: int = MOST_SINGLE_ITEMS,
    ) -> None:
        super().__init__(queries, calendars, most_single_items=most_single_items)
        self._known: dict[tuple[Question, Measure], dict[GroupKey, ResponseItems]] = {}

    def items(self, connection: Connection, question: Question, of: Measure) -> dict[GroupKey, ResponseItems]:
        """Return the items as `ResponseQueries.items` does."""
        key = (question, of)
        if key not in self._known:
            self._known[key] = super().items(connection, question, of)
        return self._known[key]


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
