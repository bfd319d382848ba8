"""What one day may bring, by commitment: the record gathered into days, and `forecast` asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.sla.domain.accord import Accord, AccordState
from services.sla.domain.agreement import Party, TimeBasis
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.calendar import openings_of
from services.sla.domain.forecast import Outlook, PastDay, PlannedDay, forecast
from services.sla.domain.rota import working_hours
from services.sla.domain.terms import Promise
from services.sla.store.archive import Archive
from services.sla.store.forecasts import DueQuarter, due_quarters, known_due, leave_between, workers_of
from services.sla.store.planning import rota_of
from smarketing.businesstime import BusinessTime, Interval, load_zone
from smarketing.sql import Connection

WEEKS: Final = 12
"""How far back it looks: far enough for a rate, near enough to be about the same people."""
_WEEK: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_HOURS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose forecast for which local day; None for tomorrow, an empty commitment for all."""

    tenant: str
    day: date | None
    commitment_id: str


def outlooks(connection: Connection, archive: Archive, wanted: Wanted, *, now: datetime) -> list[Outlook]:
    """Return the outlook of every commitment in force, in order of agreement and commitment."""
    found: list[Outlook] = []
    for accord in archive.accords(connection, wanted.tenant):
        if accord.state is not AccordState.ACTIVE:
            continue
        office = archive.measure(connection, accord.name).calendar
        gathered = _Office(connection, archive, office, wanted, now=now)
        found += [
            gathered.outlook(accord, promise)
            for promise in accord.terms.promises
            if wanted.commitment_id in ("", promise.id)
        ]
    return sorted(found, key=lambda each: (each.agreement, each.commitment_id))


class _Office:
    """The days of one agreement's calendar, and the people who work in them."""

    def __init__(
        self,
        connection: Connection,
        archive: Archive,
        calendar: MadeCalendar,
        wanted: Wanted,
        *,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._archive = archive
        self._calendar = calendar
        self._tenant = wanted.tenant
        self._zone = load_zone(calendar.calendar.zone).info
        today = now.astimezone(self._zone).date()
        self.day = wanted.day or today + _DAY
        self._days = [today - _DAY * back for back in range(WEEKS * 7, 0, -1)]
        self._known = known_due(
            connection, self._tenant, _start(self.day, self._zone), _start(self.day + _DAY, self._zone)
        )
        self._available = self._available_by_day([*self._days, self.day])
        self._quarters = due_quarters(
            connection, self._tenant, _start(self._days[0], self._zone), _start(today, self._zone)
        )

    def outlook(self, accord: Accord, promise: Promise) -> Outlook:
        """Return what the day may bring for one commitment."""
        quarters = [
            each
            for each in self._quarters
            if (each.agreement, each.commitment_id) == (accord.agreement, promise.id)
        ]
        past = self._past(quarters, promise)
        return Outlook(
            day=self.day,
            agreement=f"tenants/{self._tenant}/agreements/{accord.agreement}",
            commitment_id=promise.id,
            weeks=len(past) // 7,
            settled=sum(each.due for each in past),
            outcome=forecast(past, self._planned(promise), seed=f"{promise.id} {self.day}"),
            known_due=self._known.get((accord.agreement, promise.id), 0),
            available=self._time_for(promise, self.day),
        )

    def _past(self, quarters: Sequence[DueQuarter], promise: Promise) -> list[PastDay]:
        """Return the days of whole weeks from the first one on which a clock of the commitment fell due."""
        due: dict[date, list[int]] = {}
        missed: dict[date, int] = {}
        for each in quarters:
            local = each.start.astimezone(self._zone)
            due.setdefault(local.date(), [0] * _HOURS)[local.hour] += each.due
            missed[local.date()] = missed.get(local.date(), 0) + each.missed
        if not due:
            return []
        first = min(due)
        known = [day for day in self._days if day >= first]
        known = known[len(known) % 7 :]
        return [
            PastDay(
                day=day,
                due_by_hour=tuple(due.get(day, [0] * _HOURS)),
                missed=missed.get(day, 0),
                is_open=any(self._open_by_hour(day, promise)),
                available=self._time_for(promise, day),
            )
            for day in known
        ]

    def _planned(self, promise: Promise) -> PlannedDay:
        return PlannedDay(
            day=self.day,
            open_by_hour=self._open_by_hour(self.day, promise),
            available=self._time_for(promise, self.day),
        )

    def _time_for(self, promise: Promise, day: date) -> BusinessTime:
        # What marketing or the system promised does not wait for a rep.
        return self._available[day] if Party.SALES in promise.parties else BusinessTime()

    def _open_by_hour(self, day: date, promise: Promise) -> tuple[float, ...]:
        """Return which part of each local hour counts; an hour that the zone repeats counts as one."""
        if promise.basis is TimeBasis.WALL:
            return (1.0,) * _HOURS
        start, end = _start(day, self._zone), _start(day + _DAY, self._zone)
        found = [0.0] * _HOURS
        for piece in openings_of(self._calendar.calendar).intervals(start, end):
            for hour, part in _hours_of(piece, self._zone):
                found[hour] = min(1.0, found[hour] + part)
        # A clock may fall due at the very instant of closing, which the hours after do not hold.
        last = max((hour for hour, part in enumerate(found) if part), default=None)
        if last is not None and last + 1 < _HOURS:
            found[last + 1] = max(found[last + 1], 1.0)
        return tuple(found)

    def _available_by_day(self, days: Sequence[date]) -> dict[date, BusinessTime]:
        start, end = _start(min(days), self._zone), _start(max(days) + _DAY, self._zone)
        rota = rota_of(self._connection, self._tenant)
        leave = leave_between(self._connection, self._tenant, start, end)
        found = dict.fromkeys(days, 0)
        for person, team in workers_of(self._connection, self._tenant).items():
            parts = rota.calendars_of(person, team, self._calendar, self._made)
            for piece in working_hours(parts, leave.get(person, ()), start=start, end=end):
                for day, amount in _days_of(piece, self._zone):
                    if day in found:
                        found[day] += amount
        return {day: BusinessTime(amount) for day, amount in found.items()}

    def _made(self, version: str) -> MadeCalendar:
        made = self._archive.calendar(self._connection, version)
        assert made is not None, version  # noqa: S101 - looked up before it was given to anybody
        return made


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _hours_of(piece: Interval, zone: ZoneInfo) -> list[tuple[int, float]]:
    """Return the local hours that an interval touches, and which part of each it fills."""
    hour = timedelta(hours=1)
    found: list[tuple[int, float]] = []
    at = piece.start
    while at < piece.end:
        local = at.astimezone(zone)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        following = min(piece.end, at + hour - past)
        found.append((local.hour, (following - at) / hour))
        at = following
    return found


def _days_of(piece: Interval, zone: ZoneInfo) -> list[tuple[date, int]]:
    """Return the local days that an interval touches, and how many microseconds of each."""
    found: list[tuple[date, int]] = []
    at = piece.start
    while at < piece.end:
        day = at.astimezone(zone).date()
        following = min(piece.end, max(_start(day + _DAY, zone), at + timedelta(microseconds=1)))
        found.append((day, (following - at) // timedelta(microseconds=1)))
        at = following
    return found
