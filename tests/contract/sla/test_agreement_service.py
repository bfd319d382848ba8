"""AgreementService over its own port, and the commands that ask it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from services.sla.wire.instants import stamp
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import agreements_pb2 as agreementspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.agreements_pb2_grpc import AgreementServiceStub
from smarketing.cli.app import app
from tests.builders.sla_engine import HANDOFF, MARKETING_MANAGER, REP, SALES, SALES_MANAGER
from tests.contract.sla.test_sla_service import MAIN, agree, an_agreement, make_calendar, refused
from tests.contract.sla.yard import Yard, a_yard

pytestmark = pytest.mark.usefixtures("each_engine_if_thorough")


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        yield yard


@pytest.fixture
async def stub(yard: Yard) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{yard.process.running.port}") as channel:
        yield AgreementServiceStub(channel)


async def a_clock(yard: Yard) -> str:
    """Return the name of the clock of a handoff that the rep has."""
    await agree(yard)
    await yard.tell(
        (HANDOFF, leadeventspb.HandoffSubmitted(handoff=HANDOFF)),
        (HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)),
    )
    listed = await yard.stub.ListClocks(
        slapb.ListClocksRequest(parent=MAIN.partition("/agreements")[0]), metadata=yard.by("leader")
    )
    return str(listed.clocks[0].name)


async def run(yard: Yard, monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setenv("SMARKETING_SLA", f"127.0.0.1:{yard.process.running.port}")
    monkeypatch.setenv("SMARKETING_TOKEN", yard.tokens["sales-manager"])
    result = await asyncio.to_thread(CliRunner().invoke, app, list(args))
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_whoever_may_see_a_clock_is_told_who_owns_it(yard: Yard, stub: Any) -> None:
    request = agreementspb.GetResponsibilityRequest(name=await a_clock(yard))

    found = await stub.GetResponsibility(request, metadata=yard.by("rep"))
    stranger = await refused(stub.GetResponsibility(request, metadata=yard.by("other-rep")))

    assert (found.owner, list(found.responsible), list(found.accountable), found.agreed) == (
        REP,
        [REP],
        [SALES_MANAGER],
        False,
    )
    assert list(found.informed) == [MARKETING_MANAGER]
    assert stranger[0] == grpc.StatusCode.PERMISSION_DENIED


async def test_targets_are_proposed_to_managers_and_silent_from_few_clocks(yard: Yard, stub: Any) -> None:
    version = await agree(yard)
    request = agreementspb.ProposeTargetsRequest(name=version.name)

    found = await stub.ProposeTargets(request, metadata=yard.by("marketing-manager"))
    rep = await refused(stub.ProposeTargets(request, metadata=yard.by("rep")))

    (proposal,) = found.target_proposals
    assert (proposal.commitment_id, proposal.settled_count, proposal.undefined_reason) == (
        "first-follow-up",
        0,
        "TOO_FEW",
    )
    assert not proposal.HasField("proposed_target_duration")
    assert found.end_time.ToDatetime() - found.start_time.ToDatetime() == timedelta(days=28)
    assert rep[0] == grpc.StatusCode.PERMISSION_DENIED


async def test_targets_of_no_version_and_of_a_span_that_ends_before_it_starts_are_refused(
    yard: Yard, stub: Any
) -> None:
    version = await agree(yard)
    manager = yard.by("sales-manager")
    reversed_ = agreementspb.ProposeTargetsRequest(
        name=version.name, start_time=stamp(yard.now), end_time=stamp(yard.now)
    )
    ahead = agreementspb.ProposeTargetsRequest(
        name=version.name, end_time=stamp(yard.now + timedelta(seconds=1))
    )

    unknown = await refused(
        stub.ProposeTargets(agreementspb.ProposeTargetsRequest(name=f"{MAIN}/versions/9"), metadata=manager)
    )

    assert unknown[:2] == (grpc.StatusCode.NOT_FOUND, "AGREEMENT_UNKNOWN")
    assert (await refused(stub.ProposeTargets(reversed_, metadata=manager)))[1:] == (
        "FIELD_INVALID",
        ["start_time"],
    )
    assert (await refused(stub.ProposeTargets(ahead, metadata=manager)))[1:] == (
        "FIELD_INVALID",
        ["end_time"],
    )


async def test_looking_for_faults_writes_nothing(yard: Yard) -> None:
    await make_calendar(yard)
    manager = yard.by("sales-manager")
    request = slapb.ProposeAgreementRequest(
        parent=MAIN, request_id=yard.request_id(), agreement_version=an_agreement(), validate_only=True
    )

    seen = await yard.stub.ProposeAgreement(request, metadata=manager)
    listed = await yard.stub.ListAgreementVersions(
        slapb.ListAgreementVersionsRequest(parent=MAIN), metadata=manager
    )

    assert (seen.name, seen.title) == ("", "Between us")
    assert list(listed.agreement_versions) == []


async def test_the_commands_say_who_owns_a_clock_and_what_could_be_promised(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = await a_clock(yard)

    who = await run(yard, monkeypatch, "sla", "who", clock.rpartition("/")[2])
    targets = await run(yard, monkeypatch, "sla", "targets", "main/versions/1")

    assert "people/rep" in who
    assert "people/sales-manager" in who
    assert "fewer than 30 settled" in targets
