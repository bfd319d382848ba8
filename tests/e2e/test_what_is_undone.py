"""A rejection overturned, a win reopened and lost: every service takes it in, and nobody stumbles over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, ReportsClient, SlaClient
from tests.builders.processes import Installation, an_installation, until
from tests.e2e.company import Company, settled_in

pytestmark = pytest.mark.timeout(170)


@pytest.fixture(scope="module")
def own_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with an_installation(tmp_path_factory.mktemp("undone")) as installation:
        yield installation


async def test_what_is_undone_is_taken_in_by_every_service(
    own_installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(own_installation, "default", tmp_path)
    async with (
        LeadsClient(company.of("website")) as website,
        LeadsClient(company.of("rosa")) as rosa,
        LeadsClient(company.of("mara")) as mara,
        LeadsClient(company.of("sven")) as sven,
    ):
        submission = leadspb.Submission(
            source_system="website", external_id="1", contact=leadspb.Contact(email="k@example.org")
        )
        submitted = await website.submit_lead(
            leadspb.SubmitLeadRequest(parent=company.name, submission=submission)
        )
        offer = submitted.handoff.offer
        rejected = await rosa.reject_offer(
            leadspb.RejectOfferRequest(
                name=offer.name, fencing_token=offer.fencing_token, reason_code="NO_CAPACITY"
            )
        )
        dispute = await mara.disputes.dispute_rejection(
            disputespb.DisputeRejectionRequest(name=rejected.name)
        )
        await sven.disputes.resolve_dispute(
            disputespb.ResolveDisputeRequest(name=dispute.name, state=disputespb.Dispute.STATE_OVERTURNED)
        )
        claimed = await rosa.claim_offer(leadspb.ClaimOfferRequest(queue=f"{company.name}/queues/inbound"))
        opportunity = await rosa.convert_handoff(leadspb.ConvertHandoffRequest(name=claimed.name))
        await rosa.close_opportunity(
            leadspb.CloseOpportunityRequest(
                name=opportunity.name,
                state=leadspb.Opportunity.STATE_WON,
                amount=termspb.Money(currency_code="EUR", minor_units=100),
            )
        )
        await rosa.reopen_opportunity(leadspb.ReopenOpportunityRequest(name=opportunity.name))
        await rosa.close_opportunity(
            leadspb.CloseOpportunityRequest(
                name=opportunity.name, state=leadspb.Opportunity.STATE_LOST, reason_code="PRICE"
            )
        )
        lead = submitted.handoff.name.partition("/handoffs/")[0]
        story = [entry.type async for entry in rosa.work.timeline(workpb.ListTimelineRequest(parent=lead))]
    assert story[-3:] == ["OpportunityClosed", "OpportunityReopened", "OpportunityClosed"]

    await _everybody_is_at_the_end(company)


async def _everybody_is_at_the_end(company: Company) -> None:
    """Wait until reports has folded both logs to their ends, and `sla` still answers."""
    head = eventlogpb.ReadEventsRequest(parent="tenants/-", limit=1)
    async with (
        LeadsClient(company.operator) as leads,
        SlaClient(company.operator) as sla,
        ReportsClient(company.operator) as reports,
    ):

        async def folded() -> bool:
            ends = [await leads.events.read_events(head), await sla.events.read_events(head)]
            funnel = await reports.get_funnel(reportspb.GetFunnelRequest(parent=company.name))
            positions = {each.log_id: each.position for each in funnel.as_of.positions}
            return positions == {page.log_id: page.head_position for page in ends}

        await until(folded, bool, seconds=30)
        clocks = await sla.list_clocks(slapb.ListClocksRequest(parent=company.name))
        assert clocks.clocks
