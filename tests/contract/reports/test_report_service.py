"""ReportService over a real port, fed by the logs of two peers."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from google.type.date_pb2 import Date
from grpc_status import rpc_status

from services.reports.rpc.month_ending import MonthEndKeeper
from services.reports.store.database import SCHEMA
from services.reports.store.month_ends import MonthEnds
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.eventlog.reading import view_log_id
from tests.builders.reports import MONDAY, TENANT, handoff
from tests.contract.reports.house import NOW, House, a_house

pytestmark = pytest.mark.usefixtures("each_store_if_thorough")

_VERSION = f"{TENANT}/agreements/main/versions/1"
_CALENDAR = f"{TENANT}/calendars/office/versions/1"
_MARCH = reportspb.Period(
    start_date=Date(year=2026, month=3, day=1), end_date=Date(year=2026, month=4, day=1)
)


def _at(**after: float) -> Timestamp:
    instant = Timestamp()
    instant.FromDatetime(MONDAY + timedelta(**after))
    return instant


def _submitted(number: int, source: str | None) -> Message:
    qualification = leadspb.Qualification(
        source=source, source_channel=termspb.SOURCE_CHANNEL_WEBSITE_FORM, inquire_time=_at(hours=-1)
    )
    return leadeventspb.HandoffSubmitted(
        handoff=handoff(number), lead=f"l{number}", qualification=qualification
    )


def _clock(number: int) -> slaeventspb.ClockFacts:
    return slaeventspb.ClockFacts(
        clock=f"{TENANT}/clocks/c{number}",
        handoff=handoff(number),
        agreement_version=_VERSION,
        commitment_id="first-follow-up",
        parties=[termspb.PARTY_SALES],
        kind=slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP,
        basis=slapb.TIME_BASIS_BUSINESS,
        cycle=1,
        start_time=_at(),
        original_due_time=_at(hours=8),
        due_time=_at(hours=8),
        team=f"{TENANT}/teams/north",
    )


async def _tell_a_story(house: House) -> None:
    """Three handoffs: one won for 900 euros, one followed up late, one rejected on marketing's account."""
    await house.hire("lee", directorypb.ROLE_LEADERSHIP)
    await house.hire("kim", directorypb.ROLE_SALES_REP)
    await house.leads.tell(
        (f"{TENANT}/directory", MONDAY, leadeventspb.TenantChanged(time_zone="Etc/UTC", currency_code="EUR")),
        *((handoff(number), MONDAY, _submitted(number, source)) for number, source in _SOURCES),
        *(
            (handoff(number), MONDAY + timedelta(hours=hours), payload)
            for number, hours, payload in (
                (
                    1,
                    1,
                    leadeventspb.FollowUpLogged(handoff=handoff(1), grade=termspb.EVIDENCE_GRADE_CONFIRMED),
                ),
                (
                    1,
                    70,
                    leadeventspb.OpportunityClosed(
                        handoff=handoff(1),
                        state=leadspb.Opportunity.STATE_WON,
                        amount=termspb.Money(currency_code="EUR", minor_units=90000),
                    ),
                ),
                (
                    2,
                    9,
                    leadeventspb.FollowUpLogged(handoff=handoff(2), grade=termspb.EVIDENCE_GRADE_CONFIRMED),
                ),
                (
                    3,
                    2,
                    leadeventspb.HandoffRejected(
                        handoff=handoff(3), reason_code="bad_data", accountable_party=termspb.PARTY_MARKETING
                    ),
                ),
            )
        ),
    )
    calendar = slapb.CalendarVersion(
        name=_CALENDAR,
        time_zone="Etc/UTC",
        weekly_windows=[slapb.WeeklyWindow(iso_weekday=1, open_time="09:00", close_time="17:00")],
    )
    agreement = slapb.AgreementVersion(
        name=_VERSION,
        state=slapb.AgreementVersion.STATE_ACTIVE,
        calendar_version=_CALENDAR,
        commitments=[
            slapb.Commitment(
                commitment_id="first-follow-up",
                title="First follow-up",
                parties=[termspb.PARTY_SALES],
                kind=slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP,
                objective_basis_points=9000,
            )
        ],
    )
    hour = Duration(seconds=3600)
    await house.sla.tell(
        (_CALENDAR, MONDAY, slaeventspb.CalendarVersionCreated(calendar_version=calendar)),
        (_VERSION, MONDAY, slaeventspb.AgreementVersionChanged(agreement_version=agreement)),
        *(
            (_clock(number).clock, MONDAY, slaeventspb.ClockStarted(clock=_clock(number)))
            for number in (1, 2)
        ),
        (
            _clock(1).clock,
            MONDAY + timedelta(hours=1),
            slaeventspb.ClockMet(clock=_clock(1), elapsed_duration=hour),
        ),
        (_clock(2).clock, MONDAY + timedelta(hours=8), slaeventspb.ClockBreached(clock=_clock(2))),
    )
    await house.settle()


