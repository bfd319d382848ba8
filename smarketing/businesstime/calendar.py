"""What a calendar is: a zone, a week of windows, and the dates that differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self

from smarketing.businesstime.duration import BusinessTime
from smarketing.businesstime.errors import BadCalendar
from smarketing.businesstime.zones import load_zone

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_SECONDS = 86_400

Times = Sequence[Sequence[str]]
"""Windows as people write them: `[["09:00", "12:30"], ["13:30", "17:00"]]`."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Open time on a local date, in seconds since its midnight; a close past 86,400 is on the next date."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < _DAY_SECONDS:
            raise BadCalendar("open", "a window opens between 00:00 and 23:59:59")
        if not self.opens < self.closes <= self.opens + _DAY_SECONDS:
            raise BadCalendar("close", "a window closes after it opens and within 24 hours")

    @classmethod
    def parse(cls, opens: str, closes: str, where: str = "window") -> Self:
        """Return the window between two times of day, `HH:MM` or `HH:MM:SS`, the close up to `24:00`.

        A close that is not after its open runs overnight; one equal to its open is a whole day.

        Raises:
            BadCalendar: naming `where` and the part at fault.
        """
        first = _seconds_of_day(opens, f"{where}.open")
        last = _seconds_of_day(closes, f"{where}.close")
        if first == _DAY_SECONDS:
            raise BadCalendar(f"{where}.open", "24:00 can only close a window; write 00:00 of the next day")
        return cls(first, last if last > first else last + _DAY_SECONDS)


WHOLE_DAY = Window(0, _DAY_SECONDS)

Week = tuple[tuple[Window, ...], ...]
Dated = tuple[tuple[date, tuple[Window, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """A definition of open time: immutable, comparable, hashable; a version can be stored and cached.

    `hours` has one tuple of windows for each weekday from Monday. `overrides` replace the windows of a
    date, `holidays` remove them (also those of an override), `breaks` and `leave` are cut out of whatever
    is open then. `stated_day` is the length of a business day where the agreement says one.
    """

    zone: str
    hours: Week
    holidays: frozenset[date] = frozenset()
    overrides: Dated = ()
    breaks: Dated = ()
    leave: Dated = ()
    stated_day: BusinessTime | None = field(default=None)

    def __post_init__(self) -> None:
        load_zone(self.zone)
        if len(self.hours) != len(WEEKDAYS):
            raise BadCalendar("hours", "give the windows of all seven weekdays, Monday first")
        dates = [day for day, _ in self.overrides]
        if len(set(dates)) != len(dates):
            raise BadCalendar("overrides", "a date can be overridden once; join its windows")

    @classmethod
    def of(
        cls,
        zone: str,
        hours: Mapping[str, Times],
        *,
        holidays: Iterable[str] = (),
        overrides: Mapping[str, Times] | None = None,
        breaks: Mapping[str, Times] | None = None,
        leave: Mapping[str, Times] | None = None,
    ) -> Self:
        """Return the calendar that people write: weekdays `mon` … `sun`, ISO dates, times of day.

        A weekday that is missing is closed.

        Raises:
            BadCalendar: naming the field at fault.
        """
        unknown = [day for day in hours if day not in WEEKDAYS]
        if unknown:
            raise BadCalendar(f"hours.{unknown[0]}", f"is no weekday; use one of {', '.join(WEEKDAYS)}")
        return cls(
            zone=zone,
            hours=tuple(_windows(hours.get(day, ()), f"hours.{day}") for day in WEEKDAYS),
            holidays=frozenset(_date(day, f"holidays[{at}]") for at, day in enumerate(holidays)),
            overrides=_dated(overrides, "overrides"),
            breaks=_dated(breaks, "breaks"),
            leave=_dated(leave, "leave"),
        )

    @classmethod
    def always_open(cls, zone: str = "Etc/UTC") -> Self:
        """Return the 24x7 calendar, in which open time and wall time are the same."""
        return cls(zone=zone, hours=((WHOLE_DAY,),) * len(WEEKDAYS))

    def less(self, leave: Dated) -> Self:
        """Return this calendar without somebody's leave; a whole day off is `WHOLE_DAY`."""
        return replace(self, leave=self.leave + leave)

    def business_days(self, count: int) -> BusinessTime:
        """Return so many business days, each the stated day or else as long as the longest weekday."""
        day = self.stated_day or max(_length(windows) for windows in self.hours)
        return day * count


def _length(windows: Sequence[Window]) -> BusinessTime:
    """Return the open time of a date without a change of offset; overlaps count once."""
    seconds, reached = 0, 0
    for window in sorted(windows):
        seconds += max(0, window.closes - max(window.opens, reached))
        reached = max(reached, window.closes)
    return BusinessTime.of(seconds=seconds)


def _windows(times: Times, where: str) -> tuple[Window, ...]:
    if isinstance(times, str) or not isinstance(times, Sequence):
        raise BadCalendar(where, "give a list of [open, close] pairs")
    windows = []
    for at, pair in enumerate(times):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise BadCalendar(f"{where}[{at}]", "give a pair such as ['09:00', '18:00']")
        windows.append(Window.parse(pair[0], pair[1], f"{where}[{at}]"))
    return tuple(windows)


def _dated(entries: Mapping[str, Times] | None, where: str) -> Dated:
    if entries is None:
        return ()
    if not isinstance(entries, Mapping):
        raise BadCalendar(where, "give lists of [open, close] pairs by date")
    return tuple(
        (_date(day, f"{where}.{day}"), _windows(times, f"{where}.{day}")) for day, times in entries.items()
    )


def _date(text: str, where: str) -> date:
    # fromisoformat also reads 20260924 and 2026-W39-4; one spelling is enough and keeps dates unique.
    if isinstance(text, str) and len(text) == 10 and text[4] == text[7] == "-":
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise BadCalendar(where, f"{text!r} is no date; write one such as 2026-09-24")


def _seconds_of_day(text: str, where: str) -> int:
    parts = text.split(":") if isinstance(text, str) else []
    if len(parts) in (2, 3) and all(len(part) == 2 and part.isascii() and part.isdigit() for part in parts):
        hour, minute, second = (int(part) for part in (*parts, "00")[:3])
        if minute < 60 and second < 60 and hour * 3600 + minute * 60 + second <= _DAY_SECONDS:
            return hour * 3600 + minute * 60 + second
    raise BadCalendar(where, f"{text!r} is no time of day; write HH:MM or HH:MM:SS, at most 24:00")
