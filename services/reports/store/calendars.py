"""Keeps the definition of a calendar as bytes that are equal whenever the calendars are, and compiles it."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from services.reports.store.schema import Tables
from smarketing.businesstime import Calendar, Openings
from smarketing.businesstime.calendar import Dated, Window

__all__ = ["CompiledCalendars", "OpenTimes", "calendar_of", "definition_of"]


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
            known = self._known[calendar_version] = _compiled(definition)
        return known


class OpenTimes(Mapping[str, Openings | None]):
    """The open time of each version of an agreement, read when it is first asked for, in one transaction."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._tables = tables
        self._found: dict[str, bytes] | None = None

    def read(self) -> "OpenTimes":
        """Read them now; what is written afterwards does not show."""
        self._definitions()
        return self

    def changed_since(self, once: "OpenTimes") -> list[str]:
        """Return the versions whose open time was another one then, or was not known."""
        before = once._definitions()  # noqa: SLF001 -- another one of this class
        return [version for version, each in self._definitions().items() if before.get(version) != each]

    def __getitem__(self, agreement_version: str) -> Openings | None:
        definition = self._definitions().get(agreement_version)
        # Of a version that is not known, no more is known of its open time.
        return None if definition is None else _compiled(definition)

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions())

    def __len__(self) -> int:
        return len(self._definitions())

    def _definitions(self) -> dict[str, bytes]:
        if self._found is None:
            version, calendar = self._tables.agreement_version.c, self._tables.calendar_version.c
            query = select(version.agreement_version, calendar.definition).where(
                calendar.calendar_version == version.calendar_version
            )
            self._found = {row[0]: row[1] for row in self._connection.execute(query)}
        return self._found


@lru_cache(maxsize=256)
def _compiled(definition: bytes) -> Openings:
    return Openings(calendar_of(definition))


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
