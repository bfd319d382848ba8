"""IdentityService as its callers see it: possible duplicates, merges and the way back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.leads.v1.identity_pb2_grpc import IdentityServiceStub
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceStub
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.contract.leads.office import ANNA, MAX, MIA, TENANT, Office, an_accept, an_office, reason_of

KIM = leadspb.Contact(given_name="Kim", family_name="Lindqvist", email="kim@acme.com")
ROBIN = leadspb.Contact(given_name="Robin", family_name="Lindqvist", email="kim@acme.com")
RULES = identitypb.IdentitySettings(
    rules=[
        identitypb.MatchRule(
            rule_id="mailbox-and-name",
            signals=[identitypb.MATCH_SIGNAL_EMAIL, identitypb.MATCH_SIGNAL_NAME],
            confidence=9_990,
        ),
        identitypb.MatchRule(
            rule_id="shared-mailbox", signals=[identitypb.MATCH_SIGNAL_EMAIL], confidence=6_000
        ),
    ]
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        await apply_rules(opened, tmp_path)
        yield opened


async def apply_rules(office: Office, data_dir: Path) -> None:
    operator = (("authorization", f"Bearer {token_file(data_dir, 'operator').read_text().strip()}"),)
    stub = DirectoryServiceStub(office.channel)
    directory = await stub.GetDirectory(
        directorypb.GetDirectoryRequest(name=f"{TENANT}/directory"), metadata=operator
    )
    directory.identity.CopyFrom(RULES)
    applied = await stub.ApplyDirectory(
        directorypb.ApplyDirectoryRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
        ),
        metadata=operator,
    )
    assert [each.resource for each in applied.changes] == ["identity"]
    assert [each.rule_id for each in applied.directory.identity.rules] == [
        "mailbox-and-name",
        "shared-mailbox",
    ]


def lead_of(handoff: leadspb.Handoff) -> str:
    return handoff.name.rpartition("/handoffs/")[0]


async def two_who_share_a_mailbox(office: Office) -> tuple[leadspb.Handoff, leadspb.Handoff]:
    return await office.submit(1, contact=KIM), await office.submit(2, contact=ROBIN)


async def listed(office: Office, parent: str = f"{TENANT}/leads/-", **fields: Any) -> Any:
    request = identitypb.ListPossibleDuplicatesRequest(parent=parent, **fields)
    return await IdentityServiceStub(office.channel).ListPossibleDuplicates(request, metadata=office.of(MIA))


async def merge(office: Office, kept: str, merged: str, who: str = MIA) -> identitypb.LeadMerge:
    request = identitypb.MergeLeadsRequest(name=kept, request_id=wallclock.new_uuid(), merged_lead=merged)
    return await IdentityServiceStub(office.channel).MergeLeads(request, metadata=office.of(who))


async def unmerge(office: Office, merged: str) -> identitypb.LeadMerge:
    request = identitypb.UnmergeLeadsRequest(name=merged, request_id=wallclock.new_uuid())
    return await IdentityServiceStub(office.channel).UnmergeLeads(request, metadata=office.of(MAX))


async def read(office: Office, handoff: leadspb.Handoff) -> leadspb.Handoff:
    request = leadspb.GetHandoffRequest(name=handoff.name)
    return await office.stub.GetHandoff(request, metadata=office.of(MIA))


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    code, reason, _ = reason_of(refused.value)
    return code, reason


async def test_who_may_be_one_person_is_listed_with_confidence_rule_and_what_was_seen(
    office: Office,
) -> None:
    first, second = await two_who_share_a_mailbox(office)

    [pair] = (await listed(office)).possible_duplicates

    assert (pair.lead, pair.other_lead) == (lead_of(second), lead_of(first))
    assert (pair.confidence, pair.rule_id) == (6_000, "shared-mailbox")
    assert identitypb.MATCH_SIGNAL_OTHER_GIVEN_NAME in pair.signals


async def test_possible_duplicates_are_paged_the_surest_first(office: Office) -> None:
    for number, name in enumerate(("Ines", "Jonas", "Ulrich"), start=1):
        await office.submit(
            number, contact=leadspb.Contact(given_name=name, family_name="Ott", email="ott@acme.com")
        )
    seen, token = [], ""
    while not seen or token:
        page = await listed(office, page_size=1, page_token=token)
        seen += [(each.lead, each.other_lead) for each in page.possible_duplicates]
        token = page.next_page_token

    assert len(seen) == len(set(seen)) == 3
    assert seen == sorted(seen, reverse=True)


async def test_a_merge_voids_the_other_handoff_and_unmerging_gives_it_back_as_it_was(
    office: Office,
) -> None:
    first, second = await two_who_share_a_mailbox(office)
    before = await read(office, second)

    merged = await merge(office, lead_of(first), lead_of(second))
    void = await read(office, second)
    gone = (await listed(office)).possible_duplicates
    await unmerge(office, lead_of(second))
    after = await read(office, second)

    assert (merged.handoff, list(merged.merged_handoffs)) == (first.name, [second.name])
    assert (void.state, void.reason_code) == (leadspb.Handoff.STATE_VOID, "MERGED")
    assert list(gone) == []
    assert after.etag not in {before.etag, void.etag}
    for handoff in (before, after):
        handoff.ClearField("etag")
        handoff.ClearField("update_time")
    assert after == before
    assert len((await listed(office)).possible_duplicates) == 1


async def test_the_log_says_who_goes_on_for_whom_and_what_stands_again(
    office: Office, tmp_path: Path
) -> None:
    first, second = await two_who_share_a_mailbox(office)
    await merge(office, lead_of(first), lead_of(second))
    await unmerge(office, lead_of(second))

    operator = (("authorization", f"Bearer {token_file(tmp_path, 'operator').read_text().strip()}"),)
    events = await EventLogServiceStub(office.channel).ReadEvents(
        eventlogpb.ReadEventsRequest(parent=TENANT, limit=500), metadata=operator
    )
    last = [each for each in events.events if each.subject in {lead_of(first), second.name}][-3:]
    merged, unmerged = leadeventspb.LeadsMerged(), leadeventspb.LeadsUnmerged()

    assert last[0].payload.Is(leadeventspb.HandoffVoided.DESCRIPTOR)
    assert last[1].payload.Unpack(merged)
    assert last[2].payload.Unpack(unmerged)
    assert [each.skippable for each in last] == [False, True, True]
    assert (merged.handoff, list(merged.merged_handoffs)) == (first.name, [second.name])
    [restored] = unmerged.restored_handoffs
    assert (restored.handoff, restored.state) == (second.name, leadspb.Handoff.STATE_OFFERED)


async def test_the_lead_whose_handoff_has_come_further_is_kept(office: Office) -> None:
    first, second = await two_who_share_a_mailbox(office)
    await office.stub.AcceptOffer(an_accept(second), metadata=office.of(second.offer.assignee))
    forbidden = grpc.StatusCode.FAILED_PRECONDITION

    assert await refusal(merge(office, lead_of(first), lead_of(second))) == (forbidden, "KEEP_OTHER_LEAD")
    await merge(office, lead_of(second), lead_of(first))
    assert await refusal(merge(office, lead_of(second), lead_of(first))) == (
        forbidden,
        "LEAD_ALREADY_MERGED",
    )
    await unmerge(office, lead_of(first))
    assert await refusal(unmerge(office, lead_of(first))) == (forbidden, "LEAD_NOT_MERGED")


async def test_merging_is_for_who_answers_for_a_party(office: Office) -> None:
    first, second = await two_who_share_a_mailbox(office)
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")

    assert await refusal(merge(office, lead_of(first), lead_of(second), who=ANNA)) == denied
    elsewhere = lead_of(second).replace(TENANT, "tenants/elsewhere")
    assert await refusal(merge(office, lead_of(first), elsewhere)) == denied


async def test_erasing_one_of_two_merged_forgets_the_person_and_ends_the_way_back(office: Office) -> None:
    first, second = await two_who_share_a_mailbox(office)
    await merge(office, lead_of(first), lead_of(second))
    erased = await PrivacyServiceStub(office.channel).EraseSubject(
        privacypb.EraseSubjectRequest(parent=TENANT, request_id=wallclock.new_uuid(), lead=lead_of(second)),
        metadata=office.of(MAX),
    )

    assert {each.lead for each in erased.erasures} == {lead_of(first), lead_of(second)}
    assert (await refusal(unmerge(office, lead_of(second))))[1] == "LEAD_ERASED"


async def distinguish(office: Office, one: str, other: str, who: str = MIA) -> identitypb.LeadDistinction:
    request = identitypb.DistinguishLeadsRequest(name=one, request_id=wallclock.new_uuid(), other_lead=other)
    return await IdentityServiceStub(office.channel).DistinguishLeads(request, metadata=office.of(who))


async def withdraw(office: Office, one: str, other: str) -> identitypb.LeadDistinction:
    request = identitypb.WithdrawDistinctionRequest(
        name=one, request_id=wallclock.new_uuid(), other_lead=other
    )
    return await IdentityServiceStub(office.channel).WithdrawDistinction(request, metadata=office.of(MAX))


async def pairs_listed(office: Office) -> set[frozenset[str]]:
    page = await listed(office)
    return {frozenset((each.lead, each.other_lead)) for each in page.possible_duplicates}


async def some_who_share_a_mailbox(office: Office, *given_names: str) -> list[str]:
    contacts = (
        leadspb.Contact(given_name=each, family_name="Ott", email="ott@acme.com") for each in given_names
    )
    return [
        lead_of(await office.submit(number, contact=each)) for number, each in enumerate(contacts, start=1)
    ]


async def test_a_pair_of_which_somebody_said_no_is_listed_no_more_until_that_is_withdrawn(
    office: Office,
) -> None:
    first, second = (lead_of(each) for each in await two_who_share_a_mailbox(office))

    said = await distinguish(office, second, first)
    again = await distinguish(office, first, second, who=MAX)
    while_it_holds = await pairs_listed(office)
    kept = await IdentityServiceStub(office.channel).ListDistinctions(
        identitypb.ListDistinctionsRequest(parent=second), metadata=office.of(MAX)
    )
    withdrawn = await withdraw(office, first, second)

    assert (said.person, {said.lead, said.other_lead}) == (MIA, {first, second})
    # Who said it first stays named, whoever says it again.
    assert said == again == withdrawn
    assert list(kept.distinctions) == [said]
    assert while_it_holds == set()
    assert await pairs_listed(office) == {frozenset((first, second))}
    forbidden = grpc.StatusCode.FAILED_PRECONDITION
    assert await refusal(withdraw(office, first, second)) == (forbidden, "LEADS_NOT_DISTINGUISHED")


async def test_a_no_about_one_lead_holds_for_all_that_it_is_merged_with_as_long_as_it_is(
    office: Office,
) -> None:
    ann, bob, cid, dan = await some_who_share_a_mailbox(office, "Ines", "Jonas", "Ulrich", "Walter")
    await distinguish(office, bob, cid)
    await merge(office, ann, bob)
    await merge(office, dan, ann)
    merged = await pairs_listed(office)
    await unmerge(office, ann)

    # Bob is known as Dan, by way of Ann: Cid is none of the three.
    assert merged == set()
    assert await pairs_listed(office) == {frozenset((dan, other)) for other in (ann, bob, cid)}


async def test_who_is_said_to_be_two_is_merged_only_after_that_was_withdrawn(office: Office) -> None:
    ann, bob, cid = await some_who_share_a_mailbox(office, "Ines", "Jonas", "Ulrich")
    await distinguish(office, bob, cid)
    await merge(office, ann, bob)
    forbidden = grpc.StatusCode.FAILED_PRECONDITION

    assert await refusal(merge(office, ann, cid)) == (forbidden, "LEADS_DISTINGUISHED")
    assert await refusal(distinguish(office, ann, bob)) == (forbidden, "LEADS_MERGED")
    await withdraw(office, cid, bob)
    assert (await merge(office, ann, cid)).lead == ann


async def test_the_log_names_who_said_that_two_leads_are_two_people(office: Office, tmp_path: Path) -> None:
    first, second = (lead_of(each) for each in await two_who_share_a_mailbox(office))
    await distinguish(office, first, second)
    await withdraw(office, first, second)

    operator = (("authorization", f"Bearer {token_file(tmp_path, 'operator').read_text().strip()}"),)
    events = await EventLogServiceStub(office.channel).ReadEvents(
        eventlogpb.ReadEventsRequest(parent=TENANT, limit=500), metadata=operator
    )
    said, withdrawn = leadeventspb.LeadsDistinguished(), leadeventspb.DistinctionWithdrawn()
    *_, first_event, last_event = events.events
    assert first_event.payload.Unpack(said)
    assert last_event.payload.Unpack(withdrawn)
    assert (said.person, withdrawn.person, last_event.actor) == (MIA, MIA, MAX)
    assert first_event.skippable
    assert last_event.skippable


async def called(office: Office, handoff: leadspb.Handoff) -> leadspb.FollowUp:
    """Let whoever is offered the handoff accept it and call."""
    metadata = office.of(handoff.offer.assignee)
    await office.stub.AcceptOffer(an_accept(handoff), metadata=metadata)
    request = leadspb.LogFollowUpRequest(
        parent=handoff.name,
        request_id=wallclock.new_uuid(),
        follow_up=leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL),
    )
    return await office.stub.LogFollowUp(request, metadata=metadata)


async def paged(ask: Any, request: Any, of: str) -> list[Any]:
    """Read a list one by one, so that every page's end is tried."""
    request.page_size, found = 1, []
    while not found or request.page_token:
        page = await ask(request)
        found += getattr(page, of)
        request.page_token = page.next_page_token
    return found


