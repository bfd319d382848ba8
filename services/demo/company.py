"""The company that is played: its directory, its calendar and its agreement, as the files here say."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.leads.domain.directory import Directory
from services.leads.wire.directory import directory_from
from services.sla.domain.terms import Terms
from services.sla.wire.agreements import terms_of
from services.sla.wire.calendars import calendar_of
from smarketing.businesstime import Calendar
from smarketing.cli.configuration import Document, Kind, read_documents
from smarketing.cli.kinds import READERS

__all__ = [
    "AUDITOR",
    "DIALLER",
    "LEADER",
    "MARKETING_MANAGER",
    "ON_LEAVE",
    "QUEUE",
    "REPS",
    "SALES_MANAGER",
    "TENANT",
    "WEBSITE",
    "Company",
    "read_company",
]

TENANT: Final = "tenants/default"
MARKETING_MANAGER: Final = f"{TENANT}/people/hanna"
SALES_MANAGER: Final = f"{TENANT}/people/marcus"
LEADER: Final = f"{TENANT}/people/ingrid"
AUDITOR: Final = f"{TENANT}/people/otto"
REPS: Final = tuple(f"{TENANT}/people/{rep}" for rep in ("anna", "ben", "clara", "deniz", "emil", "fatima"))
ON_LEAVE: Final = REPS[4]
"""Who has a week off in the month."""
WEBSITE: Final = f"{TENANT}/systems/website"
DIALLER: Final = f"{TENANT}/systems/dialler"
QUEUE: Final = f"{TENANT}/queues/inbound"

_FILES: Final = Path(__file__).parent / "company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Everything that is set up before the first lead comes."""

    directory: Directory
    calendar_id: str
    calendar_title: str
    calendar: Calendar
    agreement_id: str
    terms: Terms
    """Of the agreement, measured by the first version of the calendar."""
    leave: tuple[datetime, datetime]
    """When `ON_LEAVE` is away."""


def read_company(*, start: datetime, end: datetime) -> Company:
    """Return the company as its files say, with one holiday and one leave within the month."""
    documents = {
        each.kind: each for each in read_documents(sorted(_FILES.glob("*.yaml")), "default", READERS)
    }
    made, agreed = documents[Kind.CALENDAR], documents[Kind.AGREEMENT]
    calendar = calendar_of(_message(made))
    zone = ZoneInfo(calendar.zone)
    calendar = replace(calendar, holidays=frozenset({_holiday(start, end, zone)}))
    terms = replace(
        terms_of(_message(agreed)), calendar_version=f"{TENANT}/calendars/{made.own_id}/versions/1"
    )
    return Company(
        directory=directory_from(TENANT, _message(documents[Kind.DIRECTORY])),
        calendar_id=made.own_id,
        calendar_title=_message(made).title,
        calendar=calendar,
        agreement_id=agreed.own_id,
        terms=terms,
        leave=_leave(start, end, zone),
    )


def _message(document: Document) -> Any:
    # Every kind has a message of its own, which only its own converter reads.
    return document.message


def _holiday(start: datetime, end: datetime, zone: ZoneInfo) -> date:
    """Return the Wednesday nearest before the last third of the month."""
    day = (start + (end - start) * 2 / 3).astimezone(zone).date()
    while day.weekday() != 2:
        day -= timedelta(days=1)
    return day


def _leave(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return a week from the first Thursday after a quarter of the month."""
    first = (start + (end - start) / 4).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while first.weekday() != 3:
        first += timedelta(days=1)
    return first.astimezone(start.tzinfo), (first + timedelta(days=7)).astimezone(start.tzinfo)
