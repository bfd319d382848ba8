"""Calendars as the service `sla` says them → open time."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.businesstime import WEEKDAYS, Calendar, Openings, Window

__all__ = ["openings_of"]


def openings_of(kept: bytes) -> Openings:
    """Return the open time of a calendar version that `sla` made, and so found right.

    Raises:
        BadCalendar: it is none after all.
    """
    message = slapb.CalendarVersion.FromString(kept)
    hours: list[list[Window]] = [[] for _ in WEEKDAYS]
    for each in message.weekly_windows:
        hours[each.iso_weekday - 1].append(_window(each))
    return Openings(
        Calendar(
            zone=message.time_zone,
            hours=tuple(tuple(sorted(windows)) for windows in hours),
            holidays=frozenset(map(_day, message.holidays)),
            overrides=_dated(message.overrides),
            breaks=_dated(message.breaks),
        )
    )


def _window(message: slapb.WeeklyWindow) -> Window:
    return Window.parse(message.open_time, message.close_time, "weekly_windows")


def _day(message: Any) -> date:
    return date(message.year, message.month, message.day)


def _dated(messages: Iterable[slapb.DayWindows]) -> tuple[tuple[date, tuple[Window, ...]], ...]:
    return tuple(sorted((_day(each.date), tuple(sorted(map(_window, each.windows)))) for each in messages))
