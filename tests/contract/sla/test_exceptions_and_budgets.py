"""Exceptions and budgets over the port, by people of both sides."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.budgets_pb2_grpc import BudgetServiceStub
from smarketing.api.sla.v1.exceptions_pb2_grpc import ExceptionServiceStub
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import HANDOFF, REP, SALES, TENANT
from tests.contract.sla.test_sla_service import MAIN, agree, refused
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")

STATES = exceptionspb.SlaException


@dataclass
class Desk:
    """A yard with one running clock, and what people ask about it."""

    yard: Yard
    exceptions: Any
    budgets: Any
    clock: str

    async def ask(self, by: str = "rep", **changed: Any) -> exceptionspb.SlaException:
        wanted = {"clock": self.clock, "reason": STATES.REASON_OUTAGE, "note": "No line", **changed}
        request = exceptionspb.RequestExceptionRequest(
            parent=TENANT,
            request_id=self.yard.request_id(),
            exception=exceptionspb.SlaException(**wanted),
        )
        asked: exceptionspb.SlaException = await self.exceptions.RequestException(
            request, metadata=self.yard.by(by)
        )
        return asked

    def approve(self, name: str, by: str = "marketing-manager", etag: str = "") -> Any:
        request = exceptionspb.ApproveExceptionRequest(
            name=name, request_id=self.yard.request_id(), etag=etag
        )
        return self.exceptions.ApproveException(request, metadata=self.yard.by(by))

    async def listed(self, by: str, **filters: Any) -> list[str]:
        request = exceptionspb.ListExceptionsRequest(parent=TENANT, **filters)
        answer = await self.exceptions.ListExceptions(request, metadata=self.yard.by(by))
        return [each.name for each in answer.exceptions]

    async def budget(self) -> budgetspb.Budget:
        request = budgetspb.GetBudgetRequest(agreement=MAIN, commitment_id="first-follow-up")
        budget: budgetspb.Budget = await self.budgets.GetBudget(request, metadata=self.yard.by("rep"))
        return budget


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_yard(tmp_path) as yard:
        await agree(yard)
        await yard.tell(
            (HANDOFF, leadeventspb.HandoffSubmitted(handoff=HANDOFF)),
            (HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)),
        )
        listed = await yard.stub.ListClocks(
            slapb.ListClocksRequest(parent=TENANT), metadata=yard.by("sales-manager")
        )
        async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
            yield Desk(yard, ExceptionServiceStub(channel), BudgetServiceStub(channel), listed.clocks[0].name)


async def test_a_rep_asks_the_other_manager_grants_and_the_miss_is_excused(desk: Desk) -> None:
    await desk.yard.advance(hours=5)
    spent = await desk.budget()
    asked = await desk.ask()
    granted = await desk.approve(asked.name, etag=asked.etag)
    await desk.yard.process.sweeper.sweep()
    clock = await desk.yard.stub.GetClock(
        slapb.GetClockRequest(name=desk.clock), metadata=desk.yard.by("rep")
    )
    given_back = await desk.budget()

    assert (asked.state, asked.note) == (STATES.STATE_REQUESTED, "No line")
    assert (granted.state, granted.self_approved) == (STATES.STATE_APPROVED, False)
    assert (granted.requesting_party, granted.deciding_party) == (
        termspb.PARTY_SALES,
        termspb.PARTY_MARKETING,
    )
    assert clock.state == slapb.Clock.STATE_EXCUSED
    assert (spent.settled_count, spent.breached_count, spent.remaining_so_far_ratio) == (1, 1, -9)
    assert (given_back.settled_count, given_back.HasField("remaining_ratio")) == (0, False)


async def test_the_own_manager_cannot_grant_and_nobody_can_twice(desk: Desk) -> None:
    asked = await desk.ask()

    assert (await refused(desk.approve(asked.name, by="sales-manager")))[1] == "PERMISSION_DENIED"
    assert (await refused(desk.approve(asked.name, by="rep")))[1] == "PERMISSION_DENIED"
    assert (await refused(desk.approve(asked.name, etag="9")))[1] == "ETAG_STALE"
    await desk.approve(asked.name)
    assert (await refused(desk.approve(asked.name)))[1] == "STATE_FORBIDS"
    assert (await refused(desk.approve(f"{TENANT}/exceptions/none")))[1] == "EXCEPTION_UNKNOWN"


async def test_a_request_says_what_is_missing_in_it(desk: Desk) -> None:
    async def fields(**wanted: Any) -> list[str]:
        _, reason, at_fault = await refused(desk.ask(by="sales-manager", **wanted))
        assert reason == "FIELD_INVALID"
        return at_fault

    assert await fields(reason=STATES.REASON_UNSPECIFIED) == ["exception.reason"]
    assert await fields(commitment_id="first-follow-up") == ["exception.commitment_id"]
    assert await fields(clock="", agreement=MAIN) == ["exception.commitment_id"]
    assert await fields(clock="") == ["exception.agreement"]
    assert await fields(note="x" * 501) == ["exception.note"]
    assert await fields(clock="tenants/default/clocks") == ["exception.clock"]


async def test_a_span_that_nobody_can_ask_for_is_refused(desk: Desk) -> None:
    now = desk.yard.now

    def span(**moved: Any) -> Any:
        wanted = {
            "clock": "",
            "agreement": MAIN,
            "commitment_id": "first-follow-up",
            "start_time": now,
            "end_time": now.replace(hour=23),
            **moved,
        }
        return desk.ask(by="sales-manager", **wanted)

    assert (await refused(span(commitment_id="none")))[1] == "AGREEMENT_UNKNOWN"
    assert (await refused(span(end_time=now)))[2] == ["exception.end_time"]
    assert (await refused(span(start_time=now.replace(month=8))))[1] == "EXCEPTION_TOO_LATE"
    assert (await span()).clock == ""


async def test_reps_see_what_they_asked_for_and_managers_see_all(desk: Desk) -> None:
    asked = await desk.ask()

    assert await desk.listed("rep") == await desk.listed("marketing-manager") == [asked.name]
    assert await desk.listed("other-rep") == []
    assert await desk.listed("leader", states=[STATES.STATE_APPROVED]) == []
    request = exceptionspb.GetExceptionRequest(name=asked.name)
    call = desk.exceptions.GetException(request, metadata=desk.yard.by("other-rep"))
    assert (await refused(call))[1] == "PERMISSION_DENIED"


async def test_lists_come_page_by_page_and_counts_by_commitment(desk: Desk) -> None:
    first = await desk.ask()
    await desk.exceptions.DeclineException(
        exceptionspb.DeclineExceptionRequest(name=first.name, request_id=desk.yard.request_id()),
        metadata=desk.yard.by("marketing-manager"),
    )
    second = await desk.ask()
    by = desk.yard.by("sales-manager")
    page = await desk.exceptions.ListExceptions(
        exceptionspb.ListExceptionsRequest(parent=TENANT, page_size=1), metadata=by
    )
    rest = await desk.exceptions.ListExceptions(
        exceptionspb.ListExceptionsRequest(parent=TENANT, page_size=1, page_token=page.next_page_token),
        metadata=by,
    )
    counts = await desk.exceptions.CountExceptions(
        exceptionspb.CountExceptionsRequest(parent=TENANT), metadata=by
    )

    assert {page.exceptions[0].name, rest.exceptions[0].name} == {first.name, second.name}
    assert rest.next_page_token == ""
    assert list(counts.counts) == [
        exceptionspb.ExceptionCounts(commitment_id="first-follow-up", requested_count=2, declined_count=1)
    ]


async def test_a_request_that_nobody_answers_lapses_by_itself(desk: Desk) -> None:
    asked = await desk.ask()
    desk.yard.now = asked.lapse_time.ToDatetime(desk.yard.now.tzinfo).replace(microsecond=1)
    await desk.yard.task("sla_promptly").catch_up()

    assert await desk.listed("rep", states=[STATES.STATE_LAPSED]) == [asked.name]


async def test_a_budget_of_what_nobody_promised_is_unknown_and_the_others_are_listed(desk: Desk) -> None:
    by = desk.yard.by("rep")
    unknown = budgetspb.GetBudgetRequest(agreement=MAIN, commitment_id="none")
    listed = await desk.budgets.ListBudgets(budgetspb.ListBudgetsRequest(parent=TENANT), metadata=by)

    assert (await refused(desk.budgets.GetBudget(unknown, metadata=by)))[1] == "BUDGET_UNKNOWN"
    assert [(each.commitment_id, each.state) for each in listed.budgets] == [
        ("first-follow-up", budgetspb.Budget.STATE_OK)
    ]