async def history(
    office: Office, handoff: leadspb.Handoff, order_by: str = ""
) -> tuple[list[str], list[Any]]:
    """Return the follow-ups that count for a handoff, and the timeline of its lead."""
    metadata = office.of(MIA)
    follow_ups = await paged(
        lambda each: office.stub.ListFollowUps(each, metadata=metadata),
        leadspb.ListFollowUpsRequest(parent=handoff.name, order_by=order_by),
        "follow_ups",
    )
    work = WorkServiceStub(office.channel)
    entries = await paged(
        lambda each: work.ListTimeline(each, metadata=metadata),
        workpb.ListTimelineRequest(parent=lead_of(handoff)),
        "entries",
    )
    return [each.name for each in follow_ups], entries


async def test_a_kept_lead_shows_what_was_done_with_the_merged_one_as_long_as_it_is_merged(
    office: Office,
) -> None:
    first, second = await two_who_share_a_mailbox(office)
    # The merged lead was called first.
    calls = [await called(office, each) for each in (second, first)]
    alone, other = await history(office, first), await history(office, second)

    await merge(office, lead_of(first), lead_of(second))
    merged, newest_first = await history(office, first), await history(office, first, "occur_time desc")
    await unmerge(office, lead_of(second))

    assert merged[0] == [each.name for each in calls]
    assert newest_first[0] == merged[0][::-1]
    # Nothing is told twice, and what the merge itself did stands with the handoff that it made void.
    told = [(each.handoff, each.type) for each in merged[1]]
    assert told[: len(alone[1])] == [(each.handoff, each.type) for each in alone[1]]
    behind = [(each.handoff, each.type) for each in other[1]]
    assert told[len(alone[1]) :] == [*behind, (second.name, "HandoffVoided")]
    assert await history(office, first) == alone
    assert (await history(office, second))[0] == other[0]
