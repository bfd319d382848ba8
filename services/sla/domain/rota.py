"""Whose time is counted by which calendar: teams' and people's own, each from an instant on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.domain.calendar import Calendars, CalendarVersion, openings_of
from smarketing.businesstime import Interval

NOTICE = timedelta(seconds=60)
"""How far ahead an event may be dated: nothing that was recorded can lie beyond it."""
_ALWAYS = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A team or a person has a calendar of their own from an instant on; an empty version means none."""

    tenant: str
    holder: str
    """Resource name of the team or person."""
    calendar_version: str
    effective_time: datetime
    principal: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Rota:
    """A tenant's assignments, by holder, each in order of `effective_time`; the last of equals counts."""

    by_holder: Mapping[str, tuple[Assignment, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, assignments: Iterable[Assignment]) -> "Rota":
        """Return the rota of assignments in the order in which they were made."""
        by_holder: dict[str, list[Assignment]] = {}
        for each in sorted(assignments, key=lambda each: each.effective_time):
            by_holder.setdefault(each.holder, []).append(each)
        return cls({holder: tuple(each) for holder, each in by_holder.items()})

    def version_of(self, holder: str, at: datetime) -> str:
        """Return the name of the holder's own calendar version at an instant; empty when they have none."""
        known = self.by_holder.get(holder, ())
        return next((each.calendar_version for each in reversed(known) if each.effective_time <= at), "")

    def calendars_of(
        self, person: str, team: str, default: MadeCalendar, find: Callable[[str], MadeCalendar]
    ) -> list[tuple[datetime, MadeCalendar]]:
        """Return the calendars that count for a person, each from its instant on, the first from always.

        Their own, else their team's, else the default.
        """
        changes = {each.effective_time for who in (person, team) for each in self.by_holder.get(who, ())}
        found: list[tuple[datetime, MadeCalendar]] = []
        for at in sorted({_ALWAYS, *changes}):
            name = self.version_of(person, at) or self.version_of(team, at)
            found.append((at, find(name) if name else default))
        return found

    def with_teams(self, default: MadeCalendar, find: Callable[[str], MadeCalendar]) -> Calendars:
        """Return the calendars that decide an agreement's clocks: a team's own, else the agreement's.

        `find` gives a calendar version by name.
        """
        pinned = default.pinned().default[0]

        def version(each: Assignment) -> CalendarVersion:
            made = find(each.calendar_version) if each.calendar_version else default
            return CalendarVersion(
                name=made.name,
                version=made.number,
                effective_time=each.effective_time,
                calendar=made.calendar,
            )

        by_team = {
            holder: (pinned, *(version(each) for each in assignments))
            for holder, assignments in self.by_holder.items()
            if "/teams/" in holder
        }
        return Calendars(default=(pinned,), by_team=by_team)


def working_hours(
    parts: Sequence[tuple[datetime, MadeCalendar]], leave: Iterable[Leave], *, start: datetime, end: datetime
) -> list[Interval]:
    """Return when somebody works in `[start, end)`, in UTC, in order.

    `parts` are the calendars that count for them, each from its instant on, the first from the beginning.
    Leave that was not taken back is cut out.
    """
    marks = [_ALWAYS, *(since for since, _ in parts[1:]), max(end, _ALWAYS)]
    found: list[Interval] = []
    for (since, until), (_, made) in zip(pairwise(marks), parts, strict=True):
        first, last = max(start, since), min(end, until)
        if first < last:
            found += openings_of(made.calendar).intervals(first, last)
    for away in leave:
        if away.cancel_time is None:
            found = [piece for each in found for piece in _without(each, away)]
    return found


def _without(piece: Interval, away: Leave) -> list[Interval]:
    before = Interval(piece.start, min(piece.end, away.start_time))
    after = Interval(max(piece.start, away.end_time), piece.end)
    return [each for each in (before, after) if each.start < each.end]
