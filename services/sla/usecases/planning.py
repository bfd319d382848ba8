"""Draw up holidays, look them through, give calendars to teams and people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from typing import TypeVar

from google.protobuf.message import Message

from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.holidays import (
    HolidayReview,
    HolidayReviewUnknown,
    HolidaysUnknown,
    Published,
    drawn_up,
)
from services.sla.domain.refused import CalendarUnknown, NotYours, Refused
from services.sla.domain.rota import NOTICE, Assignment
from services.sla.store.calendars import newest_calendar
from services.sla.store.planning import find_review, put_assignment, put_review
from services.sla.store.tx import SlaTx
from services.sla.usecases.calendars import MakeCalendar, make_calendars
from services.sla.usecases.moving import begin_move
from services.sla.wire.planning import calendar_assigned, review_changed
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.names import PERSON

R = TypeVar("R")
A = TypeVar("A")
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeHolidays:
    """Somebody wants a year's holidays drawn up for a calendar."""

    tenant: str
    calendar: str
    published: Published
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivateHolidays:
    """Somebody looked a list through, and wants it in force."""

    name: str
    etag: str
    declined: tuple[date, ...]
    added: tuple[tuple[date, str], ...]
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignCalendar:
    """Somebody gives a team or a person a calendar of their own; without an instant as early as may be."""

    tenant: str
    holder: str
    calendar_version: str
    effective_time: datetime | None
    actor: str


class TooEarly(Refused):
    """A calendar would count for what may have been recorded already."""

    def __init__(self, earliest: datetime) -> None:
        super().__init__(f"not before {earliest.isoformat()}")
        self.earliest = earliest


def published_holidays(country: str, subdivision: str, year: int) -> Published:
    """Return what a country's lists say of a year; slow the first time, so not inside a transaction.

    Raises:
        HolidaysUnknown: there are no lists for this country, part or year; names the field.
    """
    import holidays

    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise HolidaysUnknown("year", f"{_FIRST_YEAR} to {_LAST_YEAR}")
    parts = holidays.list_supported_countries().get(country)
    if parts is None:
        raise HolidaysUnknown("country", "the ISO 3166-1 code of a country that has lists, such as KR")
    if subdivision and subdivision not in parts:
        raise HolidaysUnknown("subdivision", f"empty, or one of {', '.join(parts)}" if parts else "empty")
    listed = holidays.country_holidays(country, subdiv=subdivision or None, years=year)
    titles = tuple(sorted((day, str(title)) for day, title in listed.items() if day.year == year))
    if not titles:
        raise HolidaysUnknown("year", f"a year for which {country} has lists")
    return Published(
        year=year,
        country=country,
        subdivision=subdivision,
        titles=titles,
        lists_version=f"holidays {version('holidays')}",
    )


def propose_holidays(
    tx: SlaTx, requests: Sequence[ProposeHolidays], *, now: datetime
) -> list[HolidayReview | Exception]:
    """Return each list as drawn up; no calendar changes."""
    return _each(requests, lambda request: _propose(tx, request, now))


def activate_holidays(
    tx: SlaTx, requests: Sequence[ActivateHolidays], *, now: datetime
) -> list[HolidayReview | Exception]:
    """Return each list as activated, with the calendar version that has it."""
    return _each(requests, lambda request: _activate(tx, request, now))


def assign_calendars(
    tx: SlaTx, requests: Sequence[AssignCalendar], *, now: datetime
) -> list[Assignment | Exception]:
    """Return each assignment as made."""
    return _each(requests, lambda request: _assign(tx, request, now))


def _each(requests: Sequence[R], answer: Callable[[R], A]) -> list[A | Exception]:
    answers: list[A | Exception] = []
    for request in requests:
        try:
            answers.append(answer(request))
        except Refused as refused:
            answers.append(refused)
    return answers


def _propose(tx: SlaTx, request: ProposeHolidays, now: datetime) -> HolidayReview:
    newest = _newest(tx, request.tenant, request.calendar)
    name = f"tenants/{request.tenant}/calendars/{request.calendar}/holidayReviews/{request.published.year}"
    review = drawn_up(
        request.published,
        newest.calendar,
        before=find_review(tx.connection, name),
        tenant=request.tenant,
        calendar_id=request.calendar,
        proposer=request.actor,
        now=now,
    )
    return _kept(tx, review, request.actor)


def _activate(tx: SlaTx, request: ActivateHolidays, now: datetime) -> HolidayReview:
    if not PERSON.matches(request.actor):
        # Nothing appears in a calendar that no person has seen.
        raise NotYours(request.name)
    review = find_review(tx.connection, request.name)
    if review is None:
        raise HolidayReviewUnknown(request.name)
    review = review.looked_through(etag=request.etag, declined=request.declined, added=request.added)
    newest = _newest(tx, review.tenant, review.calendar)
    wanted = MakeCalendar(
        tenant=review.tenant,
        id=review.calendar,
        title=newest.title,
        calendar=review.kept_by(newest.calendar),
        actor=request.actor,
    )
    (made,) = make_calendars(tx, [wanted], now=now)
    if isinstance(made, Exception):
        raise made
    begin_move(tx, review, made, actor=request.actor)
    active = review.activate(reviewer=request.actor, calendar_version=made.name, now=now)
    return _kept(tx, active, request.actor)


def _assign(tx: SlaTx, request: AssignCalendar, now: datetime) -> Assignment:
    wanted = request.calendar_version
    if wanted and not tx.calendar_exists(request.tenant, wanted):
        raise CalendarUnknown(wanted)
    earliest = now + NOTICE
    if request.effective_time is not None and request.effective_time < earliest:
        raise TooEarly(earliest)
    assignment = Assignment(
        tenant=request.tenant,
        holder=request.holder,
        calendar_version=wanted,
        effective_time=request.effective_time or earliest,
        principal=request.actor,
        create_time=now,
    )
    put_assignment(tx.connection, assignment)
    _say(tx, request.tenant, request.holder, calendar_assigned(assignment), request.actor)
    return assignment


def _newest(tx: SlaTx, tenant: str, calendar: str) -> MadeCalendar:
    newest = newest_calendar(tx.connection, tenant, calendar)
    if newest is None:
        raise CalendarUnknown(f"tenants/{tenant}/calendars/{calendar}")
    return newest


def _kept(tx: SlaTx, review: HolidayReview, actor: str) -> HolidayReview:
    put_review(tx.connection, review)
    _say(tx, review.tenant, review.name, review_changed(review), actor)
    return review


def _say(tx: SlaTx, tenant: str, subject: str, payload: Message, actor: str) -> None:
    """Put an event in the log that readers who do not know it may pass over: clocks say what came of it."""
    event = NewEvent(
        tenant=f"tenants/{tenant}",
        subject=subject,
        occur_time=tx.now,
        actor=actor,
        payload=payload,
        skippable=True,
    )
    append(tx.connection, [event], now=tx.now)
