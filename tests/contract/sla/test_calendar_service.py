"""CalendarService over its own port: holidays that a person looked through, calendars of teams' own."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing.api.sla.v1 import calendars_pb2 as calendarspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.calendars_pb2_grpc import CalendarServiceStub
from tests.builders.sla_engine import SALES, TENANT
from tests.contract.sla.test_sla_service import OFFICE, a_calendar, make_calendar, refused
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")
REVIEW = f"{OFFICE}/holidayReviews/2027"


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        await make_calendar(yard, a_calendar(holidays=[{"year": 2027, "month": 6, "day": 14}]))
        yield yard


@pytest.fixture
async def calendars(yard: Yard) -> AsyncIterator[CalendarServiceStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
        yield CalendarServiceStub(channel)


async def propose(
    yard: Yard, calendars: CalendarServiceStub, by: str = "sales-manager", **changed: Any
) -> calendarspb.HolidayReview:
    request: dict[str, Any] = {"parent": OFFICE, "year": 2027, "country": "KR", **changed}
    return await calendars.ProposeHolidays(
        calendarspb.ProposeHolidaysRequest(request_id=yard.request_id(), **request),
        metadata=yard.by(by),
    )


async def activate(
    yard: Yard, calendars: CalendarServiceStub, by: str = "marketing-manager", **changed: Any
) -> calendarspb.HolidayReview:
    request: dict[str, Any] = {"name": REVIEW, "request_id": yard.request_id(), "etag": "1", **changed}
    return await calendars.ActivateHolidays(
        calendarspb.ActivateHolidaysRequest(**request),
        metadata=yard.by(by),
    )


async def newest(yard: Yard) -> slapb.CalendarVersion:
    listed = await yard.stub.ListCalendarVersions(
        slapb.ListCalendarVersionsRequest(parent=OFFICE), metadata=yard.by("rep")
    )
    version: slapb.CalendarVersion = listed.calendar_versions[0]
    return version


def days(version: slapb.CalendarVersion) -> set[date]:
    return {date(each.year, each.month, each.day) for each in version.holidays}


async def test_no_holiday_is_in_a_calendar_before_somebody_looked_it_through(yard, calendars):
    review = await propose(yard, calendars)

    # 9 October is Hangul Day in every year; 14 June stood in the calendar before.
    listed = {(each.date.month, each.date.day): each for each in review.holidays}
    assert listed[10, 9].origin == calendarspb.Holiday.ORIGIN_LISTS
    assert listed[6, 14].origin == calendarspb.Holiday.ORIGIN_CALENDAR
    assert (review.state, review.lists_version) == (
        calendarspb.HolidayReview.STATE_PROPOSED,
        "holidays 0.109",
    )
    assert days(await newest(yard)) == {date(2027, 6, 14)}


async def test_what_a_person_strikes_out_and_adds_makes_a_version_and_the_old_one_stays(yard, calendars):
    review = await propose(yard, calendars)
    active = await activate(
        yard,
        calendars,
        etag=review.etag,
        declined_dates=[{"year": 2027, "month": 6, "day": 14}],
        added_holidays=[{"date": {"year": 2027, "month": 7, "day": 1}, "title": "Founders' day"}],
    )

    version = await newest(yard)
    assert (active.state, active.calendar_version) == (
        calendarspb.HolidayReview.STATE_ACTIVATED,
        version.name,
    )
    assert active.review_principal == f"{TENANT}/people/marketing-manager"
    assert version.name == f"{OFFICE}/versions/2"
    assert {date(2027, 7, 1), date(2027, 10, 9)} < days(version)
    assert date(2027, 6, 14) not in days(version)
    before = await yard.stub.GetCalendarVersion(
        slapb.GetCalendarVersionRequest(name=f"{OFFICE}/versions/1"), metadata=yard.by("rep")
    )
    assert days(before) == {date(2027, 6, 14)}


async def test_a_list_that_changed_since_it_was_looked_at_is_not_activated(yard, calendars):
    await propose(yard, calendars)
    again = await propose(yard, calendars, country="DE", subdivision="BY")

    assert (await refused(activate(yard, calendars, etag="1")))[:2] == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    assert (await refused(activate(yard, calendars, etag="")))[2] == ["etag"]
    await activate(yard, calendars, etag=again.etag)
    code, reason, _ = await refused(activate(yard, calendars, etag="3"))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATE_FORBIDS")


async def test_a_year_drawn_up_again_is_looked_through_again(yard, calendars):
    await activate(yard, calendars, etag=(await propose(yard, calendars)).etag)
    again = await propose(yard, calendars)

    assert (again.state, again.calendar_version) == (calendarspb.HolidayReview.STATE_PROPOSED, "")
    listed = await calendars.ListHolidayReviews(
        calendarspb.ListHolidayReviewsRequest(parent=f"{TENANT}/calendars/-"), metadata=yard.by("rep")
    )
    assert [each.name for each in listed.holiday_reviews] == [REVIEW]
    assert listed.holiday_reviews[0] == again


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("country", {"country": "XX"}),
        ("country", {"country": ""}),
        ("subdivision", {"country": "DE", "subdivision": "ZZ"}),
        ("year", {"year": 0}),
        ("year", {"year": 2101}),
    ],
)
async def test_lists_that_nobody_has_are_refused_by_field(yard, calendars, field, changed):
    code, reason, fields = await refused(propose(yard, calendars, **changed))

    assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "HOLIDAYS_UNKNOWN", [field])


async def test_a_date_that_does_not_go_with_the_list_is_refused(yard, calendars):
    review = await propose(yard, calendars)
    hangul = {"year": 2027, "month": 10, "day": 9}
    for field, changed in (
        ("declined_dates[0]", {"declined_dates": [{"year": 2027, "month": 7, "day": 2}]}),
        ("declined_dates[0]", {"declined_dates": [{"year": 2027, "month": 2, "day": 30}]}),
        ("added_holidays[0].date", {"added_holidays": [{"date": hangul}]}),
        ("added_holidays[0].date", {"added_holidays": [{"date": {**hangul, "year": 2028}}]}),
    ):
        _, reason, fields = await refused(activate(yard, calendars, etag=review.etag, **changed))
        assert (reason, fields) == ("CALENDAR_INVALID", [field])


async def test_a_rep_may_look_and_not_decide(yard, calendars):
    await propose(yard, calendars)

    code, _, _ = await refused(activate(yard, calendars, by="rep"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    got = await calendars.GetHolidayReview(
        calendarspb.GetHolidayReviewRequest(name=REVIEW), metadata=yard.by("rep")
    )
    assert got.name == REVIEW
    missing = calendarspb.GetHolidayReviewRequest(name=f"{OFFICE}/holidayReviews/2031")
    _, reason, _ = await refused(calendars.GetHolidayReview(missing, metadata=yard.by("rep")))
    assert reason == "HOLIDAY_REVIEW_UNKNOWN"


async def assign(
    yard: Yard, calendars: CalendarServiceStub, **changed: Any
) -> calendarspb.CalendarAssignment:
    request: dict[str, Any] = {"holder": SALES, "calendar_version": f"{OFFICE}/versions/1", **changed}
    return await calendars.AssignCalendar(
        calendarspb.AssignCalendarRequest(request_id=yard.request_id(), **request),
        metadata=yard.by("sales-manager"),
    )


async def test_a_teams_calendar_counts_from_a_minute_ahead_and_what_was_before_is_listed(yard, calendars):
    first = await assign(yard, calendars)
    yard.now += timedelta(hours=1)
    await assign(yard, calendars, calendar_version="")

    assert first.effective_time.ToDatetime(tzinfo=yard.now.tzinfo) == yard.now - timedelta(minutes=59)
    listed = await calendars.ListCalendarAssignments(
        calendarspb.ListCalendarAssignmentsRequest(parent=TENANT, holder=SALES), metadata=yard.by("rep")
    )
    assert [each.calendar_version for each in listed.calendar_assignments] == ["", f"{OFFICE}/versions/1"]


async def test_a_calendar_that_is_not_there_or_counts_too_early_is_not_given(yard, calendars):
    _, reason, _ = await refused(assign(yard, calendars, calendar_version=f"{OFFICE}/versions/9"))
    assert reason == "CALENDAR_UNKNOWN"
    _, _, fields = await refused(assign(yard, calendars, effective_time=yard.now + timedelta(seconds=59)))
    assert fields == ["effective_time"]
    _, _, fields = await refused(assign(yard, calendars, holder=f"{TENANT}/queues/q"))
    assert fields == ["holder"]
