"""A calendar's holidays of a year: drawn up from a country's lists, looked through by a person, in force."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum

from services.sla.domain.refused import EtagStale, Refused, StateForbids, Unknown
from smarketing.businesstime import Calendar


class HolidayReviewUnknown(Unknown):
    """There is no such list of holidays."""


class ListInvalid(Refused):
    """What a reviewer says of a list does not go with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class HolidaysUnknown(Refused):
    """Nobody has lists for this country, part or year."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Origin(Enum):
    """Where a date comes from."""

    LISTS = "LISTS"
    CALENDAR = "CALENDAR"
    REVIEW = "REVIEW"


class ReviewState(Enum):
    """Where a list stands."""

    PROPOSED = "PROPOSED"
    ACTIVATED = "ACTIVATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """One date of a list."""

    day: date
    title: str
    origin: Origin
    is_declined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a country's lists say of a year."""

    year: int
    country: str
    subdivision: str
    titles: tuple[tuple[date, str], ...]
    lists_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HolidayReview:
    """The list of one calendar and year; `revision` grows with every change."""

    tenant: str
    calendar: str
    year: int
    revision: int
    country: str
    subdivision: str
    state: ReviewState
    holidays: tuple[Holiday, ...]
    lists_version: str
    proposer: str
    propose_time: datetime
    reviewer: str = ""
    activate_time: datetime | None = None
    calendar_version: str = ""
    was_in_force: bool = False
    """An earlier list of the year was in force."""

    @property
    def is_looked_through(self) -> bool:
        """Whether a list of the year is or was in force."""
        return self.was_in_force or self.state is ReviewState.ACTIVATED

    @property
    def name(self) -> str:
        """`tenants/{tenant}/calendars/{calendar}/holidayReviews/{year}`."""
        return f"tenants/{self.tenant}/calendars/{self.calendar}/holidayReviews/{self.year}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.revision)

    def looked_through(
        self, *, etag: str, declined: Iterable[date], added: Iterable[tuple[date, str]]
    ) -> "HolidayReview":
        """Return the list with the reviewer's word on it, not yet activated.

        Raises:
            StateForbids: it was activated before.
            EtagStale: they looked at another list than this.
            ListInvalid: a date struck out is not in the list, or one added is, or lies in another year.
        """
        if self.state is not ReviewState.PROPOSED:
            raise StateForbids(self.name, self.state.value)
        if etag != self.etag:
            raise EtagStale(self.name, self.etag)
        known = {holiday.day: holiday for holiday in self.holidays}
        for at, day in enumerate(declined):
            if day not in known:
                raise ListInvalid(f"declined_dates[{at}]", "a date of the list")
            known[day] = replace(known[day], is_declined=True)
        for at, (day, title) in enumerate(added):
            if day in known or day.year != self.year:
                raise ListInvalid(f"added_holidays[{at}].date", f"a date of {self.year} that is not listed")
            known[day] = Holiday(day=day, title=title, origin=Origin.REVIEW)
        return replace(self, holidays=tuple(known[day] for day in sorted(known)))

    def kept_by(self, calendar: Calendar) -> Calendar:
        """Return a calendar in which the year has these holidays, without the declined, and no others."""
        others = frozenset(day for day in calendar.holidays if day.year != self.year)
        kept = frozenset(holiday.day for holiday in self.holidays if not holiday.is_declined)
        return replace(calendar, holidays=others | kept)

    def activate(self, *, reviewer: str, calendar_version: str, now: datetime) -> "HolidayReview":
        """Return the list as in force in a calendar version."""
        return replace(
            self,
            revision=self.revision + 1,
            state=ReviewState.ACTIVATED,
            reviewer=reviewer,
            activate_time=now,
            calendar_version=calendar_version,
        )


def drawn_up(
    published: Published,
    calendar: Calendar,
    *,
    before: HolidayReview | None,
    tenant: str,
    calendar_id: str,
    proposer: str,
    now: datetime,
) -> HolidayReview:
    """Return the list to look through: what is published, and what the calendar has in that year besides."""
    listed = {day: Holiday(day=day, title=title, origin=Origin.LISTS) for day, title in published.titles}
    for day in calendar.holidays:
        if day.year == published.year and day not in listed:
            listed[day] = Holiday(day=day, title="", origin=Origin.CALENDAR)
    return HolidayReview(
        tenant=tenant,
        calendar=calendar_id,
        year=published.year,
        revision=before.revision + 1 if before else 1,
        country=published.country,
        subdivision=published.subdivision,
        state=ReviewState.PROPOSED,
        holidays=tuple(listed[day] for day in sorted(listed)),
        lists_version=published.lists_version,
        proposer=proposer,
        propose_time=now,
        # A year stays looked through while somebody draws it up again.
        was_in_force=before is not None and before.is_looked_through,
    )
