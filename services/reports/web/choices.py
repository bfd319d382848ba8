"""Which days a page is about: what people click, and what that means today."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from services.reports.domain.periods import Days, Period, first_of_month, month_after
from services.reports.web.texts import Texts

__all__ = ["Choice", "PeriodChoice", "as_of_of", "choice_of", "dates_of", "days_of"]

_EARLIEST: Final = date(1990, 1, 1)
_LATEST: Final = date(2200, 1, 1)


class Choice(enum.StrEnum):
    """One way to choose a period; the value is what stands in the address."""

    THIS_MONTH = "this-month"
    LAST_MONTH = "last-month"
    LAST_30_DAYS = "last-30-days"
    THIS_QUARTER = "this-quarter"
    ALL = "all"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    """What was chosen; the two dates, both included, only of a custom period."""

    choice: Choice
    start: date | None = None
    end: date | None = None

    def on(self, today: Days) -> Period | None:
        """Return the days meant when today is `today`; None for all time."""
        month = first_of_month(today)
        match self.choice:
            case Choice.THIS_MONTH:
                return Period(month, month_after(month))
            case Choice.LAST_MONTH:
                return Period(first_of_month(month - 1), month)
            case Choice.LAST_30_DAYS:
                return Period(today - 29, today + 1)
            case Choice.THIS_QUARTER:
                return _quarter_of(today)
            case Choice.CUSTOM if self.start is not None and self.end is not None:
                return Period(self.start.toordinal(), self.end.toordinal() + 1)
            case _:
                return None

    def parameters(self) -> dict[str, str]:
        """Return what stands in the address for this choice."""
        found = {"period": self.choice.value}
        if self.start is not None and self.end is not None:
            found |= {"from": self.start.isoformat(), "to": self.end.isoformat()}
        return found


def choice_of(parameters: Mapping[str, str]) -> PeriodChoice | None:
    """Return the choice an address asks for, this month where it asks for none; None where it is wrong."""
    try:
        choice = Choice(parameters.get("period", Choice.THIS_MONTH))
        if choice is not Choice.CUSTOM:
            return PeriodChoice(choice)
        start = date.fromisoformat(parameters.get("from", ""))
        end = date.fromisoformat(parameters.get("to", ""))
    except ValueError:
        return None
    if not _EARLIEST <= start <= end < _LATEST:
        return None
    return PeriodChoice(choice, start, end)


def as_of_of(parameters: Mapping[str, str]) -> datetime | None:
    """Return the past instant that an address asks for; None where it asks for none.

    Raises:
        ValueError: for a text that is no instant, or says no zone.
    """
    told = parameters.get("as_of", "")
    if not told:
        return None
    instant = datetime.fromisoformat(told)
    if instant.tzinfo is None or not _EARLIEST <= instant.date() < _LATEST:
        raise ValueError(told)
    return instant.astimezone(UTC)


def days_of(period: Period | None, today: Days) -> tuple[str, str]:
    """Return the first and the last day for the form: those of the period, or of this day."""
    if period is None:
        return "", date.fromordinal(today).isoformat()
    return date.fromordinal(period.first).isoformat(), date.fromordinal(period.last - 1).isoformat()


def dates_of(period: Period | None, texts: Texts) -> str:
    """Return the days of a period, in words."""
    if period is None:
        return texts("dates_all")
    first, last = days_of(period, period.last)
    return texts("dates", first=first, last=last)


def _quarter_of(today: Days) -> Period:
    at = date.fromordinal(today)
    first = date(at.year, at.month - (at.month - 1) % 3, 1).toordinal()
    return Period(first, month_after(month_after(month_after(first))))
