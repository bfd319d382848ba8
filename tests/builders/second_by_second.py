"""Open time counted the slow way, for the tests alone: it shares nothing with the code but the zone files.

A calendar is taken as people write it. Every boundary is resolved here by the two rules of RFC 5545, from the
zone's own stretches of constant offset; then a byte stands for each second of UTC, and seconds are counted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property
from importlib import resources
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
SECOND = 1_000_000
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Definition = Mapping[str, Any]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` to before `end`, in seconds of UTC, the zone is `offset` seconds ahead of UTC."""

    start: int
    end: int
    offset: int


@cache
def zone_of(name: str) -> ZoneInfo:
    """Return the zone of the packaged rules."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def offset_at(zone: ZoneInfo, second: int) -> int:
    """Return the offset that holds at a second of UTC."""
    there = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert there is not None
    return int(there.total_seconds())


@cache
def stretches(name: str, first: int, last: int) -> tuple[Stretch, ...]:
    """Return the zone's stretches of constant offset that cover the years `first` to `last`."""
    zone = zone_of(name)
    begin, end = (
        int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) for year in (first, last + 1)
    )
    changes, known = [begin], offset_at(zone, begin)
    for second in range(begin, end, 3 * 3600):
        if offset_at(zone, second) != known:
            before, after = second - 3 * 3600, second
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_at(zone, middle) == known else (before, middle)
            changes.append(after)
            known = offset_at(zone, second)
    edges = [*changes, end]
    return tuple(Stretch(a, b, offset_at(zone, a)) for a, b in pairwise(edges))


def resolved(pieces: Sequence[Stretch], local: int) -> int:
    """Return the first second whose wall clock shows `local`, else the one by the offset before the gap."""
    for piece in pieces:
        if piece.start <= local - piece.offset < piece.end:
            return local - piece.offset
    before = [piece for piece in pieces if piece.end + piece.offset <= local]
    return local - before[-1].offset


def has_date(pieces: Sequence[Stretch], midnight: int) -> bool:
    """Tell whether any wall clock of the zone ever showed a time of this date."""
    return any(
        piece.start + piece.offset < midnight + DAY and piece.end + piece.offset > midnight
        for piece in pieces
    )


