"""Marketing's periods over the port."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.periods_pb2_grpc import PeriodServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import HANDOFF, TENANT
from tests.contract.sla.test_sla_service import MAIN, an_agreement, make_calendar, propose, refused
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")


def euros(minor_units: int) -> termspb.Money:
    return termspb.Money(currency_code="EUR", minor_units=minor_units)


TERMS = slapb.MarketingTerms(
    lead_values=[slapb.LeadValue(value=euros(100))],
    quota=slapb.MarketingQuota(period=slapb.MarketingQuota.PERIOD_MONTH, value=euros(400)),
)


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        await make_calendar(yard)
        proposed = await propose(yard, an_agreement(marketing_terms=TERMS))
        accept = slapb.AcceptAgreementRequest(name=proposed.name, request_id=yard.request_id())
        await yard.stub.AcceptAgreement(accept, metadata=yard.by("marketing-manager"))
        activate = slapb.ActivateAgreementRequest(name=proposed.name, request_id=yard.request_id())
        await yard.stub.ActivateAgreement(activate, metadata=yard.by("sales-manager"))
        await yard.tell((HANDOFF, leadeventspb.HandoffSubmitted(handoff=HANDOFF)))
        yield yard


@pytest.fixture
async def stub(yard: Yard) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
        yield PeriodServiceStub(channel)


def of_september(stub: Any, yard: Yard, *, by: str = "marketing-manager", period: str = "2026-09") -> Any:
    request = periodspb.GetMarketingPeriodRequest(agreement=MAIN, period=period)
    return stub.GetMarketingPeriod(request, metadata=yard.by(by))


async def test_both_managers_see_what_was_handed_over_beside_what_is_owed(yard: Yard, stub: Any) -> None:
    seen = await of_september(stub, yard)
    also_seen = await of_september(stub, yard, by="sales-manager")

    assert seen == also_seen
    assert (seen.delivered, seen.quota, seen.attainment_ratio) == (euros(100), euros(400), 1 / 4)
    assert (seen.submitted_count, seen.verdict) == (1, periodspb.MarketingPeriod.VERDICT_RUNNING)
    # Nothing was held against a definition, and nothing is decided.
    assert not seen.HasField("conformance_ratio")
    assert not seen.HasField("rejected_ratio")


async def test_a_period_without_a_handoff_is_unknown_and_reps_are_not_told_of_money(
    yard: Yard, stub: Any
) -> None:
    assert (await refused(of_september(stub, yard, period="2026-08")))[1] == "PERIOD_UNKNOWN"
    assert (await refused(of_september(stub, yard, by="rep")))[1] == "PERMISSION_DENIED"


async def test_periods_are_listed_the_latest_first_page_by_page(yard: Yard, stub: Any) -> None:
    yard.now = yard.now.replace(month=10)
    other = f"{TENANT}/leads/l2/handoffs/h1"
    await yard.tell((other, leadeventspb.HandoffSubmitted(handoff=other)))
    await yard.task("sla_promptly").catch_up()
    by = yard.by("leader")
    first = await stub.ListMarketingPeriods(
        periodspb.ListMarketingPeriodsRequest(parent=TENANT, page_size=1), metadata=by
    )
    second = await stub.ListMarketingPeriods(
        periodspb.ListMarketingPeriodsRequest(parent=TENANT, page_size=1, page_token=first.next_page_token),
        metadata=by,
    )

    running, breached = periodspb.MarketingPeriod.VERDICT_RUNNING, periodspb.MarketingPeriod.VERDICT_BREACHED
    found = [*first.marketing_periods, *second.marketing_periods]
    assert [(each.period, each.verdict) for each in found] == [("2026-10", running), ("2026-09", breached)]
    assert second.next_page_token == ""
