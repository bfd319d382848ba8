"""Why the calendar arithmetic says no.

BusinessTimeError
├── BadCalendar          the definition cannot be read; names the field
├── CalendarNeverOpens   no open time within 366 days of the last instant reached
└── InstantOutOfRange    before year 1 or after year 9999, here or in the calendar's zone
"""

from datetime import datetime


class BusinessTimeError(Exception):
    """A calendar question without an answer."""


class BadCalendar(BusinessTimeError):
    """A calendar definition that cannot be used as it is written.

    `field` is the path of the faulty part, such as `hours.mon[0].open`.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class CalendarNeverOpens(BusinessTimeError):
    """An amount of open time was asked of a calendar that stays closed for 366 days on end.

    `reached` is the last instant the search had come to.
    """

    def __init__(self, reached: datetime) -> None:
        super().__init__(
            f"the calendar has no open time within 366 days of {reached.isoformat()}; "
            "give it hours there, or choose a 24x7 calendar"
        )
        self.reached = reached


class InstantOutOfRange(BusinessTimeError):
    """An instant, or the answer, lies outside the years 1 to 9999 in UTC or in the calendar's zone."""

    def __init__(self) -> None:
        super().__init__("the time lies outside the years 1 to 9999; use another instant, or less of it")
