"""Lists of holidays, and calendars given to teams and people."""

from collections.abc import Iterable
from datetime import date

from services.sla.domain.holidays import Holiday, HolidayReview, ListInvalid, Origin, ReviewState
from services.sla.domain.rota import Assignment
from services.sla.wire.instants import date_message, day, instant, instant_in, stamp, stamp_or_none
from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.names import Pattern

HOLIDAY_REVIEW = Pattern("tenants/{tenant}/calendars/{calendar}/holidayReviews/{year}")


def review_message(review: HolidayReview) -> calendarspb.HolidayReview:
    """Return a list of holidays as it is shown, and as it is kept."""
    return calendarspb.HolidayReview(
        name=review.name,
        etag=review.etag,
        year=review.year,
        country=review.country,
        subdivision=review.subdivision,
        state=calendarspb.HolidayReview.State.Value(f"STATE_{review.state.value}"),
        holidays=[
            calendarspb.Holiday(
                date=date_message(each.day),
                title=each.title,
                origin=calendarspb.Holiday.Origin.Value(f"ORIGIN_{each.origin.value}"),
                declined=each.is_declined,
            )
            for each in review.holidays
        ],
        lists_version=review.lists_version,
        propose_principal=review.proposer,
        propose_time=stamp(review.propose_time),
        review_principal=review.reviewer,
        activate_time=stamp_or_none(review.activate_time),
        calendar_version=review.calendar_version,
        was_in_force=review.was_in_force,
    )


def review_of(kept: bytes) -> HolidayReview:
    """Return the list that `review_message` made bytes of."""
    message = calendarspb.HolidayReview.FromString(kept)
    tenant, calendar, _ = HOLIDAY_REVIEW.parse(message.name)
    return HolidayReview(
        tenant=tenant,
        calendar=calendar,
        year=message.year,
        revision=int(message.etag),
        country=message.country,
        subdivision=message.subdivision,
        state=ReviewState(_word(calendarspb.HolidayReview.State.Name(message.state))),
        holidays=tuple(
            Holiday(
                day=day(each.date),
                title=each.title,
                origin=Origin(_word(calendarspb.Holiday.Origin.Name(each.origin))),
                is_declined=each.declined,
            )
            for each in message.holidays
        ),
        lists_version=message.lists_version,
        proposer=message.propose_principal,
        propose_time=instant(message.propose_time),
        reviewer=message.review_principal,
        activate_time=instant_in(message, "activate_time"),
        calendar_version=message.calendar_version,
        was_in_force=message.was_in_force,
    )


def declined_in(request: calendarspb.ActivateHolidaysRequest) -> tuple[date, ...]:
    """Return the dates that the reviewer strikes out."""
    return tuple(_days((each for each in request.declined_dates), "declined_dates[{}]"))


def added_in(request: calendarspb.ActivateHolidaysRequest) -> tuple[tuple[date, str], ...]:
    """Return the dates that the reviewer adds, with what people call them."""
    days = _days((each.date for each in request.added_holidays), "added_holidays[{}].date")
    return tuple(zip(days, (each.title for each in request.added_holidays), strict=True))


def assignment_message(assignment: Assignment) -> calendarspb.CalendarAssignment:
    """Return who was given which calendar, as it is shown."""
    return calendarspb.CalendarAssignment(
        holder=assignment.holder,
        calendar_version=assignment.calendar_version,
        effective_time=stamp(assignment.effective_time),
        principal=assignment.principal,
        create_time=stamp(assignment.create_time),
    )


def review_changed(review: HolidayReview) -> calendarspb.HolidayReviewChanged:
    """Return the event of a list that was drawn up or activated."""
    return calendarspb.HolidayReviewChanged(holiday_review=review_message(review))


def calendar_assigned(assignment: Assignment) -> calendarspb.CalendarAssigned:
    """Return the event of a calendar given or taken away."""
    return calendarspb.CalendarAssigned(calendar_assignment=assignment_message(assignment))


def _days(messages: Iterable[object], path: str) -> Iterable[date]:
    for at, each in enumerate(messages):
        try:
            yield day(each)
        except ValueError as error:
            raise ListInvalid(path.format(at), "a date") from error


def _word(name: str) -> str:
    return name.partition("_")[2]
