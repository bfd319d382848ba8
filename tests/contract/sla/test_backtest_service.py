"""BacktestService over its own port: what would have been, for those who negotiate, and for nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.backtest_pb2_grpc import BacktestServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import MONDAY_NINE, REP, SALES, TENANT
from tests.contract.sla.test_sla_service import (
    MAIN,
    OFFICE,
    a_calendar,
    a_commitment,
    agree,
    an_agreement,
    refused,
)
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")
HANDOFFS = 60
"""More than one step of a walk goes through."""


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        await agree(yard)
        yield yard


@pytest.fixture
async def stub(yard: Yard) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
        yield BacktestServiceStub(channel)


async def missed(yard: Yard, handoffs: int = HANDOFFS) -> None:
    """Have handoffs whose first follow-up came after five hours where four were promised."""
    names = [f"{TENANT}/leads/l{number:03}/handoffs/1" for number in range(handoffs)]
    told: list[tuple[str, Any]] = []
    for name in names:
        told.append((name, leadeventspb.HandoffSubmitted(handoff=name)))
        told.append((name, leadeventspb.HandoffAccepted(handoff=name, owner=REP, team=SALES)))
    await yard.tell(*told)
    await yard.advance(hours=5)
    grade = termspb.EVIDENCE_GRADE_SELF_REPORTED
    await yard.tell(
        *(
            (name, leadeventspb.FollowUpLogged(handoff=name, person=REP, team=SALES, grade=grade))
            for name in names
        )
    )


def terms(hours: int) -> slapb.AgreementVersion:
    tier = slapb.Tier()
    tier.target_duration.FromTimedelta(timedelta(hours=hours))
    return an_agreement(commitments=[a_commitment(tiers=[tier])])


async def ask(
    yard: Yard, stub: Any, by: str = "leader", **asked: Any
) -> list[backtestpb.BacktestAgreementResponse]:
    request = backtestpb.BacktestAgreementRequest(**{"parent": TENANT, **asked})
    return [each async for each in stub.BacktestAgreement(request, metadata=yard.by(by))]


async def test_a_longer_target_would_have_been_met_and_the_last_message_says_so(yard, stub):
    await missed(yard)
    responses = await ask(yard, stub, agreement_version=terms(5), page_size=1_000)

    assert len(responses) > 1
    assert [each.HasField("backtest") for each in responses] == [False] * (len(responses) - 1) + [True]
    assert responses[0].handoffs_done_count < responses[0].handoff_count == HANDOFFS
    result = responses[-1].backtest
    assert (result.handoff_count, result.unreproduced_handoff_count) == (HANDOFFS, 0)
    (commitment,) = result.commitments
    assert (commitment.key, commitment.happened.breached_count) == ("first-follow-up", HANDOFFS)
    assert (commitment.would.met_count, commitment.would.met_low_count) == (HANDOFFS, HANDOFFS)
    assert [each.key for each in result.owners] == [REP]
    differences = [each for response in responses for each in response.differences]
    assert len(differences) == result.difference_count == HANDOFFS
    assert {(each.happened.state, each.would.state) for each in differences} == {
        (slapb.Clock.STATE_BREACHED, slapb.Clock.STATE_MET)
    }


async def test_differences_come_in_pages_bound_to_their_question(yard, stub):
    await missed(yard, 5)
    asked: dict[str, Any] = {"agreement_version": terms(5), "page_size": 2, "end_time": yard.now}
    first = (await ask(yard, stub, **asked))[-1]
    second = (await ask(yard, stub, **asked, page_token=first.next_page_token))[-1]
    third = (await ask(yard, stub, **asked, page_token=second.next_page_token))[-1]

    pages = [[each.handoff for each in page.differences] for page in (first, second, third)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({name for page in pages for name in page}) == 5
    assert third.next_page_token == ""
    assert [page.HasField("backtest") for page in (first, second, third)] == [True, False, False]
    other = {**asked, "agreement_version": terms(6), "page_token": first.next_page_token}
    assert (await refused(ask(yard, stub, **other)))[:2] == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAGE_TOKEN_INVALID",
    )


async def test_an_empty_period_is_answered_with_nothing(yard, stub):
    await missed(yard, 2)
    (only,) = await ask(yard, stub, start_time=yard.now + timedelta(days=1), end_time=yard.now + timedelta(2))

    assert (only.backtest.handoff_count, only.backtest.total.happened.clock_count) == (0, 0)
    assert list(only.backtest.commitments) == list(only.differences) == []


async def test_another_tenants_agreement_is_not_found_and_its_tenant_denied(yard, stub):
    version = "tenants/elsewhere/agreements/main/versions/1"
    calendar = "tenants/elsewhere/calendars/office/versions/1"

    assert (await refused(ask(yard, stub, version=version)))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "AGREEMENT_UNKNOWN",
    )
    assert (await refused(ask(yard, stub, calendar_version=calendar)))[:2] == (
        grpc.StatusCode.NOT_FOUND,
        "CALENDAR_UNKNOWN",
    )
    assert (await refused(ask(yard, stub, parent="tenants/elsewhere")))[1] == "PERMISSION_DENIED"


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"start_time": MONDAY_NINE, "end_time": MONDAY_NINE}, "FIELD_INVALID", "end_time"),
    ({"agreement": MAIN}, "FIELD_INVALID", "agreement"),
    ({"page_size": -1}, "FIELD_INVALID", "page_size"),
    ({"page_token": "x"}, "PAGE_TOKEN_INVALID", "page_token"),
    ({"agreement_version": slapb.AgreementVersion()}, "AGREEMENT_INVALID", "agreement_version.kind"),
    (
        {"supposed_calendar": slapb.CalendarVersion(time_zone="Atlantis/Main")},
        "CALENDAR_INVALID",
        "supposed_calendar.time_zone",
    ),
    (
        {"supposed_calendar": slapb.CalendarVersion(time_zone="Asia/Seoul")},
        "CALENDAR_NEVER_OPENS",
        "supposed_calendar.weekly_windows",
    ),
    ({"team_calendars": [{"team": "sales"}]}, "FIELD_INVALID", "team_calendars[0].team"),
    ({"team_calendars": [{"team": "tenants/x/teams/y"}]}, "FIELD_INVALID", "team_calendars[0].team"),
    ({"staffing": [{"presence": 1, "holder": REP}]}, "FIELD_INVALID", "staffing[0].start_time"),
    (
        {"staffing": [{"holder": REP, "start_time": MONDAY_NINE, "end_time": MONDAY_NINE}]},
        "FIELD_INVALID",
        "staffing[0].presence",
    ),
]


@pytest.mark.parametrize(("asked", "reason", "field"), BAD, ids=lambda value: str(value)[:40])
async def test_a_question_without_sense_is_refused_with_its_field(yard, stub, asked, reason, field):
    code, given, fields = await refused(ask(yard, stub, **asked))

    assert (code, given) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert field in fields


async def test_a_rep_asks_neither_what_would_have_been_nor_what_may_come(yard, stub):
    forecast = backtestpb.ForecastBreachesRequest(parent=TENANT)

    assert (await refused(ask(yard, stub, by="rep")))[0] is grpc.StatusCode.PERMISSION_DENIED
    denied = await refused(stub.ForecastBreaches(forecast, metadata=yard.by("rep")))
    assert denied[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_manager_is_shown_the_owners_of_their_own_teams_alone(yard, stub):
    await missed(yard, 2)
    own = (await ask(yard, stub, by="sales-manager", agreement_version=terms(5)))[-1]
    other = (await ask(yard, stub, by="marketing-manager", agreement_version=terms(5)))[-1]

    assert ([each.key for each in own.backtest.owners], len(own.differences)) == ([REP], 2)
    assert ([each.key for each in other.backtest.owners], len(other.differences)) == ([], 0)
    assert other.backtest.total == own.backtest.total


async def test_a_calendar_that_nobody_made_and_one_that_is_there_are_both_supposed(yard, stub):
    await missed(yard, 1)
    # Four hours with two closed in between last six.
    lunch = [
        slapb.WeeklyWindow(iso_weekday=1, open_time="09:00", close_time="12:00"),
        slapb.WeeklyWindow(iso_weekday=1, open_time="14:00", close_time="18:00"),
    ]
    supposed = (await ask(yard, stub, supposed_calendar=a_calendar(weekly_windows=lunch)))[-1]
    there = (await ask(yard, stub, calendar_version=f"{OFFICE}/versions/1"))[-1]

    assert supposed.backtest.total.would.met_count == 1
    assert there.backtest.total.would.breached_count == 1


async def test_one_backtest_runs_at_a_time_and_one_that_nobody_listens_to_ends(yard, stub):
    await missed(yard)
    request = backtestpb.BacktestAgreementRequest(parent=TENANT, agreement_version=terms(5))
    call = stub.BacktestAgreement(request, metadata=yard.by("leader"))
    await call.read()

    assert (await refused(ask(yard, stub)))[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKTEST_BUSY")
    call.cancel()
    async with asyncio.timeout(10):
        # Each try is a call of its own, over the network: nothing spins.
        while (responses := await _unless_busy(ask(yard, stub))) is None:
            pass
    assert responses[-1].backtest.handoff_count == HANDOFFS


async def _unless_busy(asking: Any) -> Any:
    try:
        return await asking
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return None


async def test_a_forecast_without_history_says_so_and_gives_no_number(yard, stub):
    request = backtestpb.ForecastBreachesRequest(parent=TENANT)
    found = await stub.ForecastBreaches(request, metadata=yard.by("leader"))

    (only,) = found.forecasts
    assert only.silence == backtestpb.BreachForecast.SILENCE_TOO_FEW_WEEKS
    assert not only.HasField("due")
    assert not only.HasField("breaches")
    # The Tuesday in Seoul.
    assert (found.date.year, found.date.month, found.date.day) == (2026, 9, 22)


async def test_a_day_that_is_none_or_far_off_has_no_forecast(yard, stub):
    for date in ({"year": 2026, "month": 2, "day": 30}, {"year": 2027, "month": 1, "day": 1}):
        request = backtestpb.ForecastBreachesRequest(parent=TENANT, date=date)
        refusal = await refused(stub.ForecastBreaches(request, metadata=yard.by("leader")))
        assert refusal == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", ["date"])
