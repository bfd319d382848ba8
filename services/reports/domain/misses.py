"""What a missed clock counts for: whose its time was, and by how much it was late.

What is done has its parts in seconds. What is not done goes on, and so tells since when: by the hour where
open time is to be counted from there, which a calendar says when somebody asks.
"""

import enum
from itertools import pairwise
from typing import Final, NamedTuple

from services.reports.domain.clocks import ClockFact
from services.reports.domain.delays import PARTS, Course, course_parts
from services.reports.domain.labels import UNKNOWN, Labels
from services.reports.domain.periods import Days, Micros
from services.reports.domain.waits import bucket_of
from smarketing.businesstime import Openings

__all__ = [
    "HOUR_SECONDS",
    "MISSED_UNTIL_DAYS",
    "MISS_COUNTERS",
    "NOBODY",
    "Miss",
    "MissKind",
    "SeenHandoff",
    "late_word",
    "misses_of",
]

MISS_COUNTERS: Final = ("items", *(f"{part}_seconds" for part in PARTS), "number")
"""The number is of seconds as well, and means what its word says."""
MISSED_UNTIL_DAYS: Final = 30
"""A handoff's clock counts as missed in its period until so many days after it (F8)."""
HOUR_SECONDS: Final = 3600

_SECOND: Final = 1_000_000
_ALL_MARKS: Final = 4


class MissKind(enum.StrEnum):
    """What a row of misses counts; the value is its anchor."""

    LATE = "late"
    """Done after all: by buckets of how late it was, which the number adds up."""
    ROUTING = "routing"
    """Not done, and waits for an offer; the number adds up the seconds since 1970 until that began."""
    OFFERED = "offered"
    """Likewise, and waits to be accepted."""
    OWNED = "owned"
    """Accepted and not done; by the hour of that, the number says how far into it."""
    UNDONE = "undone"
    """Not done since it was due; likewise."""


class Miss(NamedTuple):
    """One row that a missed clock adds to."""

    kind: MissKind
    bucket: int = 0
    """The number of a bucket, or an hour since 1970; 0 where there is none."""
    source: int = 0
    routing: int = 0
    offered: int = 0
    owner: int = 0
    closed: int = 0
    paused: int = 0
    number: int = 0


class SeenHandoff(NamedTuple):
    """What clocks are counted by of their handoff; no `submit_time` where nothing was heard of it yet."""

    labels: Labels
    inquire_time: Micros | None
    submit_time: Micros | None
    offer_time: Micros | None
    accept_time: Micros | None
    won_time: Micros | None


NOBODY: Final = SeenHandoff(UNKNOWN, None, None, None, None, None)
"""A handoff of which nothing was heard yet."""


def misses_of(fact: ClockFact, seen: SeenHandoff, openings: Openings | None) -> list[Miss]:
    """Return what a clock counts for; nothing of one that was not missed.

    `openings` is the open time of the clock's calendar, None where that is not known.
    """
    due = fact.missed_due_time
    if due is None:
        return []
    if fact.stop_time is None:
        paused = max(0, openings.between_us(fact.original_due_time, due)) if openings is not None else 0
        return [_since(MissKind.UNDONE, due), *_undone(seen, paused // _SECOND)]
    late = max(0, fact.stop_time - due)
    bucket, seconds = bucket_of(late), late // _SECOND
    if seen.submit_time is None:
        return [Miss(MissKind.LATE, bucket, number=seconds)]
    course = Course(seen.inquire_time, seen.submit_time, seen.offer_time, seen.accept_time, fact.stop_time)
    parts = course_parts(course, openings, fact.original_due_time, due)
    return [Miss._make((MissKind.LATE, bucket, *(part // _SECOND for part in parts), seconds))]


def late_word(due: Days, submitted: Days) -> str:
    """Return by which day a handoff's first miss is told apart; nothing where any period counts it."""
    return str(due) if due - submitted > MISSED_UNTIL_DAYS else ""


def _since(kind: MissKind, time: Micros) -> Miss:
    hour, into = divmod(time // _SECOND, HOUR_SECONDS)
    return Miss(kind, hour, number=into)


def _undone(seen: SeenHandoff, paused: int) -> list[Miss]:
    """Return what is known of the time of one that is not done, and since when its last part goes on."""
    if seen.submit_time is None:
        return []
    marks = [seen.submit_time if seen.inquire_time is None else seen.inquire_time]
    for time in (seen.submit_time, seen.offer_time, seen.accept_time):
        if time is None:
            break
        marks.append(max(marks[-1], time))
    source, routing, offered = (*_between(marks), 0, 0)[:3]
    if len(marks) == _ALL_MARKS:
        found = _since(MissKind.OWNED, marks[-1])._replace(paused=paused)
    else:
        kind = (MissKind.ROUTING, MissKind.OFFERED)[len(marks) - 2]
        found = Miss(kind, number=marks[-1] // _SECOND)
    return [found._replace(source=source, routing=routing, offered=offered)]


def _between(marks: list[Micros]) -> list[int]:
    """Return the whole seconds from each mark to the next."""
    seconds = [mark // _SECOND for mark in marks]
    return [after - before for before, after in pairwise(seconds)]
