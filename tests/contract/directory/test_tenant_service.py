"""TenantService as its callers see it: tenants and quotas, people who leave, tokens that are replaced."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from services.leads.usecases.bootstrap import token_file
from smarketing import wallclock
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.api.leads.v1.tenancy_pb2_grpc import TenantServiceStub
from tests.contract.leads.office import (
    ANNA,
    BEN,
    FORM,
    MIA,
    QUEUE,
    TENANT,
    Office,
    a_submission,
    a_submit,
    an_accept,
    an_office,
    reason_of,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT


class Hall:
    """The installation's operator, in an office."""

    def __init__(self, office: Office, data_dir: Path) -> None:
        self.office = office
        self.stub = TenantServiceStub(office.channel)
        self.directories = DirectoryServiceStub(office.channel)
        self.operator = (("authorization", f"Bearer {token_file(data_dir, 'operator').read_text().strip()}"),)

    async def create(self, tenant_id: str, **quota: int) -> tenancypb.Tenant:
        request = tenancypb.CreateTenantRequest(
            parent="tenants/-",
            request_id=wallclock.new_uuid(),
            tenant_id=tenant_id,
            tenant=tenancypb.Tenant(
                time_zone="Asia/Seoul",
                region_code="KR",
                currency_code="KRW",
                quota=tenancypb.TenantQuota(**quota),
            ),
        )
        return await self.stub.CreateTenant(request, metadata=self.operator)

    async def bound(self, tenant: str, **quota: int) -> tenancypb.Tenant:
        request = tenancypb.UpdateTenantQuotaRequest(
            name=tenant, request_id=wallclock.new_uuid(), quota=tenancypb.TenantQuota(**quota)
        )
        return await self.stub.UpdateTenantQuota(request, metadata=self.operator)

    async def offboard(self, person: str, **fields: Any) -> tenancypb.OffboardPersonResponse:
        request = tenancypb.OffboardPersonRequest(name=person, request_id=wallclock.new_uuid(), **fields)
        return await self.stub.OffboardPerson(request, metadata=self.operator)

    async def rotate(self, token: str, **fields: Any) -> tenancypb.RotateTokenResponse:
        request = tenancypb.RotateTokenRequest(name=token, request_id=wallclock.new_uuid(), **fields)
        return await self.stub.RotateToken(request, metadata=self.operator)

    async def issue(self, principal: str) -> directorypb.IssueTokenResponse:
        request = directorypb.IssueTokenRequest(parent=principal, request_id=wallclock.new_uuid())
        return await self.directories.IssueToken(request, metadata=self.operator)

    async def directory(self) -> directorypb.Directory:
        request = directorypb.GetDirectoryRequest(name=f"{TENANT}/directory")
        return await self.directories.GetDirectory(request, metadata=self.operator)

    async def works(self, bearer: str) -> bool:
        request = tenancypb.GetTenantRequest(name=TENANT)
        call = self.stub.GetTenant(request, metadata=(("authorization", f"Bearer {bearer}"),))
        return await call.code() is grpc.StatusCode.OK

    async def handoff(self, name: str) -> leadspb.Handoff:
        request = leadspb.GetHandoffRequest(name=name)
        return await self.office.stub.GetHandoff(request, metadata=self.operator)

    async def worked(self, number: int) -> leadspb.Handoff:
        """Submit a lead; whoever is offered it accepts."""
        handoff = await self.office.submit(number)
        return await self.office.stub.AcceptOffer(
            an_accept(handoff), metadata=self.office.of(handoff.offer.assignee)
        )


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with an_office(tmp_path) as opened:
        yield Hall(opened, tmp_path)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_a_new_tenant_begins_with_both_departments_and_a_queue(hall: Hall) -> None:
    made = await hall.create("neu")
    listed = await hall.stub.ListTenants(
        tenancypb.ListTenantsRequest(parent="tenants/-"), metadata=hall.operator
    )

    assert (made.name, made.time_zone) == ("tenants/neu", "Asia/Seoul")
    assert [each.name for each in listed.tenants] == ["tenants/acme", "tenants/default", "tenants/neu"]
    assert (await refused(hall.create("neu")))[:2] == (grpc.StatusCode.ALREADY_EXISTS, "TENANT_EXISTS")
    assert (await refused(hall.create("Neu")))[0] is INVALID


