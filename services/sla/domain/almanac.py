"""A version of a calendar as it was made, and a person's leave."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.sla.domain.calendar import Calendars, CalendarVersion, openings_of
from services.sla.domain.refused import CalendarClosed, LeaveInvalid
from smarketing.businesstime import BusinessTime, Calendar, CalendarNeverOpens

LONGEST_LEAVE = timedelta(days=400)
_ALWAYS = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCalendar:
    """One version of a calendar; nothing in it ever changes."""

    tenant: str
    id: str
    number: int
    title: str
    calendar: Calendar
    create_time: datetime
    tzdata_version: str

    @property
    def name(self) -> str:
        """`tenants/{tenant}/calendars/{calendar}/versions/{version}`."""
        return f"tenants/{self.tenant}/calendars/{self.id}/versions/{self.number}"

    def pinned(self) -> Calendars:
        """Return the calendar as the only one that counts: what a clock is pinned to."""
        version = CalendarVersion(
            name=self.name, version=self.number, effective_time=_ALWAYS, calendar=self.calendar
        )
        return Calendars(default=(version,))


def require_opening(calendar: Calendar, *, now: datetime) -> None:
    """Refuse a calendar that never opens.

    Raises:
        CalendarClosed: when it has no open time within 366 days.
    """
    try:
        openings_of(calendar).add(now, BusinessTime(1))
    except CalendarNeverOpens as error:
        raise CalendarClosed from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """A person's absence, `[start_time, end_time)`."""

    tenant: str
    person: str
    """Resource name."""
    id: str
    start_time: datetime
    end_time: datetime
    cancel_time: datetime | None = None

    @property
    def name(self) -> str:
        """`tenants/{tenant}/people/{person}/leave/{leave}`."""
        return f"{self.person}/leave/{self.id}"

    def require_sense(self) -> None:
        """Refuse leave that ends before it begins, or is longer than anybody's.

        Raises:
            LeaveInvalid: naming the field.
        """
        if self.end_time <= self.start_time:
            raise LeaveInvalid("leave.end_time", "after its start")
        if self.end_time - self.start_time > LONGEST_LEAVE:
            raise LeaveInvalid("leave.end_time", f"at most {LONGEST_LEAVE.days} days after its start")

    def cancel(self, *, now: datetime) -> "Leave":
        """Return the leave as taken back; the first time counts."""
        return self if self.cancel_time is not None else replace(self, cancel_time=now)
