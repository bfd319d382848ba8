# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""BacktestService: parse, walk, render."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.sla.domain.backtest import Presence, Staffing
from services.sla.domain.refused import CalendarClosed, CalendarInvalid
from services.sla.rpc.answering import Answering
from services.sla.store.archive import Archive
from services.sla.usecases.backtest import Place, Question, Stretch, Walk
from services.sla.usecases.forecasts import Wanted, outlooks
from services.sla.usecases.walking import WalkBusy, Walks, WalkTooLong
from services.sla.wire import backtest as wire
from services.sla.wire.blanks import blanks_in
from smarketing import names
from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1.backtest_pb2_grpc import BacktestServiceServicer
from smarketing.businesstime import Calendar
from smarketing.names import Pattern
from smarketing.server.errors import Refusal, field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.refusals import deadline_exceeded
from smarketing.sql import Writer

__all__ = ["BacktestServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_MOST: Final = 100
_COME_AGAIN: Final = timedelta(seconds=5)
_TOMORROW: Final = timedelta(days=1)
_HORIZON: Final = timedelta(days=14)


class BacktestServicer(Answering, BacktestServiceServicer):
    """Answers what would have been."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._archive = archive
        self._walks = Walks()

    async def BacktestAgreement(
        self, request: backtestpb.BacktestAgreementRequest, context: _Context
    ) -> AsyncIterator[backtestpb.BacktestAgreementResponse]:
        """Live through a period once more."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        after = self._pages.read(request)
        now = self._now()
        walk = Walk(
            database=self._writer.database,
            archive=self._archive,
            question=_question(request, tenant, now),
            now=now,
            sight=await self._sight(tenant),
            page=page_size_of(request),
            place=None if after is None else Place(handoff=str(after[0]), given=int(after[1])),
        )
        try:
            async with aclosing(self._walks.walk(walk)) as stretches:
                async for stretch in stretches:
                    yield self._response(request, walk, stretch)
        except WalkBusy:
            raise _busy() from None
        except WalkTooLong:
            raise deadline_exceeded() from None
        except CalendarClosed:
            raise field_invalid(
                "supposed_calendar.weekly_windows",
                "windows that open within a year from now",
                reason="CALENDAR_NEVER_OPENS",
            ) from None

    async def ForecastBreaches(
        self, request: backtestpb.ForecastBreachesRequest, context: _Context
    ) -> backtestpb.ForecastBreachesResponse:
        """Say what one day may bring."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        now = self._now()
        wanted = Wanted(tenant=tenant, day=_day(request, now), commitment_id=request.commitment_id)
        found = await self._writer.read(
            lambda connection: outlooks(connection, self._archive, wanted, now=now)
        )
        # Of several calendars each has its own tomorrow; without any it is that of UTC.
        day = found[0].day if found else wanted.day or now.date() + _TOMORROW
        return wire.forecasts_message(found, day)

    def _response(
        self, request: backtestpb.BacktestAgreementRequest, walk: Walk, stretch: Stretch
    ) -> backtestpb.BacktestAgreementResponse:
        response = backtestpb.BacktestAgreementResponse(
            handoffs_done_count=stretch.done,
            handoff_count=walk.total,
            differences=map(wire.difference_message, stretch.differences),
        )
        if not stretch.is_over:
            return response
        if walk.place is None:
            question = walk.question
            response.backtest.CopyFrom(
                wire.backtest_message(walk.totals, as_of=walk.now, start=question.start, end=question.end)
            )
        following = walk.next_place
        if following is not None:
            response.next_page_token = self._pages.issue(request, [following.handoff, following.given])
        return response


def _day(request: backtestpb.ForecastBreachesRequest, now: datetime) -> date | None:
    try:
        day = wire.date_in(request)
    except ValueError:
        raise field_invalid("date", "a date that there is") from None
    # Somewhere it is still yesterday.
    if day is not None and not -_TOMORROW <= day - now.date() <= _HORIZON:
        raise field_invalid("date", f"within {_HORIZON.days} days from now")
    return day


def _question(request: backtestpb.BacktestAgreementRequest, tenant: str, now: datetime) -> Question:
    start, end = wire.period_in(request, now)
    if end <= start:
        raise field_invalid("end_time", "after `start_time`")
    if request.agreement and not request.HasField("agreement_version"):
        raise field_invalid("agreement", "empty, but beside `agreement_version`")
    for field in ("team_calendars", "staffing"):
        if len(getattr(request, field)) > _MOST:
            raise field_invalid(field, f"at most {_MOST}")
    return Question(
        tenant=tenant,
        start=start,
        end=end,
        version=request.version,
        terms=wire.terms_in(request),
        blanks=tuple(blanks_in(request.agreement_version)),
        agreement=_own(names.AGREEMENT, request.agreement, tenant, "agreement"),
        calendar_version=request.calendar_version,
        calendar=_calendar(request),
        team_calendars=_team_calendars(request, tenant),
        staffing=tuple(
            _staffing(each, tenant, f"staffing[{at}]") for at, each in enumerate(request.staffing)
        ),
    )


def _calendar(request: backtestpb.BacktestAgreementRequest) -> Calendar | None:
    try:
        return wire.calendar_in(request)
    except CalendarInvalid as error:
        raise field_invalid(
            f"supposed_calendar.{error.field}", error.reason, reason="CALENDAR_INVALID"
        ) from None


def _team_calendars(request: backtestpb.BacktestAgreementRequest, tenant: str) -> tuple[tuple[str, str], ...]:
    for at, each in enumerate(request.team_calendars):
        _own(names.TEAM, each.team, tenant, f"team_calendars[{at}].team", required=True)
    return tuple((each.team, each.calendar_version) for each in request.team_calendars)


def _staffing(message: backtestpb.SupposedStaffing, tenant: str, path: str) -> Staffing:
    for field in ("start_time", "end_time"):
        if not message.HasField(field):
            raise field_invalid(f"{path}.{field}", "an instant")
    staffing = wire.staffing_in(message)
    if staffing is None:
        raise field_invalid(f"{path}.presence", "whether somebody was away, or there")
    if staffing.end_time <= staffing.start_time:
        raise field_invalid(f"{path}.end_time", "after its start")
    pattern = names.PERSON if staffing.presence is Presence.ABSENT else names.TEAM
    _own(pattern, staffing.holder, tenant, f"{path}.holder", required=True)
    return staffing


def _own(pattern: Pattern, name: str, tenant: str, field: str, *, required: bool = False) -> str:
    """Return the last id of a name of this tenant; empty where none is given."""
    if not name and not required:
        return ""
    ids = pattern.parse(name, field=field)
    if ids[0] != tenant:
        raise field_invalid(field, "of the tenant in `parent`")
    return ids[-1]


def _busy() -> Refusal:
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "BACKTEST_BUSY",
        "Another back-test is under way; come again when it is through.",
        retry_delay=_COME_AGAIN,
    )