_SOURCES = ((1, None), (2, "unknown"), (3, "unknown"))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as running:
        await _tell_a_story(running)
        yield running


def _reason(error: Any) -> str:
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return info.reason


async def test_the_funnel_keeps_an_absent_source_apart_from_the_word_unknown(house: House) -> None:
    request = reportspb.GetFunnelRequest(parent=TENANT, period=_MARCH, group_by=[reportspb.DIMENSION_SOURCE])

    funnel = await house.stub.GetFunnel(request, metadata=house.by("lee"))

    absent, unknown = funnel.rows
    assert (absent.group[0].HasField("value"), absent.submitted_count, absent.won_count) == (False, 1, 1)
    assert list(absent.won_amounts) == [termspb.Money(currency_code="EUR", minor_units=90000)]
    assert (unknown.group[0].value, unknown.submitted_count, unknown.rejected_count) == ("unknown", 2, 1)
    assert (unknown.won_ratio.numerator, unknown.won_ratio.denominator) == (0, 2)
    assert funnel.basis == reportspb.BASIS_COHORT


async def test_every_answer_says_as_of_which_positions_it_holds(house: House) -> None:
    funnel = await house.stub.GetFunnel(reportspb.GetFunnelRequest(parent=TENANT), metadata=house.by("lee"))

    positions = {position.service: position.position for position in funnel.as_of.positions}
    assert positions == {"leads": house.leads.position, "sla": house.sla.position}
    assert funnel.as_of.as_of_time.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert funnel.as_of.newest_event_time.ToDatetime(tzinfo=NOW.tzinfo) == NOW


async def test_a_tenants_positions_do_not_tell_how_busy_the_others_are(house: House) -> None:
    before = {"leads": house.leads.position, "sla": house.sla.position}
    for number in range(3):
        person = f"tenants/other/people/p{number}"
        await house.leads.tell(
            (person, MONDAY, leadeventspb.PersonChanged(person=person)), tenant="tenants/other"
        )
    await house.hire("sam", directorypb.ROLE_SERVICE, tenant="tenants/-")
    await house.settle()
    request = reportspb.GetFunnelRequest(parent=TENANT)

    own = (await house.stub.GetFunnel(request, metadata=house.by("lee"))).as_of
    whole = (await house.stub.GetFunnel(request, metadata=house.by("sam"))).as_of

    assert {each.service: each.position for each in own.positions} == before
    assert {each.service: each.position for each in whole.positions} == {
        "leads": house.leads.position,
        "sla": house.sla.position,
    }
    assert {each.log_id for each in own.positions} == {
        view_log_id(each.log_id, TENANT) for each in whole.positions
    }


async def test_the_scorecard_shows_both_parties_to_leadership(house: House) -> None:
    scorecard = await house.stub.GetScorecard(
        reportspb.GetScorecardRequest(parent=TENANT), metadata=house.by("lee")
    )

    parties = {party.party: party for party in scorecard.parties}
    (score,) = parties[termspb.PARTY_SALES].commitments
    lines = {line.kpi_id: line.value for line in parties[termspb.PARTY_MARKETING].lines}
    assert (score.title, score.objective_basis_points) == ("First follow-up", 9000)
    assert (score.met_count, score.breached_count, score.overdue_count) == (1, 1, 1)
    assert score.compliance.ratio == 0.5
    assert (lines["K12"].numerator, lines["K12"].denominator) == (1, 3)
    assert {line.kpi_id: line.value.money.minor_units for line in scorecard.joint}["V1"] == 90000


