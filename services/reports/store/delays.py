"""Reads missed clocks, and whose the time of each was: of few one by one, of many from sums."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, select

from services.reports.domain.delays import PARTS, Course, course_parts
from services.reports.domain.figures import Figure
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Micros
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.missed_sums import MOST_SINGLE_MISSES, MissedSums
from services.reports.store.queries import GroupKey, Queries, Question

__all__ = ["DelayQueries"]

_SECOND: Final = 1_000_000


class DelayQueries:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, *, most_single: int = MOST_SINGLE_MISSES) -> None:
        self._queries = queries
        self._misses = MissedSums(queries)
        self._most = most_single
        self._tables = queries.tables
        self._calendars = CompiledCalendars(queries.tables)

    def missed(self, connection: Connection, question: Question) -> Sequence[Any]:
        """Return the clocks due in the period that were missed, with their handoffs' times.

        The index on missed clocks alone is walked, so the cost is that of what was missed.
        """
        clock, handoff = self._tables.clock_fact, self._tables.handoff_fact
        version = self._tables.agreement_version
        query = (
            select(
                clock.c.commitment_id,
                clock.c.team,
                clock.c.agreement,
                clock.c.basis,
                clock.c.start_time,
                clock.c.due_time,
                clock.c.original_due_time,
                clock.c.stop_time,
                version.c.calendar_version,
                handoff.c.inquire_time,
                handoff.c.submit_time,
                handoff.c.offer_time,
                handoff.c.accept_time,
            )
            .select_from(
                clock.outerjoin(handoff, handoff.c.handoff == clock.c.handoff).outerjoin(
                    version, version.c.agreement_version == clock.c.agreement_version
                )
            )
            .where(clock.c.tenant == question.tenant, clock.c.missed_due_time.is_not(None))
        )
        if question.period is not None:
            days = self._queries.days(connection, question.tenant)
            query = query.where(
                clock.c.missed_due_time >= days.start_of(question.period.first),
                clock.c.missed_due_time < days.start_of(question.period.last),
            )
        if question.party:
            query = query.where(clock.c.parties.contains(f",{question.party},"))
        return list(connection.execute(query))

    def parts(self, connection: Connection, question: Question) -> list[tuple[GroupKey, Figure]]:
        """Return each part's share of the time of all (S27); without missed clocks each is undefined."""
        others = [each for each in question.group_by if each is not Dimension.DELAY_PART]
        at = next((i for i, each in enumerate(question.group_by) if each is Dimension.DELAY_PART), 0)
        asked = replace(question, group_by=tuple(others))
        many = self._misses.number(connection, asked) > self._most
        seconds = self._misses.parts(connection, asked) if many else self._single(connection, asked)
        if not others:
            seconds.setdefault((), [0] * len(PARTS))
        return [
            ((*rest[:at], part, *rest[at:]), Figure.quotient(lengths[number], sum(lengths)))
            for rest, lengths in seconds.items()
            for number, part in enumerate(PARTS)
        ]

    def _single(self, connection: Connection, question: Question) -> dict[GroupKey, list[int]]:
        sums: dict[GroupKey, list[Micros]] = defaultdict(lambda: [0] * len(PARTS))
        for row in self.missed(connection, question):
            if row.submit_time is None:
                continue
            group = tuple(getattr(row, dimension.value) for dimension in question.group_by)
            for part, length in enumerate(self._parts_of(connection, row, question.now)):
                sums[group][part] += length
        # In whole seconds: microseconds of many missed clocks outgrow the wire's numbers.
        return {group: [length // _SECOND for length in lengths] for group, lengths in sums.items()}

    def _parts_of(self, connection: Connection, row: Any, now: Micros) -> tuple[Micros, ...]:
        end = now if row.stop_time is None else row.stop_time
        course = Course(row.inquire_time, row.submit_time, row.offer_time, row.accept_time, end)
        openings = self._calendars.find(connection, row.calendar_version)
        return course_parts(course, openings, row.original_due_time, row.due_time)
