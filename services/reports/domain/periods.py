"""Days, months and periods of a tenant's zone: half-open, and cut into whole months where that saves work."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final, TypeAlias

from services.reports.domain.errors import PeriodInvalid

__all__ = ["Days", "LocalDays", "Micros", "Period", "Span", "first_of_month", "micros_of", "month_after"]

Micros: TypeAlias = int
"""An instant as whole microseconds since 1970-01-01T00:00Z: what a fold over millions can afford."""

Days: TypeAlias = int
"""A date as its proleptic ordinal, as `date.toordinal` counts."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR_MICROS: Final = 3_600_000_000
_DAY_MICROS: Final = 24 * _HOUR_MICROS
_DAY: Final = timedelta(days=1)


def micros_of(instant: datetime) -> Micros:
    """Return the instant as microseconds since the epoch, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=4096)
def first_of_month(day: Days) -> Days:
    """Return the first day of the month in which `day` lies."""
    return day - date.fromordinal(day).day + 1


def month_after(day: Days) -> Days:
    """Return the first day of the month after the one in which `day` lies."""
    return first_of_month(first_of_month(day) + 31)


@dataclass(frozen=True, slots=True)
class Span:
    """Days `[first, last)` that are read alike: as whole months, or day by day."""

    first: Days
    last: Days
    whole_months: bool


@dataclass(frozen=True, slots=True)
class Period:
    """Days `[first, last)` of the tenant's zone.

    Raises:
        PeriodInvalid: when it holds no day.
    """

    first: Days
    last: Days

    def __post_init__(self) -> None:
        if self.first >= self.last:
            raise PeriodInvalid(date.fromordinal(self.first), date.fromordinal(self.last))

    @classmethod
    def of(cls, start: date, end: date) -> "Period":
        """Return the period from `start` to the day before `end`."""
        return cls(start.toordinal(), end.toordinal())

    @classmethod
    def month(cls, year: int, month: int) -> "Period":
        """Return a calendar month."""
        first = date(year, month, 1).toordinal()
        return cls(first, month_after(first))

    @classmethod
    def week_of(cls, day: date) -> "Period":
        """Return the week, from Monday, in which `day` lies."""
        first = day.toordinal() - day.weekday()
        return cls(first, first + 7)

    def before(self, day: Days) -> "Period | None":
        """Return the part that lies before `day`; None when there is none."""
        last = min(self.last, day)
        return Period(self.first, last) if self.first < last else None

    def spans(self) -> Iterator[Span]:
        """Cut the period into at most three spans: days, whole months, days."""
        months_begin = first_of_month(self.first)
        if months_begin < self.first:
            months_begin = month_after(self.first)
        months_end = first_of_month(self.last)
        if months_begin >= months_end:
            yield Span(self.first, self.last, whole_months=False)
            return
        if self.first < months_begin:
            yield Span(self.first, months_begin, whole_months=False)
        yield Span(months_begin, months_end, whole_months=True)
        if months_end < self.last:
            yield Span(months_end, self.last, whole_months=False)


class LocalDays:
    """Tells on which local date of a zone an instant lies; remembers every hour it was asked about."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._starts: dict[int, tuple[list[Micros], list[Days]]] = {}
        self._hours: dict[int, Days | None] = {}

    def day_of(self, instant: Micros) -> Days:
        """Return the local date that contains the instant."""
        # Nearly every hour lies within one date, and a fold asks for the same ones millions of times.
        day = self._hours.get(instant // _HOUR_MICROS)
        return self._day_within(instant) if day is None else day

    def _day_within(self, instant: Micros) -> Days:
        hour = instant // _HOUR_MICROS
        if hour not in self._hours:
            first, last = self._find(hour * _HOUR_MICROS), self._find((hour + 1) * _HOUR_MICROS - 1)
            self._hours[hour] = first if first == last else None
        return self._find(instant)

    def _find(self, instant: Micros) -> Days:
        utc_day = instant // _DAY_MICROS
        known = self._starts.get(utc_day)
        if known is None:
            known = self._starts[utc_day] = self._starts_within(utc_day)
        starts, days = known
        return days[bisect_right(starts, instant) - 1]

    def start_of(self, day: Days) -> Micros:
        """Return the instant at which a local date begins: the first midnight, or the end of its gap."""
        midnight = datetime.combine(date.fromordinal(day), time(), tzinfo=self._zone)
        return micros_of(midnight)

    def _starts_within(self, utc_day: int) -> tuple[list[Micros], list[Days]]:
        begin = utc_day * _DAY_MICROS
        day = (_EPOCH + utc_day * _DAY).astimezone(self._zone).date().toordinal()
        # A clock set back over midnight shows yesterday once more; the date that began first goes on.
        if self.start_of(day + 1) <= begin:
            day += 1
        starts, days = [begin], [day]
        while (start := self.start_of(day + 1)) < begin + _DAY_MICROS:
            day += 1
            starts.append(start)
            days.append(day)
        return starts, days
