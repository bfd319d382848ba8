"""A calendar compiled to openings, and the questions asked of them.

Everything here is integers: microseconds since 1970 UTC. The openings of a UTC year are worked out when
somebody first asks about it. Years in everyday use are joined to one flat table, which is searched with two
bisections whatever the span; a question that leaves the table walks whole years. Before 1800 and after 2100
zones repeat one rule, so fourteen kinds of year (weekday of 1 January, leap or not) stand for all of them.
"""

import threading
from array import array
from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.util import find_spec
from itertools import accumulate
from operator import sub
from typing import TYPE_CHECKING, Final, NamedTuple

from smarketing.businesstime.calendar import Calendar, Window
from smarketing.businesstime.duration import BusinessTime
from smarketing.businesstime.errors import CalendarNeverOpens, InstantOutOfRange
from smarketing.businesstime.instants import (
    DAY,
    EPOCH_ORDINAL,
    MAX_US,
    MIN_US,
    SECOND,
    from_us,
    to_us,
    year_of,
    year_start,
)
from smarketing.businesstime.zones import (
    FIRST_LOCAL,
    FIRST_REGULAR_FUTURE,
    FIRST_REGULAR_PAST,
    LAST_LOCAL,
    Zone,
    load_zone,
)

if TYPE_CHECKING:
    from smarketing.businesstime.batches import Columns

Span = tuple[int, int]

PATIENCE_US: Final = 366 * DAY
"""How long a search may meet no open time before it gives up."""

_Key = tuple[int, bool, int]
_FIRST_TABLE_YEAR: Final = 1970
_LAST_TABLE_YEAR: Final = FIRST_REGULAR_FUTURE - 1
_LAST_ORDINAL: Final = date.max.toordinal()
_SPILL: Final = 3
"""Dates beyond a UTC year whose windows can reach into it: a window of 24 h, and offsets of up to a day."""


class Interval(NamedTuple):
    """A half-open span of time, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Run:
    """Merged openings of `[first, last)`: opening i is `[starts[i], ends[i])`.

    `upto[i]` is the open time from the run's beginning to `ends[i]`, and `slack[i] = ends[i] - upto[i]` the
    closed time: inside opening i an instant is its open time plus the slack.
    """

    first: int
    last: int
    starts: list[int]
    ends: list[int]
    upto: list[int]
    slack: list[int]

    @classmethod
    def of(cls, first: int, last: int, spans: Sequence[Span]) -> "_Run":
        starts = [start for start, _ in spans]
        ends = [end for _, end in spans]
        upto = list(accumulate(map(sub, ends, starts)))
        return cls(first, last, starts, ends, upto, list(map(sub, ends, upto)))

    @property
    def total(self) -> int:
        return self.upto[-1] if self.upto else 0

    def is_gapless(self) -> bool:
        """Tell whether no search inside the run can lose its patience."""
        closings, openings = [self.first, *self.ends], [*self.starts, self.last]
        return all(start - end < PATIENCE_US for end, start in zip(closings, openings, strict=True))

    def count(self, us: int) -> int:
        """Return the open time from the run's beginning to an instant."""
        at = bisect_right(self.starts, us) - 1
        if at < 0:
            return 0
        end = self.ends[at]
        return (us if us < end else end) - self.slack[at]


_NOTHING = _Run.of(0, 0, ())


