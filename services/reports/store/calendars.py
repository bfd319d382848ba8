"""Keeps the definition of a calendar as bytes that are equal whenever the calendars are, and compiles it."""

import json
from datetime import date
from typing import Any

from sqlalchemy import Connection, select

from services.reports.store.schema import Tables
from smarketing.businesstime import Calendar, Openings
from smarketing.businesstime.calendar import Dated, Window

__all__ = ["CompiledCalendars", "calendar_of", "definition_of"]


class CompiledCalendars:
    """Compiles each calendar version once: a version never changes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: dict[str, Openings] = {}

    def find(self, connection: Connection, calendar_version: str | None) -> Openings | None:
        """Return a version's open time; None where the version is not known."""
        if not calendar_version:
            return None
        known = self._known.get(calendar_version)
        if known is None:
            table = self._tables.calendar_version
            definition = connection.scalar(
                select(table.c.definition).where(table.c.calendar_version == calendar_version)
            )
            if definition is None:
                return None
            known = self._known[calendar_version] = Openings(calendar_of(definition))
        return known


def definition_of(calendar: Calendar) -> bytes:
    """Return the calendar as canonical JSON: windows in seconds of the day, dates in ISO."""
    return json.dumps(
        {
            "zone": calendar.zone,
            "hours": [_plain(windows) for windows in calendar.hours],
            "holidays": sorted(day.isoformat() for day in calendar.holidays),
            "overrides": _plain_dated(calendar.overrides),
            "breaks": _plain_dated(calendar.breaks),
        },
        separators=(",", ":"),
        sort_keys=True,
    ).encode()


def calendar_of(definition: bytes) -> Calendar:
    """Return the calendar that `definition_of` was given."""
    told: dict[str, Any] = json.loads(definition)
    return Calendar(
        zone=told["zone"],
        hours=tuple(_windows(windows) for windows in told["hours"]),
        holidays=frozenset(date.fromisoformat(day) for day in told["holidays"]),
        overrides=_dated(told["overrides"]),
        breaks=_dated(told["breaks"]),
    )


def _plain(windows: tuple[Window, ...]) -> list[list[int]]:
    return [[window.opens, window.closes] for window in windows]


def _plain_dated(entries: Dated) -> list[list[Any]]:
    return [[day.isoformat(), _plain(windows)] for day, windows in entries]


def _windows(told: list[list[int]]) -> tuple[Window, ...]:
    return tuple(Window(opens, closes) for opens, closes in told)


def _dated(told: list[list[Any]]) -> Dated:
    return tuple((date.fromisoformat(day), _windows(windows)) for day, windows in told)
