"""References that may name a person are sealed at rest, told to those who call the lead, and to nobody else.

Every reference below is somebody's address, as senders, diallers, mailboxes and people make them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, select

from services.leads.store.schema import SCHEMA
from smarketing import wallclock
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.disputes_pb2_grpc import DisputeServiceStub
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceStub
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.contract.leads.office import DIALLER, LEA, MAX, TENANT, Office, an_accept, an_office

MARK: Final = "zwqxv@example.com"


@dataclass
class Referring:
    """Says everything that takes a reference, each with one of its own."""

    office: Office
    said: list[str] = field(default_factory=list)

    def reference(self, what: str) -> str:
        self.said.append(f"{MARK}/{what}")
        return self.said[-1]

    async def reject(self) -> leadspb.Handoff:
        handoff = await self.office.submit(1)
        offer = handoff.offer
        request = leadspb.RejectOfferRequest(
            name=offer.name,
            request_id=wallclock.new_uuid(),
            fencing_token=offer.fencing_token,
            reason_code="NO_BUYER",
            evidence=self.reference("rejection"),
        )
        rejected = await self.office.stub.RejectOffer(request, metadata=self.office.of(offer.assignee))
        dispute = disputespb.DisputeRejectionRequest(
            name=handoff.name, request_id=wallclock.new_uuid(), evidence=self.reference("dispute")
        )
        disputes = DisputeServiceStub(self.office.channel)
        await disputes.DisputeRejection(dispute, metadata=self.office.of(MAX))
        return rejected

    async def disqualify(self) -> leadspb.Handoff:
        accepted = await self._accepted(2)
        request = leadspb.DisqualifyHandoffRequest(
            name=accepted.name,
            request_id=wallclock.new_uuid(),
            reason_code="NO_NEED",
            evidence=self.reference("disqualification"),
        )
        return await self.office.stub.DisqualifyHandoff(request, metadata=self.office.of(accepted.owner))

    async def work(self) -> leadspb.Opportunity:
        accepted = await self._accepted(3)
        metadata = self.office.of(accepted.owner)
        call = leadspb.FollowUp(
            channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, external_id=self.reference("follow-up")
        )
        follow_up = leadspb.LogFollowUpRequest(
            parent=accepted.name, request_id=wallclock.new_uuid(), follow_up=call
        )
        await self.office.stub.LogFollowUp(follow_up, metadata=metadata)
        work = WorkServiceStub(self.office.channel)
        mail = workpb.Reply(channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, external_id=self.reference("reply"))
        reply = workpb.RecordReplyRequest(parent=accepted.name, request_id=wallclock.new_uuid(), reply=mail)
        await work.RecordReply(reply, metadata=metadata)
        convert = leadspb.ConvertHandoffRequest(name=accepted.name, request_id=wallclock.new_uuid())
        opportunity = await self.office.stub.ConvertHandoff(convert, metadata=metadata)
        milestone = workpb.RecordMilestoneRequest(
            name=opportunity.name,
            request_id=wallclock.new_uuid(),
            kind=workpb.OpportunityChange.KIND_PROPOSAL_SENT,
            external_id=self.reference("proposal"),
        )
        await work.RecordMilestone(milestone, metadata=metadata)
        return opportunity

    async def tell_a_deal(self) -> leadspb.Handoff:
        """Say as another system what became of a lead that was never worked here."""
        handoff = await self.office.submit(4)
        told = leadspb.Outcome(
            source_system="website",
            external_id="form-4",
            state=leadspb.Opportunity.STATE_WON,
            amount=termspb.Money(currency_code="EUR", minor_units=100),
            deal_external_id=self.reference("deal"),
        )
        told.occur_time.FromDatetime(wallclock.utc_now())
        request = leadspb.RecordOutcomesRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), outcomes=[told]
        )
        call = self.office.stub.RecordOutcomes(iter([request]), metadata=self.office.of(DIALLER))
        [answer] = [each async for each in call]
        assert not answer.results[0].HasField("error")
        return handoff

    async def _accepted(self, number: int) -> leadspb.Handoff:
        handoff = await self.office.submit(number)
        metadata = self.office.of(handoff.offer.assignee)
        return await self.office.stub.AcceptOffer(an_accept(handoff), metadata=metadata)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        yield opened


def tables_with_the_mark(connection: Connection) -> list[str]:
    """Return the tables of which a value holds the mark, kept answers and the log among them."""

    def has_it(value: Any) -> bool:
        known = value if isinstance(value, bytes) else str(value).encode()
        return MARK.encode() in known

    return [
        table.name
        for table in SCHEMA.metadata.sorted_tables
        if any(has_it(value) for row in connection.execute(select(table)) for value in row)
    ]


async def test_no_reference_is_readable_in_the_database_and_an_export_has_them_all(office: Office) -> None:
    saying = Referring(office)
    rejected, disqualified = await saying.reject(), await saying.disqualify()
    opportunity, deal = await saying.work(), await saying.tell_a_deal()

    assert await office.leads.store.read(tables_with_the_mark) == []
    exported = ""
    for handoff in (rejected.name, disqualified.name, opportunity.handoff, deal.name):
        request = privacypb.ExportSubjectRequest(parent=TENANT, lead=handoff.partition("/handoffs/")[0])
        privacy = PrivacyServiceStub(office.channel)
        exported += (await privacy.ExportSubject(request, metadata=office.of(MAX))).json
    assert [each for each in saying.said if each not in exported] == []


async def test_whoever_works_a_lead_reads_the_references_and_leadership_does_not(office: Office) -> None:
    saying = Referring(office)
    rejected, opportunity = await saying.reject(), await saying.work()
    refused, _, followed, _, proposed = saying.said

    async def read(reader: str) -> list[str]:
        metadata: Any = office.of(reader)
        handoff = await office.stub.GetHandoff(
            leadspb.GetHandoffRequest(name=rejected.name), metadata=metadata
        )
        follow_ups = await office.stub.ListFollowUps(
            leadspb.ListFollowUpsRequest(parent=opportunity.handoff), metadata=metadata
        )
        changes = await WorkServiceStub(office.channel).ListOpportunityChanges(
            workpb.ListOpportunityChangesRequest(parent=opportunity.name), metadata=metadata
        )
        return [
            handoff.evidence,
            *(each.external_id for each in follow_ups.follow_ups),
            *(each.external_id for each in changes.changes),
        ]

    assert await read(MAX) == [refused, followed, proposed]
    assert await read(LEA) == ["", "", ""]
