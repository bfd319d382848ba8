"""LeadService as its callers see it, over gRPC on a real port."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from services.leads.rpc.policy import POLICY
from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.server.policy import check_policy
from tests.contract.leads.office import (
    ANNA,
    BEN,
    DIALLER,
    FORM,
    LEA,
    MAX,
    MIA,
    QUEUE,
    TEAM,
    TENANT,
    Office,
    a_submission,
    a_submit,
    an_accept,
    an_office,
    reason_of,
)

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        yield opened


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


def a_batch(*submissions: leadspb.Submission) -> leadspb.SubmitLeadsRequest:
    return leadspb.SubmitLeadsRequest(parent=TENANT, request_id=wallclock.new_uuid(), submissions=submissions)


def test_every_rpc_has_a_line_in_the_policy() -> None:
    services = {method.split("/")[1] for method in POLICY}

    assert set(check_policy(POLICY, services)) == set(POLICY)


async def test_the_same_request_again_gets_the_first_answer_and_says_so(office: Office) -> None:
    request = a_submit(1)
    first = await office.stub.SubmitLead(request, metadata=office.of(FORM))
    await office.stub.AcceptOffer(an_accept(first.handoff), metadata=office.of(ANNA))

    again = office.stub.SubmitLead(request, metadata=office.of(FORM))

    assert await again == first
    assert ("idempotent-replayed", "true") in tuple(await again.trailing_metadata())


async def test_a_request_id_with_other_content_is_refused(office: Office) -> None:
    request = a_submit(1)
    await office.stub.SubmitLead(request, metadata=office.of(FORM))

    other = a_submit(2, request_id=request.request_id)
    code, reason, _ = await refused(office.stub.SubmitLead(other, metadata=office.of(FORM)))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REUSED")


async def test_a_request_id_for_another_person_is_another_request_and_refused(office: Office) -> None:
    handoff = await office.submit(1)
    owner, other = (ANNA, BEN) if handoff.offer.assignee == ANNA else (BEN, ANNA)
    await office.stub.AcceptOffer(an_accept(handoff), metadata=office.of(owner))
    call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
    request = leadspb.LogFollowUpRequest(parent=handoff.name, request_id=wallclock.new_uuid(), follow_up=call)

    def told_for(person: str) -> Any:
        metadata = (*office.of(DIALLER), ("smarketing-on-behalf-of", person))
        return office.stub.LogFollowUp(request, metadata=metadata)

    first = await told_for(owner)
    code, reason, _ = await refused(told_for(other))

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REUSED")
    assert await told_for(owner) == first


async def test_a_bad_submission_is_told_all_its_faults(office: Office) -> None:
    bad = a_submit(1, source_system="Bad Name", contact=leadspb.Contact())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.stub.SubmitLead(bad, metadata=office.of(FORM))

    code, reason, _ = reason_of(caught.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SUBMISSION_INVALID")
    violations = error_details_pb2.BadRequest()
    from grpc_status import rpc_status

    assert rpc_status.from_call(caught.value).details[1].Unpack(violations)
    assert {each.field for each in violations.field_violations} == {
        "submission.source_system",
        "submission.contact.email",
    }


async def test_of_many_who_accept_at_once_exactly_one_wins(office: Office) -> None:
    history = leadspb.History(still_open=True)
    handoff = await office.submit(1, history=history)
    assert handoff.queue == QUEUE

    answers = await asyncio.gather(
        *(
            office.stub.AcceptOffer(an_accept(handoff), metadata=office.of((ANNA, BEN)[n % 2]))
            for n in range(12)
        ),
        return_exceptions=True,
    )

    winners = [answer for answer in answers if isinstance(answer, leadspb.Handoff)]
    losers = [reason_of(answer) for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(winners), len(losers)) == (1, 11)
    assert {(code, reason) for code, reason, _ in losers} == {
        (grpc.StatusCode.FAILED_PRECONDITION, "OFFER_TAKEN")
    }
    assert {metadata["etag"] for _, _, metadata in losers} == {winners[0].etag}


async def test_a_handoff_goes_from_the_form_to_the_win(office: Office) -> None:
    handoff = await office.submit(1)
    anna = office.of(ANNA)
    accepted = await office.stub.AcceptOffer(an_accept(handoff), metadata=anna)
    follow_up = await office.stub.LogFollowUp(
        leadspb.LogFollowUpRequest(
            parent=handoff.name,
            request_id=wallclock.new_uuid(),
            follow_up=leadspb.FollowUp(
                channel=termspb.FOLLOW_UP_CHANNEL_CALL,
                grade=termspb.EVIDENCE_GRADE_CONFIRMED,
                contact=True,
            ),
        ),
        metadata=anna,
    )
    qualified = await office.stub.QualifyHandoff(
        leadspb.QualifyHandoffRequest(name=handoff.name, request_id=wallclock.new_uuid()), metadata=anna
    )
    opportunity = await office.stub.ConvertHandoff(
        leadspb.ConvertHandoffRequest(
            name=handoff.name,
            request_id=wallclock.new_uuid(),
            etag=qualified.etag,
            amount=termspb.Money(currency_code="EUR", minor_units=500_00),
            probability_percent=0,
        ),
        metadata=anna,
    )
    won = await office.stub.CloseOpportunity(
        leadspb.CloseOpportunityRequest(
            name=opportunity.name, request_id=wallclock.new_uuid(), state=leadspb.Opportunity.STATE_WON
        ),
        metadata=anna,
    )

    assert accepted.next_action == leadspb.Handoff.NEXT_ACTION_FOLLOW_UP
    assert (follow_up.person, follow_up.grade) == (ANNA, termspb.EVIDENCE_GRADE_SELF_REPORTED)
    assert qualified.state == leadspb.Handoff.STATE_QUALIFIED
    assert opportunity.HasField("probability_percent")
    assert won.amount.minor_units == 500_00
    ended = await office.stub.GetHandoff(leadspb.GetHandoffRequest(name=handoff.name), metadata=anna)
    assert ended.state == leadspb.Handoff.STATE_WON
    stored = await office.stub.GetOpportunity(
        leadspb.GetOpportunityRequest(name=opportunity.name), metadata=anna
    )
    assert stored == won
    follow_ups = await office.stub.ListFollowUps(
        leadspb.ListFollowUpsRequest(parent=handoff.name), metadata=anna
    )
    assert list(follow_ups.follow_ups) == [follow_up]


async def test_personal_data_is_for_those_who_call_or_sent_the_lead(office: Office) -> None:
    handoff = await office.submit(1)
    request = leadspb.GetLeadRequest(name=handoff.name.rpartition("/handoffs/")[0])

    for principal in (ANNA, MAX):
        lead = await office.stub.GetLead(request, metadata=office.of(principal))
        assert (lead.contact.email, lead.handoff_count) == ("kim1@example.com", 1)
    assert (await refused(office.stub.GetLead(request, metadata=office.of(LEA))))[1] == "PERMISSION_DENIED"


async def test_another_tenants_handoff_is_denied_like_one_that_is_not_there(office: Office) -> None:
    there = leadspb.GetHandoffRequest(name="tenants/default/leads/x/handoffs/1")

    code, reason, _ = await refused(office.stub.GetHandoff(there, metadata=office.of(ANNA)))

    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


async def test_a_follow_up_in_a_batch_cannot_reach_into_another_tenant(office: Office) -> None:
    handoff = await office.submit(1)
    await office.stub.AcceptOffer(an_accept(handoff), metadata=office.of(ANNA))

    def a_call(parent: str) -> leadspb.LogFollowUpRequest:
        told = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
        return leadspb.LogFollowUpRequest(parent=parent, follow_up=told, request_id=wallclock.new_uuid())

    response = await office.stub.LogFollowUps(
        leadspb.LogFollowUpsRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            requests=[
                a_call("tenants/default/leads/x/handoffs/1"),
                a_call(handoff.name),
                a_call("nonsense"),
                a_call(handoff.name.replace("/handoffs/1", "/handoffs/9")),
            ],
        ),
        metadata=office.of(DIALLER),
    )

    codes = [result.error.code for result in response.results]
    denied, ok, invalid, missing = (grpc.StatusCode[name].value[0] for name in _CODES)
    assert codes == [denied, ok, invalid, missing]
    assert response.results[1].follow_up.person == ANNA


async def test_follow_ups_asked_for_twice_are_counted_once(office: Office) -> None:
    handoff = await office.submit(1)
    told = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
    one = leadspb.LogFollowUpRequest(parent=handoff.name, follow_up=told, request_id=wallclock.new_uuid())
    request = leadspb.LogFollowUpsRequest(parent=TENANT, request_id=wallclock.new_uuid(), requests=[one, one])

    first = await office.stub.LogFollowUps(request, metadata=office.of(ANNA))
    again = await office.stub.LogFollowUps(request, metadata=office.of(ANNA))

    assert first == again
    stored = await office.stub.GetHandoff(
        leadspb.GetHandoffRequest(name=handoff.name), metadata=office.of(ANNA)
    )
    assert stored.follow_up_count == 2


async def test_many_streams_at_once_are_slowed_and_none_is_refused(office: Office) -> None:
    async def stream(number: int) -> int:
        batches = [
            a_batch(*(a_submission(number * 10_000 + batch * 400 + n) for n in range(400)))
            for batch in range(2)
        ]
        call = office.stub.SubmitLeads(iter(batches), metadata=office.of(FORM))
        return sum([len(response.results) async for response in call])

    assert await asyncio.gather(*(stream(number) for number in range(4))) == [800] * 4


_CODES = ("PERMISSION_DENIED", "OK", "INVALID_ARGUMENT", "NOT_FOUND")


async def test_a_stream_answers_each_batch_in_order_and_refuses_a_bad_lead_alone(office: Office) -> None:
    batches = [
        a_batch(a_submission(1), a_submission(2, external_id=""), a_submission(1)),
        a_batch(a_submission(1), a_submission(3)),
    ]

    responses = [
        response async for response in office.stub.SubmitLeads(iter(batches), metadata=office.of(FORM))
    ]

    assert [response.request_id for response in responses] == [batch.request_id for batch in batches]
    outcomes = leadspb.SubmitLeadResponse.Outcome
    assert [outcomes.Name(result.outcome) for response in responses for result in response.results] == [
        "OUTCOME_CREATED",
        "OUTCOME_UNSPECIFIED",
        "OUTCOME_DUPLICATE",
        "OUTCOME_DUPLICATE",
        "OUTCOME_CREATED",
    ]
    assert responses[0].results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


async def test_a_batch_is_answered_before_the_next_is_sent(office: Office) -> None:
    call = office.stub.SubmitLeads(metadata=office.of(FORM))
    for number in range(3):
        await call.write(a_batch(a_submission(number)))
        response = await asyncio.wait_for(call.read(), 5)
        assert response.results[0].outcome == leadspb.SubmitLeadResponse.OUTCOME_CREATED
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_outcomes_are_streamed_in_and_known_again(office: Office) -> None:
    await office.submit(1, history=leadspb.History())
    outcome = leadspb.Outcome(
        source_system="website", external_id="form-1", state=leadspb.Opportunity.STATE_WON
    )
    outcome.occur_time.FromJsonString("2018-03-01T10:00:00Z")
    batch = leadspb.RecordOutcomesRequest(
        parent=TENANT, request_id=wallclock.new_uuid(), outcomes=[outcome, outcome]
    )

    [response] = [each async for each in office.stub.RecordOutcomes(iter([batch]), metadata=office.of(MIA))]

    recorded, again = response.results
    assert recorded.outcome == leadspb.RecordOutcomesResult.OUTCOME_RECORDED
    assert again.outcome == leadspb.RecordOutcomesResult.OUTCOME_DUPLICATE


async def test_pages_of_handoffs_have_each_once_and_newest_first(office: Office) -> None:
    submitted = [(await office.submit(number)).name for number in range(5)]
    request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", page_size=2)

    listed: list[str] = []
    while True:
        page = await office.stub.ListHandoffs(request, metadata=office.of(LEA))
        listed += [handoff.name for handoff in page.handoffs]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert listed == submitted[::-1]
    request.owner = ANNA
    assert (await refused(office.stub.ListHandoffs(request, metadata=office.of(LEA))))[
        1
    ] == "PAGE_TOKEN_INVALID"


async def test_a_handoff_is_found_by_its_submission_state_owner_and_queue(office: Office) -> None:
    mine = await office.submit(1)
    waiting = await office.submit(2, history=leadspb.History(still_open=True))
    await office.stub.AcceptOffer(an_accept(mine), metadata=office.of(ANNA))

    async def found(**wanted: Any) -> list[str]:
        request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", **wanted)
        page = await office.stub.ListHandoffs(request, metadata=office.of(MIA))
        return [handoff.name for handoff in page.handoffs]

    assert await found(source_system="website", external_id="form-1") == [mine.name]
    assert await found(owner=ANNA) == [mine.name]
    assert await found(queue=QUEUE) == [waiting.name]
    assert await found(states=[leadspb.Handoff.STATE_ACCEPTED]) == [mine.name]
    assert await found(states=[leadspb.Handoff.STATE_WON]) == []


async def test_open_offers_come_with_the_one_that_ends_first_at_the_top_and_queues_last(
    office: Office,
) -> None:
    waiting = await office.submit(9, history=leadspb.History(still_open=True))
    offered = [(await office.submit(number)).name for number in range(3)]
    request = leadspb.ListOffersRequest(parent=TENANT, assignees=[TEAM], page_size=3)

    first = await office.stub.ListOffers(request, metadata=office.of(MIA))
    request.page_token = first.next_page_token
    second = await office.stub.ListOffers(request, metadata=office.of(MIA))

    assert [handoff.name for handoff in first.handoffs] == offered
    assert [handoff.name for handoff in second.handoffs] == [waiting.name]


async def next_offers(watch: Any) -> leadspb.WatchOffersResponse:
    while True:
        response: leadspb.WatchOffersResponse = await asyncio.wait_for(watch.read(), 5)
        if response.handoffs:
            return response


async def test_a_watch_shows_the_open_offers_then_each_change_and_goes_on_where_it_broke(
    office: Office,
) -> None:
    handoff = await office.submit(1)
    request = leadspb.WatchOffersRequest(parent=TENANT, assignees=[ANNA])
    watch = office.stub.WatchOffers(request, metadata=office.of(ANNA))
    begun = await next_offers(watch)
    assert [each.name for each in begun.handoffs] == [handoff.name]

    await office.stub.AcceptOffer(an_accept(handoff), metadata=office.of(ANNA))
    ended = await next_offers(watch)
    watch.cancel()
    assert ended.handoffs[0].offer.state == leadspb.Offer.STATE_ACCEPTED
    await office.submit(2)
    third = await office.submit(3)

    request.resume_token = ended.resume_token
    resumed = await next_offers(office.stub.WatchOffers(request, metadata=office.of(ANNA)))

    assert [each.name for each in resumed.handoffs] == [third.name]


async def test_a_resume_token_of_another_watch_is_refused(office: Office) -> None:
    request = leadspb.WatchOffersRequest(parent=TENANT, assignees=[ANNA])
    watch = office.stub.WatchOffers(request, metadata=office.of(MIA))
    await office.submit(1)
    request.resume_token = (await next_offers(watch)).resume_token
    request.assignees[:] = [BEN]

    wrong = office.stub.WatchOffers(request, metadata=office.of(MIA))

    assert (await refused(wrong.read()))[1] == "RESUME_TOKEN_INVALID"


async def test_a_watch_ends_when_the_server_drains(office: Office) -> None:
    watch = office.stub.WatchOffers(leadspb.WatchOffersRequest(parent=TENANT), metadata=office.of(ANNA))
    await asyncio.wait_for(watch.read(), 5)

    draining = asyncio.create_task(office.leads.running.drain())
    code, reason, _ = await refused(watch.read())

    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    await draining


async def test_reason_codes_are_listed_with_whom_they_are_counted_on(office: Office) -> None:
    request = leadspb.ListReasonCodesRequest(parent=TENANT, page_size=1000)

    listed = await office.stub.ListReasonCodes(request, metadata=office.of(ANNA))

    assert all(code.use and code.accountable_party and code.description for code in listed.reason_codes)


async def test_only_a_manager_reassigns(office: Office) -> None:
    handoff = await office.submit(1)
    request = leadspb.ReassignHandoffRequest(name=handoff.name, request_id=wallclock.new_uuid(), assignee=BEN)

    assert (await refused(office.stub.ReassignHandoff(request, metadata=office.of(ANNA))))[1] == (
        "PERMISSION_DENIED"
    )
    assert (await office.stub.ReassignHandoff(request, metadata=office.of(MIA))).owner == BEN