async def test_tenants_are_listed_page_by_page(hall: Hall) -> None:
    request = tenancypb.ListTenantsRequest(parent="tenants/-", page_size=1)
    first = await hall.stub.ListTenants(request, metadata=hall.operator)
    request.page_token = first.next_page_token
    second = await hall.stub.ListTenants(request, metadata=hall.operator)

    assert [each.name for each in (*first.tenants, *second.tenants)] == ["tenants/acme", "tenants/default"]
    assert second.next_page_token == ""


async def test_applying_a_directory_leaves_the_quota_as_the_installation_gave_it(hall: Hall) -> None:
    await hall.bound(TENANT, leads_per_day=7)
    directory = await hall.directory()
    directory.etag = ""
    directory.time_zone = "Europe/Paris"
    request = directorypb.ApplyDirectoryRequest(
        parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
    )
    await hall.directories.ApplyDirectory(request, metadata=hall.operator)

    found = await hall.stub.GetTenant(tenancypb.GetTenantRequest(name=TENANT), metadata=hall.operator)
    assert (found.time_zone, found.quota.leads_per_day) == ("Europe/Paris", 7)


async def test_nobody_widens_a_quota_of_their_own(hall: Hall) -> None:
    directory = await hall.directory()
    directory.systems.add(name=f"{TENANT}/systems/keeper", roles=[directorypb.ROLE_OPERATOR])
    apply = directorypb.ApplyDirectoryRequest(
        parent=TENANT, request_id=wallclock.new_uuid(), directory=directory
    )
    await hall.directories.ApplyDirectory(apply, metadata=hall.operator)
    own = (await hall.issue(f"{TENANT}/systems/keeper")).bearer
    wanted = tenancypb.UpdateTenantQuotaRequest(
        name=TENANT, request_id=wallclock.new_uuid(), quota=tenancypb.TenantQuota(calls_per_second=10_000)
    )

    call = hall.stub.UpdateTenantQuota(wanted, metadata=(("authorization", f"Bearer {own}"),))
    assert (await refused(call))[1] == "PERMISSION_DENIED"


@pytest.mark.parametrize("quota", [{"calls_per_second": -1}, {"streams": 10_001}, {"leads_per_day": -5}])
async def test_a_quota_is_within_bounds(hall: Hall, quota: dict[str, int]) -> None:
    assert (await refused(hall.bound(TENANT, **quota)))[:2] == (INVALID, "FIELD_INVALID")


async def test_leads_over_the_quota_of_the_day_are_refused_and_repeated_ones_are_not(hall: Hall) -> None:
    await hall.bound(TENANT, leads_per_day=2)
    for number in (1, 2):
        await hall.office.submit(number)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await hall.office.submit(3)
    assert reason_of(caught.value)[:2] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUOTA_EXCEEDED")
    again = await hall.office.stub.SubmitLead(a_submit(1), metadata=hall.office.of(FORM))
    assert again.outcome == leadspb.SubmitLeadResponse.OUTCOME_DUPLICATE
    await hall.bound(TENANT, leads_per_day=3)
    assert (await hall.office.submit(3)).name


async def test_a_batch_is_cut_off_at_the_quota_lead_by_lead(hall: Hall) -> None:
    await hall.bound(TENANT, leads_per_day=2)

    async def batches() -> AsyncIterator[leadspb.SubmitLeadsRequest]:
        submissions = [a_submission(number) for number in range(4)]
        yield leadspb.SubmitLeadsRequest(
            parent=TENANT, request_id=wallclock.new_uuid(), submissions=submissions
        )

    stream = hall.office.stub.SubmitLeads(batches(), metadata=hall.office.of(FORM))
    [answered] = [response async for response in stream]
    assert [bool(result.handoff) for result in answered.results] == [True, True, False, False]


