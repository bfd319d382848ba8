"""Whose every minute of a delay was: source, routing, offered, the owner's, closed hours, pauses."""

from typing import Final, NamedTuple

from services.reports.domain.periods import Micros
from smarketing.businesstime import Openings

__all__ = ["PARTS", "Course", "course_parts", "parts_of"]

PARTS: Final = ("source", "routing", "offered", "owner", "closed", "paused")
"""In the order in which they come; the first is marketing's, then the system's, then sales' twice."""


class Course(NamedTuple):
    """The instants of a handoff up to the stop of a missed clock."""

    inquire_time: Micros | None
    submit_time: Micros
    offer_time: Micros | None
    accept_time: Micros | None
    end: Micros
    """When the clock was done, else now."""


def course_parts(
    course: Course, openings: Openings | None, original_due: Micros, due: Micros
) -> tuple[Micros, ...]:
    """Return the length of each part; without a calendar all hours are open and none was paused."""
    began = course.end if course.accept_time is None else min(course.accept_time, course.end)
    if openings is None:
        return parts_of(course, course.end - began, 0)
    # Pauses have moved the due instant by just their open time.
    paused = openings.between_us(original_due, due)
    return parts_of(course, openings.between_us(began, course.end), max(0, paused))


def parts_of(course: Course, open_micros: Micros, paused_micros: Micros) -> tuple[Micros, ...]:
    """Return the length of each of `PARTS`; they add up to the time from inquiry to end exactly.

    `open_micros` is the open time of the owner's part, of which `paused_micros` were paused.
    """
    begin = course.submit_time if course.inquire_time is None else course.inquire_time
    begin = min(begin, course.end)
    marks = [begin]
    for time in (course.submit_time, course.offer_time, course.accept_time):
        # What never happened lasts until the end; what is told out of order takes nothing from others.
        marks.append(max(marks[-1], course.end if time is None else min(time, course.end)))
    source, routing, offered = (marks[at + 1] - marks[at] for at in range(3))
    owned = course.end - marks[3]
    worked = min(open_micros, owned)
    paused = min(paused_micros, worked)
    return source, routing, offered, worked - paused, owned - worked, paused
