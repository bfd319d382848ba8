"""Keeps what agreements want marketing to hand over, and reads it for a period."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, select

from services.reports.domain.agreements import MarketingQuota
from services.reports.domain.figures import Amount
from services.reports.domain.periods import Days, LocalDays, Micros, Period, first_of_month, month_after
from services.reports.store.calendars import CompiledCalendars
from services.reports.store.schema import Tables
from smarketing.sql import UpsertRows

__all__ = ["MarketingQuotas", "of_period"]

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


class MarketingQuotas:
    """Reads and writes inside the caller's transaction."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._calendars = CompiledCalendars(tables)
        names = list(MarketingQuota._fields)
        self._upsert = UpsertRows(tables.marketing_quota, key=names[:1], replace=names[1:])

    def fold(self, connection: Connection, told: Sequence[MarketingQuota]) -> None:
        """Keep each version's quota as it was told last."""
        newest = {quota.agreement_version: quota for quota in told}
        self._upsert.upsert(connection, list(newest.values()))

    def in_force(self, connection: Connection, tenant: str) -> MarketingQuota | None:
        """Return the quota of the version in force that came last; None where none has one."""
        table = self._tables.marketing_quota
        row = connection.execute(
            select(table)
            .where(table.c.tenant == tenant, table.c.state == "active")
            .order_by(table.c.effective_time.desc(), table.c.agreement_version.desc())
            .limit(1)
        ).first()
        return None if row is None else MarketingQuota(*row)

    def elapsed(
        self, connection: Connection, quota: MarketingQuota, period: Period, days: LocalDays, now: Micros
    ) -> tuple[Micros, Micros] | None:
        """Return how much open time of the agreement's calendar went by, and how much the period has.

        None where the calendar is not known.
        """
        openings = self._calendars.find(connection, quota.calendar_version)
        if openings is None:
            return None
        start, end = days.start_of(period.first), days.start_of(period.last)
        return openings.between_us(start, max(start, min(now, end))), openings.between_us(start, end)


def of_period(quota: MarketingQuota, period: Period) -> Amount:
    """Return what a quota wants in a period; of a month, quarter or year that it cuts, its days' part."""
    total, first = 0, _begin(period.first, _MONTHS[quota.period])
    while first < period.last:
        last = _after(first, _MONTHS[quota.period])
        days, begin, end = last - first, max(period.first - first, 0), min(period.last, last) - first
        # As inputs are spread: the parts of periods without a gap between them add up, exactly.
        total += quota.minor_units * end // days - quota.minor_units * begin // days
        first = last
    return Amount(quota.currency, total)


def _begin(day: Days, months: int) -> Days:
    found = date.fromordinal(first_of_month(day))
    return found.replace(month=(found.month - 1) // months * months + 1).toordinal()


def _after(day: Days, months: int) -> Days:
    for _ in range(months):
        day = month_after(day)
    return day
