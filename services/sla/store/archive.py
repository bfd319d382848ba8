"""What never changes once it is written: terms and calendars, read once and kept compiled."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, select

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import AgreementVersion
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.calendar import Calendars, openings_of
from services.sla.domain.terms import Terms, agreed
from services.sla.store import schema
from services.sla.store.accords import Standing, accords_ever_active, standing_of
from services.sla.wire.agreements import terms_from_bytes
from services.sla.wire.calendars import calendar_from_bytes
from services.sla.wire.names import version_number
from smarketing.businesstime import Openings
from smarketing.names import AGREEMENT_VERSION, CALENDAR_VERSION


@dataclass(frozen=True, slots=True)
class Measure:
    """Everything by which a clock that is pinned to an agreement version is decided."""

    terms: Terms
    agreement: AgreementVersion
    calendar: MadeCalendar
    calendars: Calendars
    openings: Openings
    """Of the agreement's own calendar."""


@dataclass(slots=True)
class Archive:
    """The immutable versions of one database, by name; shared by all its units of work.

    What is kept is only ever given for the very row that it was made of, which is read each time: a row that
    a rolled back transaction had shown may be there no more, or be another one of the same name by now.
    """

    _measures: dict[str, tuple[bytes, Measure]] = field(default_factory=dict)
    _calendars: dict[str, tuple[Row[Any, Any, Any], MadeCalendar]] = field(default_factory=dict)
    _accords: dict[str, tuple[Standing, list[Accord]]] = field(default_factory=dict)

    def accords(self, connection: Connection, tenant: str) -> list[Accord]:
        """Return every version that was ever in force, in the tenant's order.

        Where each stands is read every time, whoever changed it; their terms only when that changed.
        """
        standing = standing_of(connection, tenant)
        known = self._accords.get(tenant)
        if known is None or known[0] != standing:
            found = accords_ever_active(connection, [tenant]).get(tenant, [])
            known = self._accords[tenant] = (standing, found)
        return known[1]

    def measure(self, connection: Connection, version: str) -> Measure:
        """Return what a clock with this agreement version is decided by; the version must exist."""
        kept = _terms_of(connection, version)
        known = self._measures.get(version)
        if known is None or known[0] != kept:
            measure = self._read(connection, version, kept)
        else:
            measure = known[1]
            calendar = self.calendar(connection, measure.terms.calendar_version)
            if calendar is not measure.calendar:
                measure = self._read(connection, version, kept)
        self._measures[version] = (kept, measure)
        return measure

    def calendar(self, connection: Connection, version: str) -> MadeCalendar | None:
        """Return a calendar version; None when there is none of this name."""
        row = _calendar_row(connection, version)
        if row is None:
            return None
        known = self._calendars.get(version)
        if known is None or known[0] != row:
            known = self._calendars[version] = (row, _calendar_of(row, version))
        return known[1]

    def forget(self) -> None:
        """Read and compile everything anew."""
        self._measures.clear()
        self._calendars.clear()
        self._accords.clear()

    def _read(self, connection: Connection, version: str, kept: bytes) -> Measure:
        _, _, number = AGREEMENT_VERSION.parse(version)
        terms = terms_from_bytes(kept)
        calendar = self.calendar(connection, terms.calendar_version)
        if calendar is None:
            raise LookupError(f"{version} names {terms.calendar_version}, which is not there")
        return Measure(
            terms=terms,
            agreement=agreed(terms, name=version, number=int(number)),
            calendar=calendar,
            calendars=calendar.pinned(),
            openings=openings_of(calendar.calendar),
        )


def _terms_of(connection: Connection, version: str) -> bytes:
    tenant, agreement, number = AGREEMENT_VERSION.parse(version)
    table = schema.agreement_version
    kept: bytes = connection.execute(
        select(table.c.terms).where(
            table.c.tenant == tenant, table.c.agreement == agreement, table.c.version == int(number)
        )
    ).scalar_one()
    return kept


def _calendar_row(connection: Connection, version: str) -> Row[Any, Any, Any] | None:
    if not CALENDAR_VERSION.matches(version):
        return None
    tenant, calendar, text = CALENDAR_VERSION.parse(version)
    number = version_number(text)
    if number is None:
        return None
    table = schema.calendar_version
    return connection.execute(
        select(table.c.content, table.c.create_time, table.c.tzdata_version).where(
            table.c.tenant == tenant, table.c.calendar == calendar, table.c.version == number
        )
    ).one_or_none()


def _calendar_of(row: Row[Any, Any, Any], version: str) -> MadeCalendar:
    tenant, calendar, number = CALENDAR_VERSION.parse(version)
    title, content = calendar_from_bytes(row.content)
    return MadeCalendar(
        tenant=tenant,
        id=calendar,
        number=int(number),
        title=title,
        calendar=content,
        create_time=row.create_time,
        tzdata_version=row.tzdata_version,
    )
