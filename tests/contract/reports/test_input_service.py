"""InputService over a real port: what is recorded is in the figures, once, and only by those who may."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.type.date_pb2 import Date

from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.audit.v1.audit_pb2_grpc import AuditServiceStub
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.reports.v1.inputs_pb2_grpc import InputServiceStub
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.imports.mapping import MappingKind, read_mapping
from smarketing.cli.imports.table import Table
from smarketing.client import ClientSettings, ReportsClient
from smarketing.config import Secret
from tests.builders.reports import MONDAY, TENANT
from tests.contract.reports.house import House, a_house

_MARCH = reportspb.Period(
    start_date=Date(year=2026, month=3, day=1), end_date=Date(year=2026, month=4, day=1)
)
_EXAMPLES = Path(__file__).parents[3] / "examples"
_NORTH = f"{TENANT}/teams/north"
_Outcome = inputspb.InputResult.Outcome


def _eur(minor_units: int) -> termspb.Money:
    return termspb.Money(currency_code="EUR", minor_units=minor_units)


def _input(external_id: str, **told: Any) -> inputspb.Input:
    values = {
        "source_system": "ads",
        "external_id": external_id,
        "start_date": _MARCH.start_date,
        "end_date": _MARCH.end_date,
    }
    return inputspb.Input(**values | told)


def _spent(minor_units: int, external_id: str = "c1", **told: Any) -> inputspb.Input:
    return _input(
        external_id, cost=inputspb.Cost(type=inputspb.Cost.TYPE_MEDIA, amount=_eur(minor_units)), **told
    )


def _quota(minor_units: int, external_id: str, **told: Any) -> inputspb.Input:
    goal = inputspb.Goal(measure=inputspb.Goal.MEASURE_REVENUE, amount=_eur(minor_units))
    return _input(external_id, goal=goal, **told)


class Desk:
    """Asks on behalf of people."""

    def __init__(self, house: House, channel: grpc.aio.Channel) -> None:
        self._house = house
        self.stub = InputServiceStub(channel)
        self.audit = AuditServiceStub(channel)

    async def record(self, who: str, *inputs: inputspb.Input, request_id: str = "") -> list[Any]:
        request = inputspb.RecordInputsRequest(
            parent=TENANT, request_id=request_id or str(wallclock.new_uuid()), inputs=inputs
        )
        answer = await self.stub.RecordInputs(request, metadata=self._house.by(who))
        return [each.outcome or each.error.message for each in answer.results]

    async def figure(self, kpi_id: str, who: str = "lee") -> reportspb.KpiValue:
        request = reportspb.QueryKpiRequest(parent=TENANT, kpi_id=kpi_id, period=_MARCH)
        answer = await self._house.stub.QueryKpi(request, metadata=self._house.by(who))
        return answer.rows[0].value

    async def listed(self, who: str, **asked: Any) -> inputspb.ListInputsResponse:
        request = inputspb.ListInputsRequest(parent=TENANT, **asked)
        return await self.stub.ListInputs(request, metadata=self._house.by(who))

    async def quotas(self, who: str) -> dict[str, inputspb.Quota]:
        request = inputspb.GetQuotasRequest(parent=TENANT, period=_MARCH)
        answer = await self.stub.GetQuotas(request, metadata=self._house.by(who))
        return {quota.node: quota for quota in answer.quotas}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as found:
        await found.leads.tell(
            (
                f"{TENANT}/directory",
                MONDAY,
                leadeventspb.TenantChanged(time_zone="Etc/UTC", currency_code="EUR"),
            ),
            (_NORTH, MONDAY, leadeventspb.TeamChanged(team=_NORTH, party=termspb.PARTY_SALES)),
        )
        for name, role in (
            ("lee", directorypb.ROLE_LEADERSHIP),
            ("mara", directorypb.ROLE_MARKETING_MANAGER),
            ("sam", directorypb.ROLE_SALES_MANAGER),
            ("kim", directorypb.ROLE_SALES_REP),
            ("ann", directorypb.ROLE_SALES_REP),
            ("ada", directorypb.ROLE_AUDITOR),
        ):
            await found.hire(name, role)
        await found.settle()
        yield found


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{house.process.running.port}") as channel:
        yield Desk(house, channel)


async def test_a_higher_revision_takes_the_place_of_a_lower_and_nothing_counts_twice(desk: Desk) -> None:
    assert await desk.record("mara", _spent(100)) == [_Outcome.OUTCOME_RECORDED]
    assert await desk.record("mara", _spent(999)) == [_Outcome.OUTCOME_DUPLICATE]
    assert await desk.record("mara", _spent(300, revision=2)) == [_Outcome.OUTCOME_REPLACED]
    assert await desk.record("mara", _spent(200, revision=1)) == [_Outcome.OUTCOME_OUTDATED]

    (kept,) = (await desk.listed("mara")).inputs
    assert kept.cost.amount == _eur(300)


async def test_the_same_call_twice_is_one_and_is_on_the_record(house: House, desk: Desk) -> None:
    request_id = str(wallclock.new_uuid())
    first = await desk.record("mara", _spent(100), request_id=request_id)
    again = await desk.record("mara", _spent(100), request_id=request_id)

    trail = await desk.audit.ListAuditEntries(
        auditpb.ListAuditEntriesRequest(parent=TENANT), metadata=house.by("ada")
    )
    assert [entry.outcome for entry in trail.audit_entries] == [
        auditpb.AuditEntry.OUTCOME_REPLAYED,
        auditpb.AuditEntry.OUTCOME_APPLIED,
    ]
    assert first == again == [_Outcome.OUTCOME_RECORDED]


async def test_a_faulty_input_is_refused_by_itself_and_names_its_field(desk: Desk) -> None:
    outcomes = await desk.record(
        "mara",
        _spent(100, "good"),
        _input("empty"),
        _spent(100, "backwards", end_date=Date(year=2026, month=2, day=1)),
    )

    assert outcomes[0] == _Outcome.OUTCOME_RECORDED
    assert ["content" in outcomes[1], "end_date" in outcomes[2]] == [True, True]


async def test_what_one_party_wants_of_its_people_the_other_cannot_say(desk: Desk) -> None:
    quota = _quota(900, "q1", team=_NORTH, party=termspb.PARTY_SALES)

    (refused,) = await desk.record("mara", quota)
    assert isinstance(refused, str)
    assert await desk.record("sam", quota) == [_Outcome.OUTCOME_RECORDED]


async def test_what_one_party_said_the_other_can_neither_take_back_nor_put_something_else_in_its_place(
    desk: Desk,
) -> None:
    await desk.record("sam", _quota(900, "q1", team=_NORTH, party=termspb.PARTY_SALES))

    (replaced,) = await desk.record("mara", _spent(100, "q1", revision=1))
    (withdrawn,) = await desk.record("mara", _spent(100, "q1", revision=1, withdrawn=True))

    assert isinstance(replaced, str)
    assert isinstance(withdrawn, str)
    (kept,) = (await desk.listed("sam")).inputs
    assert kept.goal.amount == _eur(900)


async def test_a_rep_may_record_nothing(desk: Desk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.record("kim", _spent(100))

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_amounts_of_two_currencies_are_never_added(desk: Desk) -> None:
    sold = inputspb.Revenue(
        type=inputspb.Revenue.TYPE_NEW,
        amount=termspb.Money(currency_code="KRW", minor_units=500),
        cost_of_sales=termspb.Money(currency_code="KRW", minor_units=100),
    )
    await desk.record("lee", _spent(100), _input("r1", revenue=sold))

    value = await desk.figure("F1")
    assert value.undefined_reason == reportspb.UNDEFINED_REASON_MIXED_CURRENCIES


async def test_what_was_withdrawn_is_in_no_figure(desk: Desk) -> None:
    await desk.record("lee", _spent(100), _spent(50, "c2"))
    await desk.record("lee", _spent(100, withdrawn=True, revision=1))
    await desk.record("lee", _input("n1", count=inputspb.Count(series=inputspb.Count.SERIES_CLICKS, count=5)))

    assert (await desk.figure("G16")).money == _eur(50 // 5)


async def test_quotas_are_added_up_shared_down_and_seen_by_those_they_are_of(
    house: House, desk: Desk
) -> None:
    kim, ann = f"{TENANT}/people/kim", f"{TENANT}/people/ann"
    await desk.record(
        "sam",
        _quota(3000, "north", team=_NORTH, party=termspb.PARTY_SALES),
        _quota(1000, "kim", team=_NORTH, person=kim),
        _quota(500, "ann", team=_NORTH, person=ann),
    )
    version = slapb.AgreementVersion(
        name=f"{TENANT}/agreements/main/versions/1",
        state=slapb.AgreementVersion.STATE_ACTIVE,
        marketing_terms=slapb.MarketingTerms(
            quota=slapb.MarketingQuota(period=slapb.MarketingQuota.PERIOD_MONTH, value=_eur(7000))
        ),
    )
    await house.sla.tell(
        (version.name, MONDAY, slaeventspb.AgreementVersionChanged(agreement_version=version))
    )
    await house.settle()

    seen = await desk.quotas("sam")
    assert {node: quota.quota.money.minor_units for node, quota in seen.items()} == {
        "marketing": 7000,
        "sales": 3000,
        _NORTH: 3000,
        kim: 1000,
        ann: 500,
    }
    assert seen["sales"].origin == inputspb.Quota.ORIGIN_ROLLED_UP
    assert seen[_NORTH].sum_below.money == _eur(1500)
    assert set(await desk.quotas("kim")) == {"marketing", "sales", _NORTH, kim}


async def test_an_input_of_a_team_or_person_that_nobody_knows_is_refused_by_its_field(desk: Desk) -> None:
    south, zoe = f"{TENANT}/teams/south", f"{TENANT}/people/zoe"

    results = await desk.record(
        "sam",
        _quota(900, "q1", team=south),
        _quota(900, "q2", team=_NORTH, person=zoe),
        _quota(900, "q3", team=_NORTH, person=_NORTH),
        _quota(900, "q4", team=_NORTH, person=f"{TENANT}/people/kim"),
        _quota(900, "q5", team=south, withdrawn=True),
    )

    told = ["`team`: a team of the directory", "`person`: a person of the directory"]
    assert [told[0] in results[0], told[1] in results[1], told[1] in results[2]] == [True] * 3
    assert results[3:] == [_Outcome.OUTCOME_RECORDED] * 2


async def test_a_list_is_paged_and_hides_what_single_people_are_to_reach(desk: Desk) -> None:
    await desk.record("lee", _spent(1, "a"), _spent(2, "b"), _quota(9, "c", person=f"{TENANT}/people/kim"))

    first = await desk.listed("mara", page_size=1)
    rest = await desk.listed("mara", page_size=1000, page_token="")
    second = await desk.listed("mara", page_size=1, page_token=first.next_page_token)

    assert [each.external_id for each in (*first.inputs, *second.inputs)] == ["a", "b"]
    assert [each.external_id for each in rest.inputs] == ["a", "b"]


async def test_a_file_is_recorded_through_its_mapping_and_again_changes_nothing(house: House) -> None:
    mapping = read_mapping(_EXAMPLES / "olist_costs.yaml", MappingKind.INPUTS)
    settings = ClientSettings(
        reports=f"127.0.0.1:{house.process.running.port}", token=Secret(house.tokens["mara"])
    )
    outcomes: list[list[int]] = []
    async with ReportsClient(settings) as reports:
        for _ in range(2):
            table = Table(_EXAMPLES / "olist_costs.csv", mapping.form)
            messages = (mapping.message_of(row.values) for row in table.rows())
            batches = [batch async for batch in reports.record_inputs(TENANT, messages)]
            outcomes.append([answer.result.outcome for batch in batches for answer in batch])
            table.close()

    assert outcomes == [[_Outcome.OUTCOME_RECORDED] * 6, [_Outcome.OUTCOME_DUPLICATE] * 6]
