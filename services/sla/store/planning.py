"""Lists of holidays, and calendars given to teams and people."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, select

from services.sla.domain.holidays import HolidayReview
from services.sla.domain.rota import Assignment, Rota
from services.sla.store import schema
from services.sla.wire.planning import HOLIDAY_REVIEW, review_message, review_of
from smarketing.sql import UpsertRows, from_micros

_review = schema.holiday_review
_assignment = schema.calendar_assignment
_put_review: Final = UpsertRows(_review, key=["tenant", "calendar", "year"], replace=["content"])
_put_assignment: Final = UpsertRows(
    _assignment,
    key=["tenant", "holder", "effective_time"],
    replace=["calendar_version", "principal", "create_time"],
)
_YEAR_DIGITS = 4


def find_review(connection: Connection, name: str) -> HolidayReview | None:
    """Return the list of this name; None when there is none."""
    if not HOLIDAY_REVIEW.matches(name):
        return None
    tenant, calendar, year = HOLIDAY_REVIEW.parse(name)
    if not (year.isascii() and year.isdigit() and len(year) <= _YEAR_DIGITS and year[0] != "0"):
        return None
    content = connection.execute(
        select(_review.c.content).where(
            _review.c.tenant == tenant, _review.c.calendar == calendar, _review.c.year == int(year)
        )
    ).scalar_one_or_none()
    return None if content is None else review_of(content)


def put_review(connection: Connection, review: HolidayReview) -> None:
    """Write a list as it is now."""
    content = review_message(review).SerializeToString(deterministic=True)
    _put_review.upsert(connection, [(review.tenant, review.calendar, review.year, content)])


def page_of_reviews(
    connection: Connection,
    tenant: str,
    calendar: str | None,
    *,
    limit: int,
    after: Sequence[Any] | None,
) -> list[HolidayReview]:
    """Return lists by calendar, the latest year first; `after`: calendar and year of the last one seen."""
    query = select(_review.c.content).where(_review.c.tenant == tenant)
    if calendar is not None:
        query = query.where(_review.c.calendar == calendar)
    if after is not None:
        seen, year = after
        query = query.where(
            (_review.c.calendar > seen) | and_(_review.c.calendar == seen, _review.c.year < year)
        )
    query = query.order_by(_review.c.calendar, _review.c.year.desc()).limit(limit)
    return [review_of(content) for content in connection.execute(query).scalars()]


def last_reviewed_year(connection: Connection, tenant: str, calendar: str) -> int | None:
    """Return the last year whose holidays somebody looked through; None when no list was activated yet.

    A due instant after that year is provisional: holidays that nobody has entered may still move it.
    """
    contents = connection.execute(
        select(_review.c.content).where(_review.c.tenant == tenant, _review.c.calendar == calendar)
    ).scalars()
    reviews = [review_of(content) for content in contents]
    return max((each.year for each in reviews if each.is_looked_through), default=None)


def put_assignment(connection: Connection, assignment: Assignment) -> None:
    """Write an assignment; one of the same holder and instant is replaced."""
    key = (assignment.tenant, assignment.holder, assignment.effective_time)
    _put_assignment.upsert(
        connection, [(*key, assignment.calendar_version, assignment.principal, assignment.create_time)]
    )


def page_of_assignments(
    connection: Connection,
    tenant: str,
    holder: str,
    *,
    limit: int,
    after: Sequence[Any] | None,
) -> list[Assignment]:
    """Return assignments by holder, the latest first; `after`: holder and instant in µs of the last seen."""
    query = select(_assignment).where(_assignment.c.tenant == tenant)
    if holder:
        query = query.where(_assignment.c.holder == holder)
    if after is not None:
        seen, instant = after[0], from_micros(after[1])
        query = query.where(
            (_assignment.c.holder > seen)
            | and_(_assignment.c.holder == seen, _assignment.c.effective_time < instant)
        )
    query = query.order_by(_assignment.c.holder, _assignment.c.effective_time.desc()).limit(limit)
    return [Assignment(**row) for row in connection.execute(query).mappings()]


def rota_of(connection: Connection, tenant: str) -> Rota:
    """Return all assignments of a tenant."""
    rows = connection.execute(select(_assignment).where(_assignment.c.tenant == tenant)).mappings()
    return Rota.of(Assignment(**row) for row in rows)
