"""Which calendar counts for a clock: versions of the teams' calendars, each immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from smarketing.businesstime import Calendar, Openings


@lru_cache(maxsize=1024)
def openings_of(calendar: Calendar) -> Openings:
    """Return the compiled openings of a calendar; the same object for the same definition."""
    return Openings(calendar)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarVersion:
    """One version of a named calendar, in force from `effective_time` until the next one."""

    name: str
    version: int
    effective_time: datetime
    calendar: Calendar

    @property
    def openings(self) -> Openings:
        """Its open time, compiled once."""
        return openings_of(self.calendar)


WALL = CalendarVersion(
    name="", version=0, effective_time=datetime(1, 1, 2, tzinfo=UTC), calendar=Calendar.always_open()
)
"""The calendar of wall time: never closed, so that every minute counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendars:
    """The tenant's calendar and the teams' own, each with its versions in order of `effective_time`."""

    default: tuple[CalendarVersion, ...]
    by_team: Mapping[str, tuple[CalendarVersion, ...]] = field(default_factory=dict)

    def in_force(self, team: str | None, at: datetime) -> CalendarVersion | None:
        """Return the version that counts for a team at an instant; None before the first one."""
        versions = self.by_team.get(team, self.default) if team else self.default
        return next((version for version in reversed(versions) if version.effective_time <= at), None)
