"""Holidays that people looked through, and calendars of teams' and people's own."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.api.sla.v1.calendars_pb2_grpc import CalendarServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["CalendarClient"]


class CalendarClient:
    """Calendars, seen to by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = CalendarServiceStub(connection.channel)

    async def propose_holidays(
        self, request: calendarspb.ProposeHolidaysRequest, within: timedelta | None = None
    ) -> calendarspb.HolidayReview:
        """Draw up a calendar's holidays of a year; no calendar changes."""
        return await self._connection.call(self._stub.ProposeHolidays, request, within)

    async def get_holiday_review(
        self, request: calendarspb.GetHolidayReviewRequest, within: timedelta | None = None
    ) -> calendarspb.HolidayReview:
        """Return a list of holidays."""
        return await self._connection.call(self._stub.GetHolidayReview, request, within)

    async def list_holiday_reviews(
        self, request: calendarspb.ListHolidayReviewsRequest, within: timedelta | None = None
    ) -> calendarspb.ListHolidayReviewsResponse:
        """Return one page of lists of holidays."""
        return await self._connection.call(self._stub.ListHolidayReviews, request, within)

    async def holiday_reviews(
        self, request: calendarspb.ListHolidayReviewsRequest
    ) -> AsyncGenerator[calendarspb.HolidayReview, None]:
        """Yield lists of holidays by calendar, the latest year first, over all pages."""
        async for page in each_page(self.list_holiday_reviews, request):
            for item in page.holiday_reviews:
                yield item

    async def activate_holidays(
        self, request: calendarspb.ActivateHolidaysRequest, within: timedelta | None = None
    ) -> calendarspb.HolidayReview:
        """Make a calendar version of a list that the caller looked through."""
        return await self._connection.call(self._stub.ActivateHolidays, request, within)

    async def assign_calendar(
        self, request: calendarspb.AssignCalendarRequest, within: timedelta | None = None
    ) -> calendarspb.CalendarAssignment:
        """Give a team or a person a calendar of their own."""
        return await self._connection.call(self._stub.AssignCalendar, request, within)

    async def list_calendar_assignments(
        self, request: calendarspb.ListCalendarAssignmentsRequest, within: timedelta | None = None
    ) -> calendarspb.ListCalendarAssignmentsResponse:
        """Return one page of who was given which calendar."""
        return await self._connection.call(self._stub.ListCalendarAssignments, request, within)

    async def calendar_assignments(
        self, request: calendarspb.ListCalendarAssignmentsRequest
    ) -> AsyncGenerator[calendarspb.CalendarAssignment, None]:
        """Yield who was given which calendar, by holder, over all pages."""
        async for page in each_page(self.list_calendar_assignments, request):
            for item in page.calendar_assignments:
                yield item
