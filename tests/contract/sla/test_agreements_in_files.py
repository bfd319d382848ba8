"""Agreements from files, through the command and the service: applied whole, or refused with every line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_status import rpc_status
from typer.testing import CliRunner, Result

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.app import app
from tests.builders.sla_engine import TENANT
from tests.contract.sla.yard import Yard, a_yard

ROOT = Path(__file__).parents[3]
CALENDAR = ROOT / "deploy" / "default" / "calendar.yaml"
EXAMPLES = ROOT / "examples"


class Desk:
    """The command line of one manager beside the running service."""

    def __init__(self, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.yard = yard
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("SMARKETING_SLA", f"127.0.0.1:{yard.process.running.port}")
        for name in ("TOKEN_FILE", "TENANT", "TLS"):
            monkeypatch.delenv(f"SMARKETING_{name}", raising=False)

    async def run(self, *args: str, by: str = "sales-manager") -> Result:
        """Run a command as a person."""
        self._monkeypatch.setenv("SMARKETING_TOKEN", self.yard.tokens[by])
        return await asyncio.to_thread(CliRunner().invoke, app, list(args))

    async def version(self, name: str) -> slapb.AgreementVersion:
        """Return a version as the service has it."""
        request = slapb.GetAgreementVersionRequest(name=f"{TENANT}/agreements/{name}")
        found: slapb.AgreementVersion = await self.yard.stub.GetAgreementVersion(
            request, metadata=self.yard.by("rep")
        )
        return found


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with a_yard(tmp_path) as yard:
        desk = Desk(yard, monkeypatch)
        made = await desk.run("apply", "--yes", str(CALENDAR))
        assert made.exit_code == 0, made.output
        yield desk


async def apply(desk: Desk, *files: Path, by: str = "sales-manager") -> Result:
    return await desk.run("apply", "--yes", *map(str, files), by=by)


async def test_the_full_example_is_the_one_on_the_page_and_can_be_agreed_to(desk: Desk) -> None:
    example = EXAMPLES / "agreement.yaml"
    written = [line for line in example.read_text().splitlines() if not line.startswith("#")]

    applied = await apply(desk, example)

    assert applied.exit_code == 0, applied.output
    assert "\n".join(written) in (ROOT / "docs" / "agreements.md").read_text()
    version = await desk.version("growth/versions/1")
    assert version.consent == slapb.AgreementVersion.CONSENT_PENDING
    # Five business days of nine hours.
    assert version.commitments[2].tiers[0].target_duration.seconds == 5 * 9 * 3_600


async def test_applying_an_agreement_twice_proposes_it_once(desk: Desk) -> None:
    await apply(desk, EXAMPLES / "agreement.yaml")

    again = await apply(desk, EXAMPLES / "agreement.yaml")

    assert "Nothing differs" in again.stderr
    with pytest.raises(Exception, match="There is no"):
        await desk.version("growth/versions/2")


async def test_the_other_party_sees_all_the_terms_before_it_accepts(desk: Desk) -> None:
    await apply(desk, EXAMPLES / "agreement.yaml")

    shown = await desk.run("sla", "terms", "growth/versions/1", by="marketing-manager")
    accepted = await desk.run("sla", "accept", "growth/versions/1", by="marketing-manager")

    for words in (
        "mql-2026-09",
        "4,200.00 EUR",
        "250,000.00 EUR each month",
        "completeness, at least",
        "rejections, at most",
        "throttle_intake 70%",
        "pending",
    ):
        assert words in shown.stdout, words
    assert accepted.exit_code == 0
    version = await desk.version("growth/versions/1")
    assert version.consent == slapb.AgreementVersion.CONSENT_BOTH_PARTIES


async def test_an_agreement_with_a_customer_needs_only_who_promises(desk: Desk) -> None:
    applied = await apply(desk, EXAMPLES / "customer_agreement.yaml")
    active = await desk.run("sla", "activate", "acme/versions/1")

    assert (applied.exit_code, active.exit_code) == (0, 0), applied.output + active.output
    version = await desk.version("acme/versions/1")
    assert version.consent == slapb.AgreementVersion.CONSENT_PROMISING_PARTIES


async def test_nobody_is_called_absent_who_could_be_asked(desk: Desk) -> None:
    refused = await apply(desk, EXAMPLES / "one_party.yaml")

    assert refused.exit_code == 2
    (fault,) = refused.stderr.splitlines()
    assert "one_party.yaml:7: absent_parties[0]: sales has a manager here" in fault


FAULTY = """kind: Agreement
id: faulty
calendar: office
scope: scor >= 80
marketing_terms:
  quota: {period: month, value: 10 EUR}
