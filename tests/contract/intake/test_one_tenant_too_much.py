"""One tenant that asks for a hundred times its quota, every way there is, and another beside it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from smarketing import wallclock
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.tenancy_pb2_grpc import TenantServiceStub
from tests.contract.intake.gate import Gate, a_gate, proof
from tests.contract.leads.office import FORM, TENANT, Metadata, a_submission, a_submit, reason_of

QUIET = "tenants/quiet"
QUOTA = 2
BATCH = 10


@dataclass
class Counted:
    """What was asked for and what became of it; leads by stream, calls and webhooks one by one."""

    admitted: int = 0
    refused: int = 0
    problems: set[str] = field(default_factory=set)


async def test_a_tenant_at_a_hundred_times_its_quota_gets_its_quota_and_harms_nobody(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        await _prepare(gate)
        source = await gate.source("mautic")
        began, counted, over = wallclock.monotonic(), Counted(), asyncio.Event()
        flood = [
            asyncio.ensure_future(_stream(gate, TENANT, gate.office.of(FORM), counted, over)),
            asyncio.ensure_future(_unary(gate, counted, over)),
            asyncio.ensure_future(_webhooks(gate, source, counted, over)),
        ]
        quiet = Counted()
        # Beside the flood: calls one after the other, and a stream without a quota of its own.
        for number in range(10):
            submit = a_submit(number)
            submit.parent = QUIET
            await gate.office.stub.SubmitLead(submit, metadata=gate.operator)
        quiet_over = asyncio.Event()
        streaming = asyncio.ensure_future(_stream(gate, QUIET, gate.operator, quiet, quiet_over, first=1_000))
        while quiet.admitted < 3 * BATCH or counted.refused < 100 * QUOTA:  # noqa: ASYNC110 - others count
            await asyncio.sleep(0.02)
        quiet_over.set()
        over.set()
        await streaming
        # The stream of the flood would wait for what it owes.
        flood[0].cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        lasted = wallclock.monotonic() - began

        # Two seconds' worth was saved up, and the last batch of a stream is paid afterwards.
        assert 1 <= counted.admitted <= QUOTA * (lasted + 2) + BATCH
        # Calls and webhooks are refused; a stream is slowed down, and loses no lead.
        assert counted.problems == {"TENANT_QUOTA_EXCEEDED", "429"}
        assert counted.refused >= 100 * QUOTA
        assert (quiet.problems, quiet.refused) == (set(), 0)


async def test_a_stream_over_the_quota_is_slow_and_whole(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        await _bound(gate, 20)
        began = wallclock.monotonic()

        async def batches() -> AsyncIterator[leadspb.SubmitLeadsRequest]:
            for number in range(6):
                yield _batch(TENANT, number * BATCH)

        stream = gate.office.stub.SubmitLeads(batches(), metadata=gate.office.of(FORM))
        answers = [response async for response in stream]
        lasted = wallclock.monotonic() - began

        assert sum(bool(result.handoff) for each in answers for result in each.results) == 6 * BATCH
        # Half of the forty that are saved up, and the last batch, are not waited for.
        assert lasted >= (6 * BATCH - 20 - BATCH) / 20


async def _prepare(gate: Gate) -> None:
    await _bound(gate, QUOTA)
    await TenantServiceStub(gate.office.channel).CreateTenant(
        tenancypb.CreateTenantRequest(
            parent="tenants/-",
            request_id=wallclock.new_uuid(),
            tenant_id="quiet",
            tenant=tenancypb.Tenant(time_zone="Asia/Seoul", region_code="KR", currency_code="KRW"),
        ),
        metadata=gate.operator,
    )


async def _bound(gate: Gate, calls_per_second: int) -> None:
    quota = tenancypb.TenantQuota(calls_per_second=calls_per_second)
    await TenantServiceStub(gate.office.channel).UpdateTenantQuota(
        tenancypb.UpdateTenantQuotaRequest(name=TENANT, request_id=wallclock.new_uuid(), quota=quota),
        metadata=gate.operator,
    )


def _batch(tenant: str, first: int) -> leadspb.SubmitLeadsRequest:
    return leadspb.SubmitLeadsRequest(
        parent=tenant,
        request_id=wallclock.new_uuid(),
        submissions=[a_submission(number) for number in range(first, first + BATCH)],
    )


async def _stream(
    gate: Gate, tenant: str, who: Metadata, counted: Counted, over: asyncio.Event, *, first: int = 100_000
) -> None:
    """Send batches as fast as they are taken, until it is over; what was sent is answered."""
    # The opening of a stream is a call, and is refused like one while nothing is left.
    while not over.is_set():
        stream = gate.office.stub.SubmitLeads(metadata=who)
        try:
            while not over.is_set():
                await stream.write(_batch(tenant, first))
                first += BATCH
                response = await stream.read()
                if response is grpc.aio.EOF:
                    raise grpc.aio.UsageError("the stream ended")
                counted.admitted += sum(bool(result.handoff) for result in response.results)
                assert not any(result.error.code for result in response.results)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            assert await stream.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await asyncio.sleep(0.05)
        finally:
            stream.cancel()


async def _unary(gate: Gate, counted: Counted, over: asyncio.Event) -> None:
    number = 200_000
    while not over.is_set():
        number += 1
        try:
            await gate.office.stub.SubmitLead(a_submit(number), metadata=gate.office.of(FORM))
        except grpc.aio.AioRpcError as error:
            counted.refused += 1
            counted.problems.add(reason_of(error)[1])
        else:
            counted.admitted += 1


async def _webhooks(gate: Gate, source: intakepb.Source, counted: Counted, over: asyncio.Event) -> None:
    while not over.is_set():
        response = await gate.post(source, b"{}", **proof("mautic", b"{}"))
        if response.status_code == 200:
            counted.admitted += 1
        else:
            counted.refused += 1
            counted.problems.add(str(response.status_code))
