"""ClockService over its own port, and what an explanation shows of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.sla.v1 import clocks_pb2 as clockspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.clocks_pb2_grpc import ClockServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import HANDOFF, MONDAY_NINE, REP, SALES, TENANT
from tests.contract.sla.test_sla_service import a_commitment, an_agreement, make_calendar, propose, refused
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_store_if_thorough")

KIND = slapb.AccountedInterval


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        yield yard


@pytest.fixture
async def clocks(yard: Yard) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
        yield ClockServiceStub(channel)


async def agree(yard: Yard) -> None:
    """Put an agreement in force that knows one reason to pause, which is marketing's."""
    await make_calendar(yard)
    reason = slapb.PauseReason(code="NO_DATA", accountable_party=termspb.PARTY_MARKETING)
    proposed = await propose(yard, an_agreement(commitments=[a_commitment()], pause_reasons=[reason]))
    assert [each.code for each in proposed.pause_reasons] == ["NO_DATA"]
    accept = slapb.AcceptAgreementRequest(name=proposed.name, request_id=yard.request_id())
    await yard.stub.AcceptAgreement(accept, metadata=yard.by("marketing-manager"))
    activate = slapb.ActivateAgreementRequest(name=proposed.name, request_id=yard.request_id())
    await yard.stub.ActivateAgreement(activate, metadata=yard.by("sales-manager"))


async def a_clock(yard: Yard) -> slapb.Clock:
    """Return the clock of a lead that asked an hour before it was handed over, assigned at once."""
    await agree(yard)
    asked = Timestamp()
    asked.FromDatetime(yard.now - timedelta(hours=1))
    submitted = leadeventspb.HandoffSubmitted(
        handoff=HANDOFF, qualification=leadspb.Qualification(inquire_time=asked)
    )
    accepted = leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)
    await yard.tell((HANDOFF, submitted), (HANDOFF, accepted))
    listed = await yard.stub.ListClocks(slapb.ListClocksRequest(parent=TENANT), metadata=yard.by("leader"))
    (clock,) = listed.clocks
    return clock  # type: ignore[no-any-return] # a stub is untyped


def pause(yard: Yard, clock: slapb.Clock, **changed: Any) -> clockspb.PauseClockRequest:
    return clockspb.PauseClockRequest(
        **{"name": clock.name, "request_id": yard.request_id(), "reason_code": "NO_DATA", **changed}
    )


async def test_a_pause_moves_the_due_instant_and_is_shown_as_whose_it_was(yard: Yard, clocks: Any) -> None:
    clock = await a_clock(yard)
    await yard.advance(hours=1)
    paused = await clocks.PauseClock(pause(yard, clock), metadata=yard.by("sales-manager"))
    assert paused.state == slapb.Clock.STATE_PAUSED
    await yard.advance(hours=2)
    resume = clockspb.ResumeClockRequest(name=clock.name, request_id=yard.request_id(), reason_code="NO_DATA")
    resumed = await clocks.ResumeClock(resume, metadata=yard.by("rep"))
    assert resumed.due_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo) == MONDAY_NINE + timedelta(hours=6)
    await yard.advance(hours=1)

    explained = await yard.stub.ExplainClock(
        slapb.ExplainClockRequest(name=clock.name), metadata=yard.by("marketing-manager")
    )
    account = [
        (each.kind, each.accountable_party, each.end_time.ToDatetime() - each.start_time.ToDatetime())
        for each in explained.account
    ]
    assert account == [
        (KIND.KIND_SOURCE_LAG, termspb.PARTY_MARKETING, timedelta(hours=1)),
        (KIND.KIND_OWNER_IDLE, termspb.PARTY_SALES, timedelta(hours=1)),
        (KIND.KIND_PAUSED, termspb.PARTY_MARKETING, timedelta(hours=2)),
        (KIND.KIND_OWNER_IDLE, termspb.PARTY_SALES, timedelta(hours=1)),
    ]
    assert [each.pause_reason for each in explained.account] == ["", "", "NO_DATA", ""]
    assert all(each.event_position > 0 for each in explained.account)


async def test_only_who_may_grant_the_reason_pauses_a_clock(yard: Yard, clocks: Any) -> None:
    clock = await a_clock(yard)

    code, _, _ = await refused(clocks.PauseClock(pause(yard, clock), metadata=yard.by("rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    lunch = pause(yard, clock, reason_code="LUNCH")
    code, reason, fields = await refused(clocks.PauseClock(lunch, metadata=yard.by("sales-manager")))
    assert (code, reason, fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "PAUSE_REASON_UNKNOWN",
        ["reason_code"],
    )


async def test_a_repeated_request_is_answered_as_the_first_time(yard: Yard, clocks: Any) -> None:
    clock = await a_clock(yard)
    request = pause(yard, clock)
    first = await clocks.PauseClock(request, metadata=yard.by("sales-manager"))
    await yard.advance(minutes=1)

    assert await clocks.PauseClock(request, metadata=yard.by("sales-manager")) == first


async def test_an_owners_leave_is_not_their_time(yard: Yard) -> None:
    clock = await a_clock(yard)
    leave = slapb.Leave()
    leave.start_time.FromDatetime(MONDAY_NINE + timedelta(hours=1))
    leave.end_time.FromDatetime(MONDAY_NINE + timedelta(hours=3))
    wanted = slapb.CreateLeaveRequest(parent=REP, request_id=yard.request_id(), leave=leave)
    await yard.stub.CreateLeave(wanted, metadata=yard.by("rep"))
    await yard.advance(hours=4)

    explained = await yard.stub.ExplainClock(
        slapb.ExplainClockRequest(name=clock.name), metadata=yard.by("sales-manager")
    )
    (segment,) = explained.owner_segments
    # Two of four hours were leave: the owner's own time ends two hours after the handoff's clock.
    assert (segment.owner, segment.elapsed_duration.ToTimedelta()) == (REP, timedelta(hours=2))
    due = segment.due_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo)
    assert due == MONDAY_NINE + timedelta(hours=6)
    assert explained.clock.due_time.ToDatetime(tzinfo=MONDAY_NINE.tzinfo) == MONDAY_NINE + timedelta(hours=4)


async def test_a_clock_is_measured_anew_only_when_somebody_says_so(yard: Yard, clocks: Any) -> None:
    clock = await a_clock(yard)
    request = clockspb.ReassessClockRequest(name=clock.name, request_id=yard.request_id())
    code, _, _ = await refused(clocks.ReassessClock(request, metadata=yard.by("rep")))
    assert code is grpc.StatusCode.PERMISSION_DENIED

    again = await clocks.ReassessClock(request, metadata=yard.by("sales-manager"))
    assert again.due_time == clock.due_time
