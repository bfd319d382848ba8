"""Finding leads by who they are, and lists by filter and order, over gRPC on a real port."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import search_pb2 as searchpb
from smarketing.api.leads.v1.search_pb2_grpc import LeadSearchServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.contract.leads.office import (
    ANNA,
    BEN,
    FORM,
    LEA,
    MIA,
    TENANT,
    Office,
    an_accept,
    an_office,
    reason_of,
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        yield opened


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


def find(office: Office, who: str, **wanted: Any) -> Any:
    stub = LeadSearchServiceStub(office.channel)
    return stub.FindLeads(searchpb.FindLeadsRequest(parent=TENANT, **wanted), metadata=office.of(who))


async def found(office: Office, who: str, **wanted: Any) -> list[str]:
    return [lead.name for lead in (await find(office, who, **wanted)).leads]


async def listed(office: Office, **wanted: Any) -> list[str]:
    request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", **wanted)
    page = await office.stub.ListHandoffs(request, metadata=office.of(MIA))
    return [handoff.name for handoff in page.handoffs]


def lead_of(handoff: leadspb.Handoff) -> str:
    return handoff.name.partition("/handoffs/")[0]


async def test_a_lead_is_found_however_the_address_number_or_submission_is_spelled(office: Office) -> None:
    kim = leadspb.Contact(given_name="Kim", email="Kim@Example.com", phone="+49 30 901820")
    one = await office.submit(1, contact=kim)
    other = await office.submit(2, contact=leadspb.Contact(email="lee@example.com"))

    assert await found(office, MIA, email=" kim@EXAMPLE.com ") == [lead_of(one)]
    assert await found(office, MIA, phone="030 901820") == [lead_of(one)]
    assert await found(office, MIA, source_system="website", external_id="form-2") == [lead_of(other)]
    tagged = await office.submit(3, contact=leadspb.Contact(email="a.da+spring@gmail.com"))
    assert await found(office, MIA, email="ada+autumn@gmail.com") == [lead_of(tagged)]
    assert await found(office, MIA, email="nobody@example.com") == []
    [lead] = (await find(office, MIA, email="kim@example.com")).leads
    assert (lead.contact.given_name, lead.handoff_count) == ("Kim", 1)


async def test_who_sees_their_own_teams_leads_alone_finds_no_others(office: Office) -> None:
    handoff = await office.submit(1)
    wanted = {"email": "kim1@example.com"}

    assert await found(office, MIA, **wanted) == [lead_of(handoff)]
    assert await found(office, ANNA, **wanted) == await found(office, BEN, **wanted) == [lead_of(handoff)]
    assert (await refused(find(office, LEA, **wanted)))[0] == grpc.StatusCode.PERMISSION_DENIED
    nobodys = await office.submit(2, history=leadspb.History())
    assert await found(office, MIA, email="kim2@example.com") == [lead_of(nobodys)]
    assert await found(office, FORM, email="kim2@example.com") == [lead_of(nobodys)]
    assert await found(office, ANNA, email="kim2@example.com") == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "email"),
        ({"email": "kim@example.com", "phone": "+4930901820"}, "email"),
        ({"email": "nonsense.kim"}, "email"),
        ({"phone": "12"}, "phone"),
        ({"external_id": "form-1"}, "source_system"),
    ],
)
async def test_what_identifies_nobody_is_refused_without_being_repeated(
    office: Office, wanted: dict[str, str], field: str
) -> None:
    code, reason, metadata = await refused(find(office, MIA, **wanted))

    assert (code, reason, metadata["field"]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
        field,
    )
    assert "nonsense" not in str(metadata)


async def test_no_log_line_holds_an_address_that_was_looked_for(
    office: Office, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await found(office, MIA, email="ada.lovelace@example.com")
    await refused(find(office, MIA, email="ada.lovelace"))
    await refused(find(office, LEA, email="ada.lovelace@example.com"))

    said = capsys.readouterr()
    assert "lovelace" not in said.out + said.err + caplog.text


async def test_a_filter_narrows_the_list_and_comes_with_the_other_fields(office: Office) -> None:
    first, second, third = [
        await office.submit(number, qualification=leadspb.Qualification(segment=segment, score=score))
        for number, segment, score in ((1, "smb", 10), (2, "smb", 80), (3, "retail", 90))
    ]
    await office.stub.AcceptOffer(an_accept(first), metadata=office.of(first.offer.assignee))

    assert await listed(office, filter="qualification.segment = smb") == [second.name, first.name]
    assert await listed(office, filter="qualification.score > 50", order_by="submit_time") == [
        second.name,
        third.name,
    ]
    assert await listed(office, filter="state = ACCEPTED") == [first.name]
    assert await listed(office, owner=first.offer.assignee, filter="state != ACCEPTED") == []
    assert await listed(office, filter="next_due_time:*", order_by="next_due_time") == []


async def test_a_filter_or_order_that_is_not_understood_is_refused_with_what_would_do(office: Office) -> None:
    async def refusal(**wanted: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", **wanted)
        return await refused(office.stub.ListHandoffs(request, metadata=office.of(MIA)))

    code, reason, metadata = await refusal(filter="state = WORKING OR state = WON")
    assert (code, reason, metadata["field"]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "FILTER_INVALID",
        "filter",
    )
    assert metadata["position"] == "17"
    assert "`AND`" in metadata["expected"]
    _, reason, metadata = await refusal(order_by="owner")
    assert (reason, metadata["field"]) == ("ORDER_BY_INVALID", "order_by")
    for order in ("update_time", "update_time desc"):
        request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", order_by=order)
        with pytest.raises(grpc.aio.AioRpcError, match="which the event log tells without a gap") as caught:
            await office.stub.ListHandoffs(request, metadata=office.of(MIA))
        assert reason_of(caught.value)[1] == "ORDER_BY_INVALID"


async def test_a_page_token_holds_for_its_filter_and_order_alone(office: Office) -> None:
    for number in range(4):
        await office.submit(number)
    request = leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-", page_size=2, filter="state = OFFERED")
    request.page_token = (await office.stub.ListHandoffs(request, metadata=office.of(MIA))).next_page_token

    assert len((await office.stub.ListHandoffs(request, metadata=office.of(MIA))).handoffs) == 2
    for change in ({"filter": "state = WORKING"}, {"order_by": "submit_time"}):
        other = leadspb.ListHandoffsRequest(**change)
        other.MergeFrom(request)
        for field, value in change.items():
            setattr(other, field, value)
        assert (await refused(office.stub.ListHandoffs(other, metadata=office.of(MIA))))[1] == (
            "PAGE_TOKEN_INVALID"
        )


async def test_one_leads_handoffs_and_follow_ups_are_listed_in_either_direction(office: Office) -> None:
    handoff = await office.submit(1)
    rep = office.of(handoff.offer.assignee)
    for channel in (termspb.FOLLOW_UP_CHANNEL_CALL, termspb.FOLLOW_UP_CHANNEL_EMAIL):
        await office.stub.LogFollowUp(
            leadspb.LogFollowUpRequest(
                parent=handoff.name,
                request_id=wallclock.new_uuid(),
                follow_up=leadspb.FollowUp(channel=channel),
            ),
            metadata=rep,
        )

    async def follow_ups(**wanted: Any) -> list[int]:
        request = leadspb.ListFollowUpsRequest(parent=handoff.name, **wanted)
        page = await office.stub.ListFollowUps(request, metadata=rep)
        return [each.channel for each in page.follow_ups]

    call, email = termspb.FOLLOW_UP_CHANNEL_CALL, termspb.FOLLOW_UP_CHANNEL_EMAIL
    assert await follow_ups() == [call, email]
    assert await follow_ups(order_by="occur_time desc") == [email, call]
    assert await follow_ups(filter="channel = EMAIL") == [email]
    of_lead = leadspb.ListHandoffsRequest(parent=lead_of(handoff), filter="state = WORKING")
    page = await office.stub.ListHandoffs(of_lead, metadata=rep)
    assert [each.name for each in page.handoffs] == [handoff.name]
