# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""CalendarService: parse, ask, render."""

import asyncio
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message

from services.sla.domain.holidays import HolidayReview, HolidayReviewUnknown
from services.sla.domain.rota import Assignment
from services.sla.rpc.refusals import reason_of
from services.sla.store.archive import Archive
from services.sla.store.commands import unit_of
from services.sla.store.planning import find_review, page_of_assignments, page_of_reviews
from services.sla.usecases import planning
from services.sla.wire import planning as wire
from services.sla.wire.instants import instant_in
from smarketing import names
from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.api.sla.v1.calendars_pb2_grpc import CalendarServiceServicer
from smarketing.names import NameInvalid
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.sql import Writer, to_micros

__all__ = ["CalendarServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
M = TypeVar("M", bound=Message)


class CalendarServicer(CalendarServiceServicer):
    """Answers for lists of holidays, and for calendars of teams' and people's own."""

    def __init__(self, writer: Writer, archive: Archive, pages: PageTokens) -> None:
        self._writer = writer
        self._pages = pages
        self._propose = unit_of(archive, planning.propose_holidays, wire.review_message, reason_of)
        self._activate = unit_of(archive, planning.activate_holidays, wire.review_message, reason_of)
        self._assign = unit_of(archive, planning.assign_calendars, wire.assignment_message, reason_of)

    async def ProposeHolidays(
        self, request: calendarspb.ProposeHolidaysRequest, context: _Context
    ) -> calendarspb.HolidayReview:
        """Draw up a year's holidays."""
        tenant, calendar = names.CALENDAR.parse(request.parent, field="parent")
        published = await asyncio.to_thread(
            planning.published_holidays, request.country, request.subdivision, request.year
        )
        wanted = planning.ProposeHolidays(
            tenant=tenant, calendar=calendar, published=published, actor=current_call().caller.actor
        )
        return await self._run(self._propose, request, wanted, calendarspb.HolidayReview)

    async def GetHolidayReview(
        self, request: calendarspb.GetHolidayReviewRequest, context: _Context
    ) -> calendarspb.HolidayReview:
        """Return a list."""
        wire.HOLIDAY_REVIEW.parse(request.name)
        review = await self._writer.read(lambda connection: find_review(connection, request.name))
        if review is None:
            raise HolidayReviewUnknown(request.name)
        return wire.review_message(review)

    async def ListHolidayReviews(
        self, request: calendarspb.ListHolidayReviewsRequest, context: _Context
    ) -> calendarspb.ListHolidayReviewsResponse:
        """List lists."""
        tenant, calendar = _calendars_in(request.parent)
        size, after = page_size_of(request), self._pages.read(request)
        found: list[HolidayReview] = await self._writer.read(
            lambda connection: page_of_reviews(connection, tenant, calendar, limit=size + 1, after=after)
        )
        page = found[:size]
        token = self._pages.issue(request, [page[-1].calendar, page[-1].year]) if len(found) > size else ""
        return calendarspb.ListHolidayReviewsResponse(
            holiday_reviews=map(wire.review_message, page), next_page_token=token
        )

    async def ActivateHolidays(
        self, request: calendarspb.ActivateHolidaysRequest, context: _Context
    ) -> calendarspb.HolidayReview:
        """Put a list in force that somebody looked through."""
        wire.HOLIDAY_REVIEW.parse(request.name)
        if not request.etag:
            raise field_invalid("etag", "that of the list that was looked through")
        wanted = planning.ActivateHolidays(
            name=request.name,
            etag=request.etag,
            declined=wire.declined_in(request),
            added=wire.added_in(request),
            actor=current_call().caller.actor,
        )
        return await self._run(self._activate, request, wanted, calendarspb.HolidayReview)

    async def AssignCalendar(
        self, request: calendarspb.AssignCalendarRequest, context: _Context
    ) -> calendarspb.CalendarAssignment:
        """Give a team or a person a calendar."""
        wanted = planning.AssignCalendar(
            tenant=_tenant_of_holder(request.holder),
            holder=request.holder,
            calendar_version=request.calendar_version,
            effective_time=instant_in(request, "effective_time"),
            actor=current_call().caller.actor,
        )
        return await self._run(self._assign, request, wanted, calendarspb.CalendarAssignment)

    async def ListCalendarAssignments(
        self, request: calendarspb.ListCalendarAssignmentsRequest, context: _Context
    ) -> calendarspb.ListCalendarAssignmentsResponse:
        """List who was given which calendar."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size, after = page_size_of(request), self._pages.read(request)
        found: list[Assignment] = await self._writer.read(
            lambda connection: page_of_assignments(
                connection, tenant, request.holder, limit=size + 1, after=after
            )
        )
        page, token = found[:size], ""
        if len(found) > size:
            token = self._pages.issue(request, [page[-1].holder, to_micros(page[-1].effective_time)])
        return calendarspb.ListCalendarAssignmentsResponse(
            calendar_assignments=map(wire.assignment_message, page), next_page_token=token
        )

    async def _run(self, unit: Any, request: Message, wanted: Any, message_type: type[M]) -> M:
        """Run one command, and return its answer or raise its refusal."""
        (outcome,) = await self._writer.run(unit, [Command(wanted, call_for(request))])
        return answer(outcome, message_type)


def _calendars_in(parent: str) -> tuple[str, str | None]:
    """Return tenant and calendar; no calendar where it is `-`, which stands for all."""
    if parent.endswith("/calendars/-"):
        (tenant,) = names.TENANT.parse(parent.removesuffix("/calendars/-"), field="parent")
        return tenant, None
    tenant, calendar = names.CALENDAR.parse(parent, field="parent")
    return tenant, calendar


def _tenant_of_holder(holder: str) -> str:
    for pattern in (names.TEAM, names.PERSON):
        if pattern.matches(holder):
            return pattern.parse(holder)[0]
    raise NameInvalid("holder", f"{names.TEAM.template} or {names.PERSON.template}")
