"""What a caller may do with names that are not theirs: other people's offers, leads and handoffs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from smarketing import wallclock
from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.audit.v1.audit_pb2_grpc import AuditServiceStub
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.processes import until
from tests.contract.leads.office import ANNA, BEN, DIALLER, MAX, MIA, TENANT, Office, an_office, reason_of

CARL = f"{TENANT}/people/carl"
FIELD = f"{TENANT}/teams/field"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened, asyncio.TaskGroup() as group:
        [denials] = [task for task in opened.leads.background if task.name == "denials"]
        recording = group.create_task(denials.run())
        await _hire_carl(opened, (tmp_path / "tokens" / "operator.token").read_text().strip())
        yield opened
        recording.cancel()


async def _hire_carl(office: Office, operator: str) -> None:
    """Take on a rep in a team of their own, who has nothing to do with the inside team."""
    metadata = (("authorization", f"Bearer {operator}"),)
    office.tokens["operator"] = operator
    stub = DirectoryServiceStub(office.channel)
    directory = await stub.GetDirectory(
        directorypb.GetDirectoryRequest(name=f"{TENANT}/directory"), metadata=metadata
    )
    directory.teams.add(name=FIELD, party=termspb.PARTY_SALES)
    directory.people.add(name=CARL, roles=[directorypb.ROLE_SALES_REP], team=FIELD)
    await stub.ApplyDirectory(
        directorypb.ApplyDirectoryRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
        ),
        metadata=metadata,
    )
    issued = await stub.IssueToken(
        directorypb.IssueTokenRequest(parent=CARL, request_id=wallclock.new_uuid()), metadata=metadata
    )
    office.tokens[CARL] = issued.bearer


async def _reason(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)[1]
    return ""


def _convert(handoff: leadspb.Handoff) -> leadspb.ConvertHandoffRequest:
    return leadspb.ConvertHandoffRequest(
        name=handoff.name,
        request_id=wallclock.new_uuid(),
        amount=termspb.Money(currency_code="EUR", minor_units=100),
    )


async def test_what_is_offered_to_one_is_converted_by_nobody_else(office: Office) -> None:
    handoff = await office.submit(1)
    assert handoff.offer.assignee == ANNA

    for other in (BEN, CARL):
        assert await _reason(office.stub.ConvertHandoff(_convert(handoff), metadata=office.of(other))) != ""
    still = await office.stub.GetHandoff(
        leadspb.GetHandoffRequest(name=handoff.name), metadata=office.of(ANNA)
    )
    assert still.state == leadspb.Handoff.STATE_OFFERED


async def test_whoever_converts_what_nobody_owned_owns_it(office: Office) -> None:
    handoff = await office.submit(1)

    opportunity = await office.stub.ConvertHandoff(_convert(handoff), metadata=office.of(ANNA))
    converted = await office.stub.GetHandoff(
        leadspb.GetHandoffRequest(name=handoff.name), metadata=office.of(ANNA)
    )

    assert (opportunity.owner, converted.owner) == (ANNA, ANNA)


async def test_a_rep_tells_no_outcomes_of_other_peoples_handoffs(office: Office) -> None:
    await office.submit(1)
    occurred = Timestamp()
    occurred.FromDatetime(wallclock.utc_now())
    batch = leadspb.RecordOutcomesRequest(
        parent=TENANT,
        request_id=wallclock.new_uuid(),
        outcomes=[
            leadspb.Outcome(
                source_system="website",
                external_id="form-1",
                state=leadspb.Opportunity.STATE_LOST,
                occur_time=occurred,
                owner=CARL,
            )
        ],
    )

    async def told(principal: str) -> str:
        call = office.stub.RecordOutcomes(metadata=office.of(principal))
        try:
            await call.write(batch)
            await call.read()
            return str((await call.code()).name) if call.done() else "OK"
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            return str((await call.code()).name)

    assert await told(CARL) == "PERMISSION_DENIED"
    assert await told(DIALLER) == "OK"


async def test_a_rep_sees_the_person_behind_the_own_teams_leads_only_and_the_denial_is_audited(
    office: Office,
) -> None:
    handoff = await office.submit(1)
    lead = leadspb.GetLeadRequest(name=handoff.name.partition("/handoffs/")[0])
    nobody = leadspb.GetLeadRequest(name=f"{TENANT}/leads/nobody")

    for principal in (ANNA, BEN, MIA, MAX, DIALLER):
        assert await _reason(office.stub.GetLead(lead, metadata=office.of(principal))) == ""
    denied = [await _reason(office.stub.GetLead(each, metadata=office.of(CARL))) for each in (lead, nobody)]
    assert denied == ["PERMISSION_DENIED"] * 2
    audit = AuditServiceStub(office.channel)
    trail = await until(
        lambda: audit.ListAuditEntries(
            auditpb.ListAuditEntriesRequest(parent=TENANT, principal=CARL), metadata=office.of("operator")
        ),
        lambda found: len(found.audit_entries) > 1,
    )
    assert {(each.resource, each.reason) for each in trail.audit_entries} == {
        (lead.name, "PERMISSION_DENIED"),
        (nobody.name, "PERMISSION_DENIED"),
    }


async def test_a_system_acts_for_members_of_its_teams_by_the_header_too(office: Office) -> None:
    async def listed(person: str) -> str:
        metadata = (*office.of(DIALLER), ("smarketing-on-behalf-of", person))
        return await _reason(
            office.stub.ListHandoffs(
                leadspb.ListHandoffsRequest(parent=f"{TENANT}/leads/-"), metadata=metadata
            )
        )

    assert [await listed(person) for person in (ANNA, CARL)] == ["", "ON_BEHALF_OF_INVALID"]
