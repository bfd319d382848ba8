"""`smarketing calendars holidays | propose | activate | assign | assignments`."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.cli import leave
from smarketing.cli.leads import taken
from smarketing.cli.options import At, Limit, date_message, timestamp_of
from smarketing.cli.output import id_of, plain, table, when
from smarketing.cli.session import Session, session_of
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)
app.add_typer(leave.app, name="leave")

_PAGE = 1_000

Calendar = Annotated[str, typer.Argument(help="The calendar's id.")]
Year = Annotated[int, typer.Argument(help="The year.")]


@app.command()
def propose(
    ctx: typer.Context,
    *,
    calendar: Calendar,
    year: Year,
    country: Annotated[str, typer.Option(help="ISO code of the country: KR.")],
    subdivision: Annotated[str, typer.Option(help="Part of the country: BY in DE.")] = "",
) -> None:
    """Draw up a year's holidays for somebody to look through; no calendar changes."""
    session = session_of(ctx)
    request = calendarspb.ProposeHolidaysRequest(
        parent=session.name("calendars", calendar), year=year, country=country, subdivision=subdivision
    )
    review = session.ask(SlaClient, lambda sla: sla.calendars.propose_holidays(request))
    session.show(review, lambda: _review_view(review))


@app.command()
def holidays(
    ctx: typer.Context,
    *,
    calendar: Annotated[str, typer.Argument(help="A calendar's id; all when none.")] = "-",
    year: Annotated[int, typer.Argument(help="The year, for one list with its dates.")] = 0,
    limit: Limit = 50,
) -> None:
    """Show the list of a year with its dates, or which lists there are and where they stand."""
    session = session_of(ctx)
    if year:
        wanted = calendarspb.GetHolidayReviewRequest(name=_name(session, calendar, year))
        review = session.ask(SlaClient, lambda sla: sla.calendars.get_holiday_review(wanted))
        session.show(review, lambda: _review_view(review))
        return
    request = calendarspb.ListHolidayReviewsRequest(
        parent=session.name("calendars", calendar), page_size=min(limit, _PAGE)
    )
    found, more = session.ask(SlaClient, lambda sla: taken(sla.calendars.holiday_reviews(request), limit))
    rows = [
        (
            id_of(each.name).removeprefix("calendars/"),
            " ".join((each.country, each.subdivision)).strip(),
            _state(each),
            str(len(each.holidays)),
            id_of(each.review_principal),
            id_of(each.calendar_version).removeprefix("calendars/"),
        )
        for each in found
    ]
    columns = ("list", "country", "state", "dates", "looked through by", "version")
    session.show_list("holiday_reviews", found, lambda: table(columns, rows), more=more)


@app.command()
def activate(
    ctx: typer.Context,
    *,
    calendar: Calendar,
    year: Year,
    etag: Annotated[str, typer.Option(help="That of the list you looked through; it is shown with it.")],
    without: Annotated[
        list[str] | None, typer.Option(help="A listed date that is worked: 2027-10-09.")
    ] = None,
    add: Annotated[list[str] | None, typer.Option(help="A date to add: '2027-07-01 Founders day'.")] = None,
) -> None:
    """Make a version of the calendar with the holidays that you looked through."""
    session = session_of(ctx)
    request = calendarspb.ActivateHolidaysRequest(
        name=_name(session, calendar, year),
        etag=etag,
        declined_dates=[date_message(day) for day in without or []],
        added_holidays=[
            calendarspb.Holiday(date=date_message(day), title=title.strip())
            for day, _, title in (each.partition(" ") for each in add or [])
        ],
    )
    active = session.ask(SlaClient, lambda sla: sla.calendars.activate_holidays(request))
    session.show(active, lambda: _review_view(active))


@app.command()
def assign(
    ctx: typer.Context,
    *,
    holder: Annotated[str, typer.Argument(help="teams/ID, or a person's id.")],
    version: Annotated[str, typer.Argument(help="CALENDAR/versions/VERSION; empty: none of their own.")] = "",
    effective: At = "",
) -> None:
    """Give a team or a person a calendar of their own; in a minute, unless told otherwise."""
    session = session_of(ctx)
    request = calendarspb.AssignCalendarRequest(
        holder=session.assignee(holder),
        calendar_version=session.name("calendars", version) if version else "",
        effective_time=timestamp_of(effective),
    )
    given = session.ask(SlaClient, lambda sla: sla.calendars.assign_calendar(request))
    session.show(given, lambda: _assignments_view([given]))


@app.command()
def assignments(
    ctx: typer.Context,
    *,
    holder: Annotated[str, typer.Option(help="Only of teams/ID, or of this person.")] = "",
    limit: Limit = 50,
) -> None:
    """List who was given which calendar, the latest first."""
    session = session_of(ctx)
    request = calendarspb.ListCalendarAssignmentsRequest(
        parent=session.parent,
        page_size=min(limit, _PAGE),
        holder=session.assignee(holder) if holder else "",
    )
    found, more = session.ask(
        SlaClient, lambda sla: taken(sla.calendars.calendar_assignments(request), limit)
    )
    session.show_list("calendar_assignments", found, lambda: _assignments_view(found), more=more)


def _name(session: Session, calendar: str, year: int) -> str:
    return f"{session.name('calendars', calendar)}/holidayReviews/{year}"


def _state(review: calendarspb.HolidayReview) -> str:
    return enum_word(calendarspb.HolidayReview.State.DESCRIPTOR, review.state)


def _review_view(review: calendarspb.HolidayReview) -> RenderableType:
    rows = [
        (
            f"{each.date.year:04}-{each.date.month:02}-{each.date.day:02}",
            plain(each.title),
            enum_word(calendarspb.Holiday.Origin.DESCRIPTOR, each.origin),
            "worked" if each.declined else "closed",
        )
        for each in review.holidays
    ]
    where = " ".join((str(review.year), review.country, review.subdivision)).strip()
    title = f"{where}: {_state(review)}, etag {review.etag}, by {review.lists_version}"
    if review.calendar_version:
        title += f", in {id_of(review.calendar_version)}"
    return table(("date", "holiday", "from", "day"), rows, title=title)


def _assignments_view(found: list[calendarspb.CalendarAssignment]) -> RenderableType:
    rows = [
        (
            id_of(each.holder),
            id_of(each.calendar_version).removeprefix("calendars/"),
            when(each.effective_time),
            id_of(each.principal),
        )
        for each in found
    ]
    return table(("holder", "calendar", "from", "given by"), rows)
