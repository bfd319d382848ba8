"""Builders for calendars, agreements and timelines: everything has a default, a test states what matters."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from smarketing.businesstime import Calendar, Openings

OFFICE = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
AROUND_THE_CLOCK = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def a_calendar(
    zone: str = "Asia/Seoul", hours: Mapping[str, Sequence[Sequence[str]]] = OFFICE, **dated: object
) -> Openings:
    """Return the openings of an office in Seoul, Monday to Friday from nine to six, unless told otherwise."""
    return Openings(Calendar.of(zone, hours, **dated))  # type: ignore[arg-type] # forwarded as written


def at(text: str) -> datetime:
    """Return an ISO instant; it must say its offset."""
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None, text
    return instant