def seconds_of(text: str) -> int:
    """Return the second of the day."""
    hours, minutes, *rest = (int(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + (rest[0] if rest else 0)


def windows_on(definition: Definition, day: date) -> Sequence[Sequence[str]]:
    """Return the windows that open on a date."""
    if day.isoformat() in definition.get("holidays", ()):
        return ()
    override = definition.get("overrides", {}).get(day.isoformat())
    if override is not None:
        return list(override)
    return list(definition["hours"].get(_WEEKDAYS[day.weekday()], ()))


@dataclass
class SlowCount:
    """A calendar laid out around a date: second by second for some days, in pieces for some years.

    Instants are microseconds since 1970. `first` and `last` bound the seconds, `begin` and `end` the pieces.
    """

    definition: Definition
    middle: date
    days: int = 14
    years: int = 1
    _near: tuple[Stretch, ...] = field(init=False)

    def __post_init__(self) -> None:
        ordinal = self.middle.toordinal() - date(1970, 1, 1).toordinal()
        self.first, self.last = (ordinal - self.days) * DAY * SECOND, (ordinal + self.days) * DAY * SECOND
        self.begin = self.first - self.years * 365 * DAY * SECOND
        self.end = self.last + self.years * 365 * DAY * SECOND
        reach = self.years + 2
        self._near = stretches(self.definition["tz"], self.middle.year - reach, self.middle.year + reach)

    def spans(self, days: int) -> tuple[list[Span], list[Span]]:
        """Return what opens and what is cut out, in seconds of UTC, on the dates so far around the middle."""
        opened: list[Span] = []
        closed: list[Span] = []
        for n in range(-days - 3, days + 4):
            day = self.middle + timedelta(days=n)
            midnight = (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY
            around = self._around(midnight)
            if has_date(around, midnight):
                opened += self._resolved(around, midnight, windows_on(self.definition, day))
                breaks = self.definition.get("breaks", {}).get(day.isoformat(), ())
                closed += self._resolved(around, midnight, breaks)
        return opened, closed

    def _around(self, midnight: int) -> Sequence[Stretch]:
        """Return the stretches that any time of the date can lie in: an offset is less than two days."""
        at = [
            bisect_right(self._near, second, key=lambda piece: piece.start)
            for second in (midnight - 2 * DAY, midnight + 4 * DAY)
        ]
        return self._near[max(at[0] - 1, 0) : at[1]]

    def _resolved(
        self, around: Sequence[Stretch], midnight: int, windows: Sequence[Sequence[str]]
    ) -> Iterator[Span]:
        for open_time, close_time in windows:
            opens, closes = seconds_of(open_time), seconds_of(close_time)
            closes += 0 if closes > opens else DAY
            start, end = resolved(around, midnight + opens), resolved(around, midnight + closes)
            if start < end:
                yield start, end

    @cached_property
    def seconds(self) -> npt.NDArray[np.uint8]:
        """One byte a second: 1 where it is open."""
        base = self.first // SECOND
        length = (self.last - self.first) // SECOND
        each = np.zeros(length, dtype=np.uint8)
        opened, closed = self.spans(self.days)
        for value, spans in ((1, opened), (0, closed)):
            for start, end in spans:
                each[max(start - base, 0) : max(end - base, 0)] = value
        return each

    @cached_property
    def counted(self) -> "Counted":
        """The seconds, counted up."""
        return Counted(self.first, self.seconds)

    @cached_property
    def pieces(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The open pieces of the years around: where they begin and end."""
        opened, closed = self.spans(self.days + self.years * 365)
        edges: dict[int, list[int]] = {}
        for kind, spans in enumerate((opened, closed)):
            for start, end in spans:
                edges.setdefault(start, [0, 0])[kind] += 1
                edges.setdefault(end, [0, 0])[kind] -= 1
        starts, ends, depth = [], [], [0, 0]
        order = sorted(edges)
        for here, after in pairwise(order):
            depth = [depth[0] + edges[here][0], depth[1] + edges[here][1]]
            if depth[0] > 0 and depth[1] == 0:
                starts.append(here * SECOND)
                ends.append(after * SECOND)
        return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)

    def far_between(self, start: int, end: int) -> int:
        """Return the open time of a span of any length within `begin` and `end`."""
        if end < start:
            return -self.far_between(end, start)
        starts, ends = self.pieces
        inside = np.minimum(ends, end) - np.maximum(starts, start)
        return int(inside[inside > 0].sum())


class Counted:
    """Seconds that count, one byte each, from an instant on."""

    def __init__(self, first: int, seconds: npt.NDArray[np.uint8]) -> None:
        self.first = first
        self._seconds = seconds
        self._upto = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(seconds, dtype=np.int64)])

    @property
    def total(self) -> int:
        """All that counts, in microseconds."""
        return int(self._upto[-1]) * SECOND

    def is_open(self, at: int) -> bool:
        """Tell whether the second of an instant counts."""
        return bool(self._seconds[(at - self.first) // SECOND])

    def upto(self, at: int) -> int:
        """Return what counts before an instant: whole seconds, and the begun one's part."""
        second, part = divmod(at - self.first, SECOND)
        return int(self._upto[second]) * SECOND + (part if part and self._seconds[second] else 0)

    def between(self, start: int, end: int) -> int:
        """Return what counts in a span; negative when it is reversed."""
        return self.upto(end) - self.upto(start)

    def add(self, start: int, amount: int) -> int | None:
        """Return the least instant with so much in between; None when it is not among these seconds."""
        wanted = self.upto(start) + amount
        if amount == 0:
            return start
        if not 0 <= wanted <= self.total:
            return None
        return self._least(wanted) if amount > 0 else self._greatest(wanted)

    def _least(self, wanted: int) -> int:
        # The first second by whose end enough has counted: all of it but the part of a second at the end.
        seconds, part = divmod(wanted, SECOND)
        if part == 0:
            return self.first + int(np.searchsorted(self._upto, seconds, side="left")) * SECOND
        return self.first + (int(np.searchsorted(self._upto, seconds + 1, side="left")) - 1) * SECOND + part

    def _greatest(self, wanted: int) -> int:
        seconds, part = divmod(wanted, SECOND)
        at = int(np.searchsorted(self._upto, seconds, side="right")) - 1
        return self.first + at * SECOND + part