async def test_a_rep_sees_the_own_sides_promises_and_figures_alone(house: House) -> None:
    scorecard = await house.stub.GetScorecard(
        reportspb.GetScorecardRequest(parent=TENANT), metadata=house.by("kim")
    )
    assert [party.party for party in scorecard.parties] == [termspb.PARTY_SALES]

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.stub.QueryKpi(
            reportspb.QueryKpiRequest(parent=TENANT, kpi_id="K12", basis=reportspb.BASIS_COHORT),
            metadata=house.by("kim"),
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_compliance_is_by_commitment_unless_asked_otherwise(house: House) -> None:
    answer = await house.stub.GetCompliance(
        reportspb.GetComplianceRequest(parent=TENANT, period=_MARCH), metadata=house.by("lee")
    )

    (row,) = answer.rows
    assert (row.group[0].value, row.met_count, row.breached_count, row.overdue_count) == (
        "first-follow-up",
        1,
        1,
        1,
    )
    assert row.compliance.HasField("interval_low")


async def test_response_times_say_not_reached_instead_of_a_number(house: House) -> None:
    answer = await house.stub.GetResponseTimes(
        reportspb.GetResponseTimesRequest(parent=TENANT), metadata=house.by("lee")
    )

    rows = {row.measure: row for row in answer.rows}
    buyer = rows[reportspb.ResponseTimesRow.MEASURE_BUYER_TIME_TO_FIRST_FOLLOW_UP]
    assert (buyer.item_count, buyer.waiting_count) == (3, 0)
    assert buyer.p50.duration == Duration(seconds=10 * 3600)
    assert buyer.p90.undefined_reason == reportspb.UNDEFINED_REASON_QUANTILE_NOT_REACHED
    assert [point.at_risk_count for point in buyer.curve] == [3, 2, 1]


async def test_definitions_are_paged_by_id(house: House) -> None:
    first = await house.stub.ListKpis(
        reportspb.ListKpisRequest(parent=TENANT, page_size=100), metadata=house.by("kim")
    )
    rest = await house.stub.ListKpis(
        reportspb.ListKpisRequest(parent=TENANT, page_size=100, page_token=first.next_page_token),
        metadata=house.by("kim"),
    )

    ids = [kpi.kpi_id for kpi in (*first.kpis, *rest.kpis)]
    assert ids == sorted(set(ids))
    assert rest.next_page_token == ""
    assert all(kpi.formula and kpi.unit and kpi.parties for kpi in (*first.kpis, *rest.kpis))


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({"kpi_id": "Z9"}, "KPI_UNKNOWN"),
        ({"kpi_id": "H5"}, "BASIS_REQUIRED"),
        ({"kpi_id": "S23", "group_by": [reportspb.DIMENSION_SOURCE]}, "DIMENSION_UNSUPPORTED"),
        ({"kpi_id": "S1", "period": reportspb.Period()}, "PERIOD_INVALID"),
        ({"kpi_id": "S1", "group_by": [1, 2, 3]}, "FIELD_INVALID"),
    ],
)
async def test_a_question_that_cannot_be_answered_says_why(
    house: House, request_fields: dict[str, Any], reason: str
) -> None:
    request = reportspb.QueryKpiRequest(parent=TENANT, **request_fields)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.stub.QueryKpi(request, metadata=house.by("lee"))

    assert _reason(refused.value) == reason


async def test_another_tenants_figures_are_denied_like_a_missing_right(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.stub.GetFunnel(
            reportspb.GetFunnelRequest(parent="tenants/other"), metadata=house.by("lee")
        )

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_metrics_say_how_far_reports_is_and_that_its_sums_agree(house: House) -> None:
    await house.process.metrics.refresh()

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in house.process.metrics.collect()
        for sample in metric.samples
    }

    assert samples["smarketing_reports_rollup_position", "leads"] == house.leads.position
    assert samples["smarketing_reports_reconcile_mismatches", "conservation"] == 0
    assert samples["smarketing_reports_speed_to_lead_quantile_reached", "default", "0.9", "buyer"] == 0
    assert ("smarketing_reports_speed_to_lead_seconds", "default", "0.9", "buyer", "km") not in samples