class Openings:
    """The open time of one calendar. Shared freely between threads and by millions of clocks.

    Methods ending in `_us` take and give integer microseconds since the epoch; the others aware datetimes.

    Every method raises InstantOutOfRange for an instant outside the years 1 to 9999, in UTC or in the
    calendar's zone, and so do the `add` methods for an answer outside them.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._zone = load_zone(calendar.zone)
        self._overrides = {day.toordinal(): windows for day, windows in calendar.overrides}
        self._holidays = frozenset(day.toordinal() for day in calendar.holidays)
        self._cuts = _merged(
            span
            for day, windows in (*calendar.breaks, *calendar.leave)
            for span in _spans_on(self._zone, day.toordinal(), windows)
        )
        self._low, self._high = _representable(self._zone)
        self._irregular = _irregular_years(calendar)
        self._years: dict[_Key, _Run] = {}
        self._growth = threading.Lock()
        self._table = _NOTHING
        self._gapless_table = _NOTHING
        self._known_columns: tuple[_Run, Columns] | None = None

    def is_open(self, at: datetime) -> bool:
        """Tell whether an instant lies inside an opening; the closing instant does not."""
        return self.is_open_us(to_us(at))

    def between(self, start: datetime, end: datetime) -> BusinessTime:
        """Return the open time inside `[start, end)`; negative when `end` is the earlier one."""
        return BusinessTime(self.between_us(to_us(start), to_us(end)))

    def add(self, start: datetime, amount: BusinessTime) -> datetime:
        """Return the first instant that has `amount` of open time between `start` and itself.

        Landing on closing time is *at* closing time, not at the next opening. A negative amount counts back
        to the last such instant; zero gives `start`.

        Raises:
            CalendarNeverOpens: when the search meets no open time for 366 days.
        """
        return from_us(self.add_us(to_us(start), amount.microseconds))

    def intervals(self, start: datetime, end: datetime) -> list[Interval]:
        """Return the openings inside `[start, end)`, in order, cut at its ends."""
        return [Interval(from_us(a), from_us(b)) for a, b in self.intervals_us(to_us(start), to_us(end))]

    def is_open_us(self, at: int) -> bool:
        """Tell what `is_open` tells."""
        table = self._table
        shift = 0
        if not table.first <= at < table.last:
            self._check(at)
            self._warm(year_of(at), year_of(at))
            table, shift = self._year(year_of(at))
        index = bisect_right(table.starts, at - shift) - 1
        return index >= 0 and at - shift < table.ends[index]

    def between_us(self, start: int, end: int) -> int:
        """Return what `between` returns."""
        table = self._table
        if table.first <= start < table.last and table.first <= end < table.last:
            return table.count(end) - table.count(start)
        if end < start:
            return -self._walk_between(end, start)
        return self._walk_between(start, end)

    def add_us(self, start: int, amount: int) -> int:
        """Return what `add` returns."""
        table = self._gapless_table
        if amount > 0 and table.first <= start < table.last:
            ends = table.ends
            at = bisect_right(ends, start)
            if at < len(ends):
                opening = table.starts[at]
                target = amount + (start if start > opening else opening) - table.slack[at]
                if target > table.upto[at]:
                    at = bisect_left(table.upto, target, at)
                if at < len(ends):
                    return target + table.slack[at]
        return self._walk_add(start, amount)

    def between_many_us(self, starts: Iterable[int], ends: Iterable[int]) -> "array[int]":
        """Return `between_us` of each start and the end beside it; quickest with arrays of 64-bit integers.

        Raises:
            ValueError: when there are not as many ends as starts.
        """
        ones, others = _packed(starts), _packed(ends)
        if len(ones) != len(others):
            raise ValueError("give as many ends as starts")
        columns = self._warmed(ones, others) and self._columns(self._table)
        if not columns:
            return _packed(map(self.between_us, ones, others))
        answers, missing = columns.between(ones, others)
        for at in missing:
            answers[at] = self.between_us(ones[at], others[at])
        return answers

    def add_many_us(self, starts: Iterable[int], amount: int) -> "array[int]":
        """Return `add_us` of each start with one amount; quickest with an array of 64-bit integers."""
        asked = _packed(starts)
        columns = self._warmed(asked) and self._columns(self._gapless_table)
        if not columns:
            return _packed(self.add_us(start, amount) for start in asked)
        answers, missing = columns.add(asked, amount)
        for at in missing:
            answers[at] = self.add_us(asked[at], amount)
        return answers

    def intervals_us(self, start: int, end: int) -> list[Span]:
        """Return what `intervals` returns."""
        if end <= start:
            return []
        table = self._table
        if table.first <= start and end < table.last:
            return list(_inside(table, 0, start, end))
        self._check(start)
        self._check(end)
        self._warm(year_of(start), year_of(end))
        runs = (self._year(year) for year in range(year_of(start), year_of(end) + 1))
        return _merged(span for run, shift in runs for span in _inside(run, shift, start, end))

    def _warmed(self, *asked: "array[int]") -> bool:
        """Have the years of many instants in the table; False when one by one is as well."""
        if not asked[0] or not _has_numpy():
            return False
        from smarketing.businesstime.batches import bounds

        low, high = bounds(*asked)
        self._check(low)
        self._check(high)
        self._warm(year_of(low), year_of(high))
        return True

    def _columns(self, table: _Run) -> "Columns":
        from smarketing.businesstime.batches import Columns

        known = self._known_columns
        if known is None or known[0] is not table:
            columns = Columns(
                table.first,
                table.last,
                starts=table.starts,
                ends=table.ends,
                upto=table.upto,
                slack=table.slack,
            )
            known = self._known_columns = (table, columns)
        return known[1]

    def _check(self, us: int) -> None:
        if not self._low <= us <= self._high:
            raise InstantOutOfRange

    def _walk_between(self, start: int, end: int) -> int:
        self._check(start)
        self._check(end)
        first, last = year_of(start), year_of(end)
        self._warm(first, last)
        total = sum(self._year(year)[0].total for year in range(first, last))
        run, shift = self._year(last)
        total += run.count(end - shift)
        run, shift = self._year(first)
        return total - run.count(start - shift)

    def _walk_add(self, start: int, amount: int) -> int:
        self._check(start)
        if amount == 0:
            return start
        result = self._walk_forward(start, amount) if amount > 0 else self._walk_back(start, -amount)
        self._check(result)
        self._warm(year_of(start), year_of(start))
        self._warm(year_of(result), year_of(result))
        return result

    def _walk_forward(self, start: int, amount: int) -> int:
        reached, missing = start, amount
        for year in range(year_of(start), 10_000):
            run, shift = self._year(year)
            here = reached - shift
            at = bisect_right(run.ends, here)
            opening = run.starts[at] if at < len(run.ends) else run.last
            if opening - here >= PATIENCE_US:
                raise CalendarNeverOpens(from_us(reached))
            if at == len(run.ends):
                continue
            target = run.count(here) + missing
            if target <= run.total:
                return target + run.slack[bisect_left(run.upto, target)] + shift
            missing = target - run.total
            reached = run.ends[-1] + shift
        raise InstantOutOfRange

    def _walk_back(self, start: int, amount: int) -> int:
        reached, missing = start, amount
        for year in range(year_of(start), 0, -1):
            run, shift = self._year(year)
            here = reached - shift
            at = bisect_left(run.starts, here) - 1
            closing = run.ends[at] if at >= 0 else run.first
            if here - closing >= PATIENCE_US:
                raise CalendarNeverOpens(from_us(reached))
            if at < 0:
                continue
            target = run.count(here) - missing
            if target >= 0:
                return target + run.slack[bisect_right(run.upto, target)] + shift
            missing = -target
            reached = run.starts[0] + shift
        raise InstantOutOfRange

    def _warm(self, first: int, last: int) -> None:
        """Join the years to the table, with those between, so that the next such question is searched."""
        first, last = max(first, _FIRST_TABLE_YEAR), min(last, _LAST_TABLE_YEAR)
        if first > last:
            return
        with self._growth:
            table = self._table
            if table is not _NOTHING:
                first = min(first, year_of(table.first))
                last = max(last, year_of(table.last - 1))
            if table.first == year_start(first) and table.last == year_start(last + 1):
                return
            table = self._year(first)[0] if first == last else self._joined(first, last)
            # Readers hold either the old table or the new one, each whole.
            self._table = table
            self._gapless_table = table if table.is_gapless() else _NOTHING

    def _joined(self, first: int, last: int) -> _Run:
        begin, end = year_start(first), year_start(last + 1)
        runs = (self._year(year) for year in range(first, last + 1))
        spans = (span for run, shift in runs for span in _inside(run, shift, begin, end))
        return _Run.of(begin, end, _merged(spans))

    def _year(self, year: int) -> tuple[_Run, int]:
        """Return the openings of a UTC year, or of another one of its kind and how far to move them."""
        key: _Key = (year, False, 0)
        if year not in self._irregular and 1 < year < 9999:
            past = year < self._irregular.start
            key = (-1 if past else -2, isleap(year), date(year, 1, 1).weekday())
        run = self._years.get(key)
        if run is None:
            run = self._years.setdefault(key, self._compiled(year))
        return run, year_start(year) - run.first

    def _compiled(self, year: int) -> _Run:
        first, last = year_start(year), year_start(year + 1)
        spans = []
        for ordinal in _dates_reaching_into(year):
            windows = self._windows_on(ordinal)
            if windows:
                spans += _spans_on(self._zone, ordinal, windows)
        merged = _without(_merged(spans), self._cuts)
        inside = [
            (max(start, first), min(end, last)) for start, end in merged if end > first and start < last
        ]
        return _Run.of(first, last, inside)

    def _windows_on(self, ordinal: int) -> Sequence[Window]:
        if ordinal in self._holidays:
            return ()
        windows = self._overrides.get(ordinal)
        return self.calendar.hours[(ordinal - 1) % 7] if windows is None else windows


@cache
def _has_numpy() -> bool:
    """Tell whether batches can be answered with numpy, which the extra `batch` brings."""
    return find_spec("numpy") is not None


def _packed(instants: Iterable[int]) -> "array[int]":
    try:
        return array("q", instants)
    except OverflowError:
        raise InstantOutOfRange from None


def _dates_reaching_into(year: int) -> range:
    first, last = date(year, 1, 1).toordinal() - _SPILL, date(year, 12, 31).toordinal() + _SPILL
    return range(max(first, 1), min(last, _LAST_ORDINAL) + 1)


def _irregular_years(calendar: Calendar) -> range:
    """Return the years that must be worked out one by one: those of zone changes and of dated entries."""
    dated = (*calendar.overrides, *calendar.breaks, *calendar.leave)
    years = [day.year for day in (*calendar.holidays, *(day for day, _ in dated))]
    return range(
        min([FIRST_REGULAR_PAST, *(year - 1 for year in years)]),
        max([FIRST_REGULAR_FUTURE, *(year + 2 for year in years)]),
    )


def _representable(zone: Zone) -> Span:
    """Return the first and the last instant that have a date both in UTC and in the zone."""
    return (
        max(MIN_US, MIN_US - zone.offset_us(FIRST_LOCAL)),
        min(MAX_US, MAX_US - zone.offset_us(LAST_LOCAL)),
    )


def _spans_on(zone: Zone, ordinal: int, windows: Iterable[Window]) -> list[Span]:
    """Return the windows of a local date as spans; none on a date that the zone skips."""
    steady = zone.steady_offset(ordinal)
    if steady is None and zone.skips(ordinal):
        return []
    spans = []
    midnight = (ordinal - EPOCH_ORDINAL) * DAY - (steady or 0)
    for window in windows:
        if steady is not None and window.closes <= 86_400:
            spans.append((midnight + window.opens * SECOND, midnight + window.closes * SECOND))
            continue
        start, end = zone.resolve(ordinal, window.opens), zone.resolve(ordinal, window.closes)
        # A window that lies in a gap can end before it starts.
        if start < end:
            spans.append((start, end))
    return spans


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the union of the spans, sorted; those that touch become one."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            if end > union[-1][1]:
                union[-1] = (union[-1][0], end)
        else:
            union.append((start, end))
    return union


def _without(spans: list[Span], cuts: Sequence[Span]) -> list[Span]:
    """Return what the cuts leave of the spans; both are merged and sorted."""
    for cut_start, cut_end in cuts:
        if not spans or cut_end <= spans[0][0] or cut_start >= spans[-1][1]:
            continue
        left: list[Span] = []
        for start, end in spans:
            if start < min(end, cut_start):
                left.append((start, min(end, cut_start)))
            if max(start, cut_end) < end:
                left.append((max(start, cut_end), end))
        spans = left
    return spans


def _inside(run: _Run, shift: int, start: int, end: int) -> Iterator[Span]:
    """Return the openings of a run, moved, that lie in `[start, end)`, cut at its ends."""
    for at in range(bisect_right(run.ends, start - shift), bisect_left(run.starts, end - shift)):
        yield max(start, run.starts[at] + shift), min(end, run.ends[at] + shift)
