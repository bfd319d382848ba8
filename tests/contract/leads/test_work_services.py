"""PlaybookService, DisputeService and WorkService as their callers see them, over gRPC on a real port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.disputes_pb2_grpc import DisputeServiceStub
from smarketing.api.leads.v1.playbook_pb2_grpc import PlaybookServiceStub
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.contract.leads.office import (
    ANNA,
    BEN,
    FORM,
    LEA,
    MAX,
    MIA,
    QUEUE,
    TENANT,
    Metadata,
    Office,
    an_accept,
    an_office,
    reason_of,
)

# What it stores, it stores alike on both: the rest of the suite runs on PostgreSQL with STORE=postgresql.
pytestmark = pytest.mark.usefixtures("each_store")


@dataclass
class Desk:
    office: Office
    playbooks: PlaybookServiceStub
    disputes: DisputeServiceStub
    work: WorkServiceStub
    operator: Metadata

    async def accepted(self, number: int) -> tuple[leadspb.Handoff, str]:
        """Submit a lead; return its handoff and who accepted it."""
        handoff = await self.office.submit(number)
        owner = handoff.offer.assignee
        return await self.office.stub.AcceptOffer(an_accept(handoff), metadata=self.office.of(owner)), owner

    async def rejected(self, number: int) -> leadspb.Handoff:
        handoff = await self.office.submit(number)
        answer = leadspb.RejectOfferRequest(
            name=handoff.offer.name,
            request_id=wallclock.new_uuid(),
            fencing_token=handoff.offer.fencing_token,
            reason_code="NO_BUYER",
            evidence="crm/1",
        )
        return await self.office.stub.RejectOffer(answer, metadata=self.office.of(handoff.offer.assignee))

    def dispute(self, handoff: leadspb.Handoff) -> disputespb.DisputeRejectionRequest:
        return disputespb.DisputeRejectionRequest(
            name=handoff.name, request_id=wallclock.new_uuid(), evidence="crm/2"
        )

    def resolve(self, dispute: str, state: Any, **changes: Any) -> disputespb.ResolveDisputeRequest:
        return disputespb.ResolveDisputeRequest(
            name=dispute, request_id=wallclock.new_uuid(), state=state, **changes
        )

    async def apply(self, **changes: Any) -> playbookpb.Playbook:
        request = playbookpb.ApplyPlaybookRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), playbook=playbookpb.Playbook(**changes)
        )
        return await self.playbooks.ApplyPlaybook(request, metadata=self.operator)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with an_office(tmp_path, principals=(FORM, ANNA, BEN, MIA, LEA, MAX)) as office:
        bearer = token_file(tmp_path, "operator").read_text().strip()
        yield Desk(
            office,
            PlaybookServiceStub(office.channel),
            DisputeServiceStub(office.channel),
            WorkServiceStub(office.channel),
            (("authorization", f"Bearer {bearer}"),),
        )


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return reason_of(error.value)


async def test_a_playbook_shows_its_defaults_and_keeps_what_is_applied(desk: Desk) -> None:
    name = f"{TENANT}/playbook"
    asked = playbookpb.GetPlaybookRequest(name=name)
    first = await desk.playbooks.GetPlaybook(asked, metadata=desk.office.of(ANNA))
    assert (first.max_takeovers, first.dispute_window_days, first.etag) == (2, 5, "0")
    assert [stage.stage for stage in first.stages] == ["DISCOVERY", "PROPOSAL", "NEGOTIATION", "CONTRACT"]
    assert len(first.action_times) == 6

    applied = await desk.apply(
        etag=first.etag,
        max_takeovers=0,
        after_win_queue=QUEUE,
        claim_order=playbookpb.ClaimOrder(score_advance_duration=Duration(seconds=60)),
        action_times=[
            playbookpb.ActionTime(
                action=leadspb.Handoff.NEXT_ACTION_CLOSE, due_duration=Duration(seconds=3_600)
            )
        ],
    )

    shown = await desk.playbooks.GetPlaybook(asked, metadata=desk.office.of(ANNA))
    assert shown == applied
    assert (shown.max_takeovers, shown.after_win_queue, shown.etag) == (0, QUEUE, "1")
    assert shown.claim_order.score_advance_duration.ToTimedelta() == timedelta(minutes=1)
    times = {each.action: each.due_duration.seconds for each in shown.action_times}
    assert times[leadspb.Handoff.NEXT_ACTION_CLOSE] == 3_600
    assert times[leadspb.Handoff.NEXT_ACTION_FOLLOW_UP] == 86_400
    assert (await refused(desk.apply(etag="0")))[:2] == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    wrong = await refused(desk.apply(dispute_window_days=-1))
    assert wrong[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "PLAYBOOK_INVALID")
    assert wrong[2]["field"] == "playbook.dispute_window_days"


async def test_the_codes_of_a_playbook_are_those_that_are_listed(desk: Desk) -> None:
    code = leadspb.ReasonCode(
        code="WRONG_INDUSTRY",
        use=leadspb.ReasonCode.USE_DISQUALIFY,
        accountable_party=termspb.PARTY_MARKETING,
    )
    await desk.apply(reason_codes=[code])

    listed = await desk.office.stub.ListReasonCodes(
        leadspb.ListReasonCodesRequest(parent=TENANT), metadata=desk.office.of(ANNA)
    )

    uses = [each.code for each in listed.reason_codes if each.use == leadspb.ReasonCode.USE_DISQUALIFY]
    assert uses == ["WRONG_INDUSTRY"]
    assert any(each.use == leadspb.ReasonCode.USE_REJECT for each in listed.reason_codes)


async def test_a_dispute_goes_from_marketing_to_the_manager_and_back_into_the_queue(desk: Desk) -> None:
    handoff = await desk.rejected(1)
    marketing, manager = desk.office.of(MAX), desk.office.of(MIA)

    made = await desk.disputes.DisputeRejection(desk.dispute(handoff), metadata=marketing)

    listing = disputespb.ListDisputesRequest(parent=TENANT, state=disputespb.Dispute.STATE_OPEN)
    [listed] = (await desk.disputes.ListDisputes(listing, metadata=manager)).disputes
    # A reference may name a person: it is told by what reads, and stands in no kept answer.
    assert (listed.evidence, made.evidence) == (desk.dispute(handoff).evidence, "")
    listed.ClearField("evidence")
    assert listed == made
    assert made.name == f"{handoff.name}/dispute"
    overturned = disputespb.Dispute.STATE_OVERTURNED
    # Leadership answers when the manager's time is over, not before.
    early = await refused(
        desk.disputes.ResolveDispute(desk.resolve(made.name, overturned), metadata=desk.office.of(LEA))
    )
    assert early[:2] == (grpc.StatusCode.PERMISSION_DENIED, "NOT_YOUR_DISPUTE")
    done = await desk.disputes.ResolveDispute(
        desk.resolve(made.name, overturned, etag=made.etag), metadata=manager
    )
    assert (done.state, done.resolver) == (overturned, MIA)
    again = await desk.office.stub.GetHandoff(leadspb.GetHandoffRequest(name=handoff.name), metadata=manager)
    assert (again.state, again.queue) == (leadspb.Handoff.STATE_OFFERED, QUEUE)
    final = await refused(desk.disputes.DisputeRejection(desk.dispute(handoff), metadata=marketing))
    assert final[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "DISPUTE_FINAL")
    assert (await desk.disputes.ListDisputes(listing, metadata=manager)).disputes == []
    asked = disputespb.GetDisputeRequest(name=made.name)
    shown = await desk.disputes.GetDispute(asked, metadata=marketing)
    assert shown.evidence == desk.dispute(handoff).evidence
    shown.ClearField("evidence")
    assert shown == done


async def test_sales_disputes_nothing_and_marketing_answers_nothing(desk: Desk) -> None:
    handoff = await desk.rejected(1)
    denied = grpc.StatusCode.PERMISSION_DENIED

    for who in (ANNA, MIA, LEA):
        call = desk.disputes.DisputeRejection(desk.dispute(handoff), metadata=desk.office.of(who))
        assert (await refused(call))[0] is denied
    answer = desk.resolve(f"{handoff.name}/dispute", disputespb.Dispute.STATE_UPHELD)
    assert (await refused(desk.disputes.ResolveDispute(answer, metadata=desk.office.of(MAX))))[0] is denied
    nothing = await refused(desk.disputes.ResolveDispute(answer, metadata=desk.office.of(MIA)))
    assert nothing[:2] == (grpc.StatusCode.NOT_FOUND, "DISPUTE_UNKNOWN")


async def test_what_comes_next_is_listed_by_pages_with_reasons(desk: Desk) -> None:
    mine = [handoff for number in range(1, 7) if (handoff := await _of_anna(desk, number))]
    anna = desk.office.of(ANNA)
    due_time = wallclock.utc_now() + timedelta(minutes=5)
    wanted = workpb.SetNextActionRequest(name=mine[-1].name, request_id=wallclock.new_uuid())
    wanted.due_time.FromDatetime(due_time)
    wanted.channel = termspb.FOLLOW_UP_CHANNEL_CALL
    said = await desk.work.SetNextAction(wanted, metadata=anna)

    steps: list[workpb.NextStep] = []
    request = workpb.ListNextActionsRequest(parent=TENANT, page_size=2)
    while True:
        page = await desk.work.ListNextActions(request, metadata=anna)
        steps += page.next_steps
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert {step.handoff for step in steps} == {handoff.name for handoff in mine}
    assert len(steps) == len(mine)
    assert steps[0].handoff == said.handoff == mine[-1].name
    assert steps[0].ground == workpb.NextStep.GROUND_PERSON
    assert list(steps[0].reasons) == [
        workpb.NextStep.REASON_DUE_SOON,
        workpb.NextStep.REASON_UNTOUCHED,
    ]
    assert all(step.action and step.HasField("due_time") for step in steps)


async def test_whoever_is_not_there_is_refused_instead_of_having_nothing(desk: Desk) -> None:
    anna = desk.office.of(ANNA)

    nobody = workpb.ListNextActionsRequest(parent=TENANT, person=f"{TENANT}/people/nobody")
    answered = await refused(desk.work.ListNextActions(nobody, metadata=anna))
    assert answered[:2] == (grpc.StatusCode.NOT_FOUND, "PRINCIPAL_UNKNOWN")

    nothing = workpb.ListTimelineRequest(parent=f"{TENANT}/leads/nothing")
    answered = await refused(desk.work.ListTimeline(nothing, metadata=anna))
    assert answered[:2] == (grpc.StatusCode.NOT_FOUND, "LEAD_UNKNOWN")


async def _of_anna(desk: Desk, number: int) -> leadspb.Handoff | None:
    handoff, owner = await desk.accepted(number)
    return handoff if owner == ANNA else None


async def test_the_timeline_tells_the_whole_story_of_a_lead_by_pages(desk: Desk) -> None:
    handoff, owner = await desk.accepted(1)
    metadata = desk.office.of(owner)
    follow_up = leadspb.FollowUp(
        channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, outcome=leadspb.FollowUp.OUTCOME_LEFT_MESSAGE
    )
    await desk.office.stub.LogFollowUp(
        leadspb.LogFollowUpRequest(parent=handoff.name, request_id=wallclock.new_uuid(), follow_up=follow_up),
        metadata=metadata,
    )
    reply = await desk.work.RecordReply(
        workpb.RecordReplyRequest(
            parent=handoff.name,
            request_id=wallclock.new_uuid(),
            reply=workpb.Reply(channel=termspb.FOLLOW_UP_CHANNEL_EMAIL),
        ),
        metadata=metadata,
    )
    assert reply.contact
    opportunity = await desk.office.stub.ConvertHandoff(
        leadspb.ConvertHandoffRequest(name=handoff.name, request_id=wallclock.new_uuid()), metadata=metadata
    )
    changed = await desk.work.UpdateOpportunity(
        workpb.UpdateOpportunityRequest(
            name=opportunity.name,
            request_id=wallclock.new_uuid(),
            stage="PROPOSAL",
            amount=termspb.Money(currency_code="EUR", minor_units=5_000),
        ),
        metadata=metadata,
    )
    assert (changed.stage, changed.probability_percent) == ("PROPOSAL", 40)
    await desk.work.RecordMilestone(
        workpb.RecordMilestoneRequest(
            name=opportunity.name,
            request_id=wallclock.new_uuid(),
            kind=workpb.OpportunityChange.KIND_CONTRACT_SIGNED,
            external_id="doc/1",
        ),
        metadata=metadata,
    )

    lead = handoff.name.partition("/handoffs/")[0]
    request = workpb.ListTimelineRequest(parent=lead, page_size=3)
    entries: list[workpb.TimelineEntry] = []
    while True:
        page = await desk.work.ListTimeline(request, metadata=metadata)
        entries += page.entries
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert [entry.type for entry in entries] == [
        "HandoffSubmitted",
        "HandoffOffered",
        "HandoffAccepted",
        "FollowUpLogged",
        "ReplyRecorded",
        "HandoffConverted",
        "OpportunityChanged",
        "OpportunityChanged",
    ]
    assert entries[0].qualification.source == "website_form"
    assert entries[2].person == owner
    assert entries[3].outcome == leadspb.FollowUp.OUTCOME_LEFT_MESSAGE
    assert entries[4].contact
    assert (entries[6].stage, entries[6].amount.minor_units) == ("PROPOSAL", 5_000)
    history = await desk.work.ListOpportunityChanges(
        workpb.ListOpportunityChangesRequest(parent=opportunity.name), metadata=metadata
    )
    assert [change.external_id for change in history.changes] == ["", "doc/1"]


async def test_feedback_reaches_marketing_with_its_words_and_leadership_without(desk: Desk) -> None:
    handoff, owner = await desk.accepted(1)
    kept = await desk.work.RecordFeedback(
        workpb.RecordFeedbackRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            feedback=workpb.Feedback(
                handoff=handoff.name,
                type=workpb.Feedback.TYPE_COMPETITOR,
                theme="cheaper-rival",
                verbatim="Herr Kim likes the others",
                competitor="Rival",
            ),
        ),
        metadata=desk.office.of(owner),
    )
    listing = workpb.ListFeedbackRequest(parent=TENANT, status=workpb.Feedback.STATUS_NEW)

    async def shown(who: str) -> list[str]:
        page = await desk.work.ListFeedback(listing, metadata=desk.office.of(who))
        return [each.verbatim for each in page.feedback]

    assert kept.verbatim == ""
    assert await shown(MAX) == ["Herr Kim likes the others"]
    assert await shown(owner) == ["Herr Kim likes the others"]
    assert await shown(LEA) == [""]
    status = workpb.SetFeedbackStatusRequest(
        name=kept.name, request_id=wallclock.new_uuid(), etag=kept.etag, status=workpb.Feedback.STATUS_DONE
    )
    done = await desk.work.SetFeedbackStatus(status, metadata=desk.office.of(MAX))
    assert (done.status, done.status_person) == (workpb.Feedback.STATUS_DONE, MAX)
    assert await shown(MAX) == []


async def test_a_reopened_opportunity_is_open_over_the_wire_too(desk: Desk) -> None:
    handoff, owner = await desk.accepted(1)
    metadata = desk.office.of(owner)
    opportunity = await desk.office.stub.ConvertHandoff(
        leadspb.ConvertHandoffRequest(name=handoff.name, request_id=wallclock.new_uuid()), metadata=metadata
    )
    await desk.office.stub.CloseOpportunity(
        leadspb.CloseOpportunityRequest(
            name=opportunity.name,
            request_id=wallclock.new_uuid(),
            state=leadspb.Opportunity.STATE_LOST,
            reason_code="PRICE",
        ),
        metadata=metadata,
    )

    opened = await desk.office.stub.ReopenOpportunity(
        leadspb.ReopenOpportunityRequest(name=opportunity.name, request_id=wallclock.new_uuid()),
        metadata=metadata,
    )

    assert opened.state == leadspb.Opportunity.STATE_OPEN