async def test_no_personal_data_has_a_column_here() -> None:
    columns = {column.name for table in SCHEMA.reports.metadata.tables.values() for column in table.columns}

    assert columns.isdisjoint({"email", "phone", "name", "first_name", "last_name", "company", "address"})


async def test_an_answer_is_given_again_by_its_own_as_of_after_late_facts_restated_it(house: House) -> None:
    request = reportspb.GetFunnelRequest(parent=TENANT, period=_MARCH, group_by=[reportspb.DIMENSION_SOURCE])
    before = await house.stub.GetFunnel(request, metadata=house.by("lee"))
    await house.leads.tell((handoff(4), MONDAY, _submitted(4, "expo")))
    await house.settle()

    after = await house.stub.GetFunnel(request, metadata=house.by("lee"))
    request.as_of.CopyFrom(before.as_of)
    again = await house.stub.GetFunnel(request, metadata=house.by("lee"))
    assert len(after.rows) == len(before.rows) + 1
    assert again == before


async def test_a_position_of_another_log_is_no_past_state(house: House) -> None:
    request = reportspb.QueryKpiRequest(parent=TENANT, kpi_id="S1", period=_MARCH)
    request.as_of.as_of_time.FromDatetime(NOW)
    request.as_of.positions.add(service="leads", log_id="another", position=1)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await house.stub.QueryKpi(request, metadata=house.by("lee"))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "as_of.positions" in str(rpc_status.from_call(refused.value))


async def test_the_month_end_stays_beside_what_late_facts_restate(house: House) -> None:
    february = reportspb.Period(
        start_date=Date(year=2026, month=2, day=1), end_date=Date(year=2026, month=3, day=1)
    )
    request = reportspb.QueryKpiRequest(
        parent=TENANT, kpi_id="H5", period=february, basis=reportspb.BASIS_COHORT
    )
    before = await house.stub.QueryKpi(request, metadata=house.by("lee"))
    assert not before.HasField("month_end")

    assert await house.process.month_ends.look() == 1
    assert await house.process.month_ends.look() == 0
    late = MONDAY - timedelta(days=10)
    await house.leads.tell((handoff(5), late, _submitted(5, "expo")))
    await house.settle()

    after = await house.stub.QueryKpi(request, metadata=house.by("lee"))
    assert (before.rows[0].value.denominator, after.rows[0].value.denominator) == (0, 1)
    assert list(after.month_end.rows) == list(before.rows)
    assert after.month_end.as_of == before.as_of
    # Who sees one party's side alone sees no copy of both, and a past state has its own figures.
    mine = await house.stub.QueryKpi(request, metadata=house.by("kim"))
    request.as_of.CopyFrom(before.as_of)
    past = await house.stub.QueryKpi(request, metadata=house.by("lee"))
    assert not mine.HasField("month_end")
    assert not past.HasField("month_end")


async def test_a_month_is_over_once_all_that_was_told_until_its_end_is_folded_in(house: House) -> None:
    tables, writer = SCHEMA.reports, house.process.writer
    month_ends = MonthEnds(tables.month_end, tables.tenant_setting)
    end, second = datetime(2026, 3, 1, tzinfo=UTC), timedelta(seconds=1)

    async def newest_after(complete_until: datetime | None) -> int | None:
        keeper = MonthEndKeeper(
            writer,
            house.process.figures,
            month_ends,
            complete_until=lambda: complete_until,
            now=lambda: end + second,
        )
        await keeper.look()
        return await writer.read(lambda connection: month_ends.newest(connection, TENANT))

    # A process that has just started knows nothing yet of what was told while it was down.
    assert await newest_after(None) is None
    assert await newest_after(end - 90 * second) is None
    assert await newest_after(end - second) == date(2026, 1, 1).toordinal()
    assert await newest_after(end) == date(2026, 2, 1).toordinal()