async def test_one_tenant_at_a_hundred_times_its_quota_harms_no_other(hall: Hall) -> None:
    quota, seconds = 20, 2.0
    await hall.bound(TENANT, calls_per_second=quota)
    await hall.create("quiet")
    busy, quiet = hall.office.of(MIA), hall.operator
    alone = await _times(hall, "tenants/quiet", quiet, 100)
    flood = asyncio.create_task(_flood(hall, busy, calls=int(100 * quota * seconds)))
    beside = await _times(hall, "tenants/quiet", quiet, 100)
    began = wallclock.monotonic()
    admitted, refused_calls, lasted = await flood

    # Two seconds' worth is saved up; beyond that the rate holds.
    assert admitted <= quota * (lasted + 2) + 1, (began, lasted)
    assert refused_calls > 10 * admitted
    # No call of the other was refused: each was answered, or `_times` had raised. Callers and server share a
    # loop here, so that how long it took is only kept from growing with the flood.
    assert statistics.median(beside) < max(10 * statistics.median(alone), 0.25)


async def test_a_tenants_streams_are_bounded_together(hall: Hall) -> None:
    await hall.bound(TENANT, streams=1)
    watch = leadspb.WatchOffersRequest(parent=TENANT)
    first = hall.office.stub.WatchOffers(watch, metadata=hall.office.of(ANNA))
    await first.read()
    second = hall.office.stub.WatchOffers(watch, metadata=hall.office.of(BEN))

    assert (await refused(second.read()))[1] == "TOO_MANY_STREAMS"
    first.cancel()


async def test_a_rotated_token_works_until_the_overlap_is_over(hall: Hall) -> None:
    old = await hall.issue(ANNA)
    new = await hall.rotate(old.token.name)

    assert await hall.works(old.bearer)
    assert await hall.works(new.bearer)
    overlap = new.previous.expire_time.ToDatetime() - new.token.create_time.ToDatetime()
    assert overlap == timedelta(hours=24)


async def test_a_rotation_without_overlap_ends_the_old_token_at_once(hall: Hall) -> None:
    old = await hall.issue(ANNA)
    new = await hall.rotate(old.token.name, overlap_duration=Duration())

    assert (await hall.works(old.bearer), await hall.works(new.bearer)) == (False, True)
    assert (await refused(hall.rotate(old.token.name)))[1] == "TOKEN_ENDED"


async def test_a_rotation_never_lengthens_the_old_token(hall: Hall) -> None:
    request = directorypb.IssueTokenRequest(
        parent=ANNA, request_id=wallclock.new_uuid(), lifetime_duration=Duration(seconds=60)
    )
    old = await hall.directories.IssueToken(request, metadata=hall.operator)
    new = await hall.rotate(old.token.name)

    assert new.previous.expire_time == old.token.expire_time


async def test_who_leaves_is_offered_nothing_owns_nothing_and_cannot_call(hall: Hall) -> None:
    handoffs = [await hall.worked(number) for number in range(4)]
    annas = [each.name for each in handoffs if each.owner == ANNA]
    offered = [await hall.office.submit(number) for number in (10, 11)]
    left = await hall.offboard(ANNA)

    assert {each.handoff for each in left.moves} == {
        *annas,
        *(each.name for each in offered if each.offer.assignee == ANNA),
    }
    assert all(each.assignee == BEN for each in left.moves)
    for name in annas:
        moved = await hall.handoff(name)
        assert (moved.state, moved.owner, moved.offer.assignee) == (leadspb.Handoff.STATE_OFFERED, "", BEN)
    assert not await hall.works(hall.office.tokens[ANNA])
    directory = await hall.directory()
    assert [each.inactive for each in directory.people if each.name == ANNA] == [True]
    assert [member.person for rule in directory.routing.rules for member in rule.members] == [BEN]


