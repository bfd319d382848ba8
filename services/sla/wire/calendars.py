"""Calendars and leave."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from google.protobuf.message import Message

from services.sla.domain.almanac import Leave, MadeCalendar
from services.sla.domain.refused import CalendarInvalid
from services.sla.wire.instants import date_message, day, stamp, stamp_or_none
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import WEEKDAYS, BadCalendar, Calendar, Window, load_zone

_DAY_SECONDS = 86_400


def calendar_of(message: slapb.CalendarVersion) -> Calendar:
    """Return the calendar as written.

    Raises:
        CalendarInvalid: naming the field.
    """
    hours: list[list[Window]] = [[] for _ in WEEKDAYS]
    for at, each in enumerate(message.weekly_windows):
        path = f"weekly_windows[{at}]"
        if not 1 <= each.iso_weekday <= len(WEEKDAYS):
            raise CalendarInvalid(f"{path}.iso_weekday", "1 is Monday, 7 Sunday")
        hours[each.iso_weekday - 1].append(_window(each, path))
    try:
        return Calendar(
            zone=message.time_zone,
            hours=tuple(tuple(sorted(windows)) for windows in hours),
            holidays=frozenset(_day(each, f"holidays[{at}]") for at, each in enumerate(message.holidays)),
            overrides=_dated(message.overrides, "overrides"),
            breaks=_dated(message.breaks, "breaks"),
        )
    except BadCalendar as error:
        field = "time_zone" if error.field == "tz" else error.field
        raise CalendarInvalid(field, error.reason) from error


def calendar_bytes(title: str, calendar: Calendar) -> bytes:
    """Return the calendar as it is kept; equal calendars give equal bytes."""
    message = slapb.CalendarVersion(title=title)
    _write(calendar, message)
    return message.SerializeToString(deterministic=True)


def calendar_from_bytes(kept: bytes) -> tuple[str, Calendar]:
    """Return the title and the calendar that `calendar_bytes` kept."""
    message = slapb.CalendarVersion.FromString(kept)
    return message.title, calendar_of(message)


def calendar_message(made: MadeCalendar) -> slapb.CalendarVersion:
    """Return a version as it is shown."""
    message = slapb.CalendarVersion(
        name=made.name,
        title=made.title,
        create_time=stamp(made.create_time),
        tzdata_version=made.tzdata_version,
    )
    _write(made.calendar, message)
    return message


def leave_message(leave: Leave) -> slapb.Leave:
    """Return leave as it is shown."""
    return slapb.Leave(
        name=leave.name,
        start_time=stamp(leave.start_time),
        end_time=stamp(leave.end_time),
        cancel_time=stamp_or_none(leave.cancel_time),
    )


def zoned(at: datetime, calendar: Calendar) -> str:
    """Return an instant as people of the calendar's zone read it: `2026-09-25 18:00 Asia/Seoul`."""
    return f"{at.astimezone(load_zone(calendar.zone).info):%Y-%m-%d %H:%M} {calendar.zone}"


def _write(calendar: Calendar, message: slapb.CalendarVersion) -> None:
    message.time_zone = calendar.zone
    for weekday, windows in enumerate(calendar.hours, start=1):
        message.weekly_windows.extend(_window_message(window, weekday) for window in windows)
    message.overrides.extend(_dated_messages(calendar.overrides))
    message.breaks.extend(_dated_messages(calendar.breaks))
    message.holidays.extend(date_message(each) for each in sorted(calendar.holidays))


def _window(message: slapb.WeeklyWindow, path: str) -> Window:
    try:
        return Window.parse(message.open_time, message.close_time, path)
    except BadCalendar as error:
        field = error.field.removesuffix(".open").removesuffix(".close")
        part = "close_time" if error.field.endswith(".close") else "open_time"
        raise CalendarInvalid(f"{field}.{part}", error.reason) from error


def _day(message: Message, path: str) -> date:
    try:
        return day(message)
    except ValueError as error:
        raise CalendarInvalid(path, "is no date") from error


def _dated(messages: Sequence[slapb.DayWindows], where: str) -> tuple[tuple[date, tuple[Window, ...]], ...]:
    found: list[tuple[date, tuple[Window, ...]]] = []
    for at, each in enumerate(messages):
        path = f"{where}[{at}]"
        windows = [_window(window, f"{path}.windows[{n}]") for n, window in enumerate(each.windows)]
        found.append((_day(each.date, f"{path}.date"), tuple(sorted(windows))))
    return tuple(sorted(found))


def _dated_messages(
    dated: Iterable[tuple[date, tuple[Window, ...]]],
) -> Iterable[slapb.DayWindows]:
    for each, windows in dated:
        yield slapb.DayWindows(
            date=date_message(each), windows=[_window_message(window, 0) for window in windows]
        )


def _window_message(window: Window, weekday: int) -> slapb.WeeklyWindow:
    closes = window.closes if window.closes <= _DAY_SECONDS else window.closes - _DAY_SECONDS
    return slapb.WeeklyWindow(
        iso_weekday=weekday, open_time=_time_of_day(window.opens), close_time=_time_of_day(closes)
    )


def _time_of_day(second: int) -> str:
    hours, rest = divmod(second, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")
