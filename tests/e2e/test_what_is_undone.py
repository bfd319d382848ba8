"""A rejection overturned, a win reopened and lost: every service takes it in, and nobody stumbles over it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.disputes_pb2_grpc import DisputeServiceStub
from smarketing.api.leads.v1.leads_pb2_grpc import LeadServiceStub
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, ReportsClient, SlaClient
from tests.builders.processes import Installation, an_installation, until
from tests.e2e.company import Company, settled_in

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(170)]


@pytest.fixture(scope="module")
def own_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with an_installation(tmp_path_factory.mktemp("undone")) as installation:
        yield installation


async def test_what_is_undone_is_taken_in_by_every_service(
    own_installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(own_installation, "default", tmp_path)
    async with grpc.aio.insecure_channel(own_installation.addresses["leads"]["grpc"]) as channel:
        leads, disputes = LeadServiceStub(channel), DisputeServiceStub(channel)

        def of(who: str) -> Any:
            return (("authorization", f"Bearer {company.tokens[who]}"),)

        submission = leadspb.Submission(
            source_system="website", external_id="1", contact=leadspb.Contact(email="k@example.org")
        )
        submitted = await leads.SubmitLead(
            leadspb.SubmitLeadRequest(
                parent=company.name, request_id=wallclock.new_uuid(), submission=submission
            ),
            metadata=of("website"),
        )
        handoff = submitted.handoff
        rejected = await leads.RejectOffer(
            leadspb.RejectOfferRequest(
                name=handoff.offer.name,
                request_id=wallclock.new_uuid(),
                fencing_token=handoff.offer.fencing_token,
                reason_code="NO_CAPACITY",
            ),
            metadata=of("rosa"),
        )
        dispute = await disputes.DisputeRejection(
            disputespb.DisputeRejectionRequest(name=rejected.name, request_id=wallclock.new_uuid()),
            metadata=of("mara"),
        )
        await disputes.ResolveDispute(
            disputespb.ResolveDisputeRequest(
                name=dispute.name,
                request_id=wallclock.new_uuid(),
                state=disputespb.Dispute.STATE_OVERTURNED,
            ),
            metadata=of("sven"),
        )
        claimed = await leads.ClaimOffer(
            leadspb.ClaimOfferRequest(
                queue=f"{company.name}/queues/inbound", request_id=wallclock.new_uuid()
            ),
            metadata=of("rosa"),
        )
        opportunity = await leads.ConvertHandoff(
            leadspb.ConvertHandoffRequest(name=claimed.name, request_id=wallclock.new_uuid()),
            metadata=of("rosa"),
        )
        await _close(leads, opportunity, leadspb.Opportunity.STATE_WON, of("rosa"))
        await leads.ReopenOpportunity(
            leadspb.ReopenOpportunityRequest(name=opportunity.name, request_id=wallclock.new_uuid()),
            metadata=of("rosa"),
        )
        await _close(leads, opportunity, leadspb.Opportunity.STATE_LOST, of("rosa"))

    await _everybody_is_at_the_end(company)


async def _close(leads: Any, opportunity: leadspb.Opportunity, state: Any, metadata: Any) -> None:
    won = state == leadspb.Opportunity.STATE_WON
    request = leadspb.CloseOpportunityRequest(
        name=opportunity.name,
        request_id=wallclock.new_uuid(),
        state=state,
        amount=termspb.Money(currency_code="EUR", minor_units=100) if won else None,
        reason_code="" if won else "PRICE",
    )
    await leads.CloseOpportunity(request, metadata=metadata)


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
