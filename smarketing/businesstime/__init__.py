"""Open time between instants: a calendar, its openings, and arithmetic on them. Pure; any domain may use it.

`Openings(Calendar.of("Asia/Seoul", {"mon": [["09:00", "18:00"]]}))`
answers `is_open`, `between`, `add` and `intervals`.
"""

from smarketing.businesstime.calendar import WEEKDAYS, WHOLE_DAY, Calendar, Window
from smarketing.businesstime.duration import BusinessTime
from smarketing.businesstime.errors import (
    BadCalendar,
    BusinessTimeError,
    CalendarNeverOpens,
    InstantOutOfRange,
)
from smarketing.businesstime.instants import from_us, to_us
from smarketing.businesstime.openings import Interval, Openings
from smarketing.businesstime.zones import load_zone, tzdata_version

__all__ = [
    "WEEKDAYS",
    "WHOLE_DAY",
    "BadCalendar",
    "BusinessTime",
    "BusinessTimeError",
    "Calendar",
    "CalendarNeverOpens",
    "InstantOutOfRange",
    "Interval",
    "Openings",
    "Window",
    "from_us",
    "load_zone",
    "to_us",
    "tzdata_version",
]