async def test_a_preview_says_what_would_move_and_moves_nothing(hall: Hall) -> None:
    handoffs = [await hall.worked(number) for number in range(4)]
    seen = await hall.offboard(ANNA, validate_only=True)
    before = [await hall.handoff(each.name) for each in handoffs]
    left = await hall.offboard(ANNA)

    assert [each.etag for each in before] == [each.etag for each in handoffs]
    assert list(seen.moves) == list(left.moves)
    assert list(seen.tokens) == list(left.tokens)
    assert seen.move_count == 2


async def test_everything_may_go_to_one_person_or_queue(hall: Hall) -> None:
    for number in range(4):
        await hall.worked(number)
    to_queue = await hall.offboard(ANNA, assignee=QUEUE)
    to_manager = await hall.offboard(BEN, assignee=MIA)

    assert {each.assignee for each in to_queue.moves} == {QUEUE}
    assert {each.assignee for each in to_manager.moves} == {MIA}


async def test_what_is_qualified_goes_to_a_person_even_where_the_rest_is_queued(hall: Hall) -> None:
    handoff = await hall.worked(1)
    request = leadspb.QualifyHandoffRequest(name=handoff.name, request_id=wallclock.new_uuid())
    await hall.office.stub.QualifyHandoff(request, metadata=hall.office.of(handoff.owner))
    left = await hall.offboard(handoff.owner, assignee=QUEUE)

    assert [each.assignee for each in left.moves] == [MIA]
    assert (await hall.handoff(handoff.name)).state == leadspb.Handoff.STATE_QUALIFIED


async def test_who_has_left_leaves_again_without_effect(hall: Hall) -> None:
    await hall.worked(1)
    await hall.offboard(ANNA)
    again = await hall.offboard(ANNA)

    assert (again.move_count, list(again.tokens)) == (0, [])


@pytest.mark.parametrize("assignee", [ANNA, f"{TENANT}/people/nobody", f"{TENANT}/queues/nowhere"])
async def test_nothing_goes_to_who_leaves_or_is_not_there(hall: Hall, assignee: str) -> None:
    assert (await refused(hall.offboard(ANNA, assignee=assignee)))[1] == "ASSIGNEE_UNKNOWN"


async def test_nobody_leaves_who_is_not_there(hall: Hall) -> None:
    assert (await refused(hall.offboard(f"{TENANT}/people/nobody")))[1] == "PRINCIPAL_UNKNOWN"


async def _times(hall: Hall, tenant: str, metadata: Any, calls: int) -> list[float]:
    request = tenancypb.GetTenantRequest(name=tenant)
    taken = []
    for _ in range(calls):
        began = wallclock.monotonic()
        await hall.stub.GetTenant(request, metadata=metadata)
        taken.append(wallclock.monotonic() - began)
    return taken


async def _flood(hall: Hall, metadata: Any, *, calls: int) -> tuple[int, int, float]:
    """Call as often as can be from eight places at once; return admitted, refused, and how long it took."""
    request = tenancypb.GetTenantRequest(name=TENANT)
    outcomes: dict[grpc.StatusCode, int] = {}
    began = wallclock.monotonic()

    async def caller() -> None:
        for _ in range(calls // 8):
            code = await hall.stub.GetTenant(request, metadata=metadata).code()
            outcomes[code] = outcomes.get(code, 0) + 1

    await asyncio.gather(*(caller() for _ in range(8)))
    lasted = wallclock.monotonic() - began
    assert outcomes.keys() == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    return outcomes[grpc.StatusCode.OK], outcomes[grpc.StatusCode.RESOURCE_EXHAUSTED], lasted