commitments:
  - id: follow-up
    parties: [sales]
    kind: first_follow_up
    basis: business
    objective: 40%
    tiers:
      - target: 8h
      - condition: score >= 80
        target: 1h
    rungs:
      - id: late
        at: due + 1h
        tell: [manager]
      - id: due
        at: due
        tell: [owner]
    consequences:
      - id: slow
        kind: throttle_intake
        at_rung: lat
  - id: tries
    parties: [sales]
    kind: attempts
    basis: business
    objective: 90%
    tiers:
      - target: 40h
"""


async def test_every_fault_is_told_at_its_line_and_nothing_is_written(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "faulty.yaml"
    file.write_text(FAULTY)
    line = {text.strip(): number for number, text in enumerate(FAULTY.splitlines(), start=1)}

    refused = await apply(desk, file)

    told = {tuple(fault.removeprefix(f"{file}:").split(": ")[:2]) for fault in refused.stderr.splitlines()}
    assert refused.exit_code == 2
    assert told == {
        (str(line["scope: scor >= 80"]), "scope"),
        (str(line["quota: {period: month, value: 10 EUR}"] - 1), "marketing_terms.lead_values"),
        # The default alert waits for a burn of 2; at 40 % none is above 1.67.
        (str(line["- id: follow-up"]), "commitments[0].error_budget.fast_share_basis_points"),
        (str(line["- condition: score >= 80"]), "commitments[0].tiers[1]"),
        (str(line["- id: due"]), "commitments[0].rungs[1]"),
        (str(line["at_rung: lat"]), "commitments[0].consequences[0].rung_id"),
        (str(line["- id: slow"]), "commitments[0].consequences[0].percent"),
        (str(line["- id: tries"]), "commitments[1].attempts"),
    }
    with pytest.raises(Exception, match="There is no"):
        await desk.version("faulty/versions/1")


async def test_an_objective_of_all_and_unknown_roles_are_refused_before_anything_is_sent(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "faulty.yaml"
    file.write_text(FAULTY.replace("objective: 40%", "objective: 100%").replace("[owner]", "[boss]"))

    refused = await apply(desk, file)

    assert refused.exit_code == 2
    assert "faulty.yaml:12: commitments[0].objective '100%'" in refused.stderr
    assert "faulty.yaml:23: commitments[0].rungs[1].tell[0] 'boss'" in refused.stderr


async def test_a_role_left_blank_on_the_wire_is_refused_with_its_path(desk: Desk) -> None:
    rung = slapb.Rung(
        rung_id="r",
        percent_of_target=50,
        recipients=[slapb.RECIPIENT_ROLE_OWNER, slapb.RECIPIENT_ROLE_UNSPECIFIED],
    )
    request: Any = slapb.ProposeAgreementRequest(
        parent=f"{TENANT}/agreements/main",
        request_id=desk.yard.request_id(),
        agreement_version=slapb.AgreementVersion(commitments=[slapb.Commitment(rungs=[rung])]),
    )

    with pytest.raises(grpc.aio.AioRpcError, match="Correct the agreement") as refused:
        await desk.yard.stub.ProposeAgreement(request, metadata=desk.yard.by("sales-manager"))

    status = rpc_status.from_call(refused.value)
    assert status is not None
    assert any(b"commitments[0].rungs[0].recipients[1]" in detail.value for detail in status.details)
