"""The programs and the calls that the README shows, against the running services, as they stand there."""

import asyncio
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import LeadsClient
from tests.builders.processes import ROOT, Finished, Installation, finished
from tests.e2e.company import Company, settled_in

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES: Final = ROOT / "examples"
_GRPCURL: Final = re.compile(r"^grpcurl [^`]*?LeadService/\w+$", re.MULTILINE)


async def token_file(company: Company, principal: str, path: Path) -> Path:
    """Write a token to a file as the README says: by sending the command's output there."""
    installation = company.installation
    issued = await installation.smarketing(
        "tokens", "issue", principal, token=installation.operator, tenant=company.tenant
    )
    assert issued.status == 0, issued.err
    await asyncio.to_thread(path.write_text, issued.out)
    return path


def environ(company: Company, token: Path) -> dict[str, str]:
    environment = company.installation.environment("", tenant=company.tenant)
    del environment["SMARKETING_TOKEN"]
    return environment | {"SMARKETING_TOKEN_FILE": str(token), "PYTHONUNBUFFERED": "1"}


async def submitted(company: Company, token: Path, lines: str) -> Finished:
    command = [sys.executable, EXAMPLES / "submit_stream.py"]
    return await finished(command, environ(company, token), given=lines.encode())


@asynccontextmanager
async def a_sales_desk(company: Company, token: Path, person: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run the desk; yield what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLES / "sales_desk.py",
        person,
        cwd=ROOT,
        env=environ(company, token),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def said(desk: asyncio.StreamReader) -> str:
    return (await asyncio.wait_for(desk.readline(), 20)).decode().strip()


async def test_the_marketing_script_and_the_sales_desk_carry_a_lead_from_a_file_to_a_call(
    installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(installation, "examples", tmp_path)
    website = await token_file(company, "systems/website", tmp_path / "website.token")
    rosa = await token_file(company, "people/rosa", tmp_path / "person.token")
    line = re.search(r"^echo '(.*)' > leads\.jsonl$", README, re.MULTILINE)
    assert line is not None
    lines = f'{line[1]}\n{{"id": "f-18", "email": "no address"}}\n'

    first = await submitted(company, website, lines)
    again = await submitted(company, website, lines)

    taken, refused = first.out.splitlines()
    handoff = taken.removeprefix("f-17: created, ")
    assert handoff.startswith(f"{company.name}/leads/")
    assert refused.startswith("f-18: refused, SUBMISSION_INVALID")
    assert again.out.splitlines()[0] == f"f-17: duplicate, {handoff}"
    assert (first.status, again.status) == (1, 1)

    async with a_sales_desk(company, rosa, "rosa") as desk:
        assert await said(desk) == f"{handoff}: accepted; call  at jo@example.com"
        assert await said(desk) == f"{handoff}: call logged"
    # The desk was killed. Meanwhile a lead comes in; the next desk is told of it first.
    other = (await submitted(company, website, '{"id": "f-19", "email": "li@example.com"}')).out
    async with a_sales_desk(company, rosa, "rosa") as desk:
        assert (await said(desk)).startswith(other.strip().removeprefix("f-19: created, "))
        await said(desk)
    async with LeadsClient(company.of("rosa")) as leads:
        worked = await leads.get_handoff(leadspb.GetHandoffRequest(name=handoff))
    assert (worked.state, worked.follow_up_count) == (leadspb.Handoff.STATE_WORKING, 1)


async def test_the_calls_that_the_readme_shows_are_right_to_the_letter(
    installation: Installation, tmp_path: Path
) -> None:
    company = await settled_in(installation, "default", tmp_path)
    website = await token_file(company, "systems/website", tmp_path / "website.token")
    rosa = await token_file(company, "people/rosa", tmp_path / "person.token")
    submit, listing, accept = (_call_in(text) for text in _GRPCURL.findall(README))

    made = await _sent(installation, submit, website)
    same = await _sent(installation, submit, website)
    changed = submit[0], submit[1].replace("Ada", "Eva")
    refused = await _curl(installation, changed, website)

    assert made == same
    assert made["outcome"] == "OUTCOME_CREATED"
    assert "IDEMPOTENCY_KEY_REUSED" in refused.err or "was used for another request" in refused.err
    offered = await _sent(installation, listing, rosa)
    offers = {handoff["name"]: handoff["offer"] for handoff in offered["handoffs"]}
    offer = offers[made["handoff"]["name"]]
    lead = made["handoff"]["name"].split("/")[3]
    body = accept[1].replace("/LEAD/", f"/{lead}/")
    assert json.loads(body)["name"] == offer["name"]
    accepted = await _sent(installation, (accept[0], body), rosa)
    assert accepted["state"] == "STATE_ACCEPTED"
    assert accepted["owner"] == f"{company.name}/people/rosa"


def _call_in(text: str) -> tuple[str, str]:
    """Return the method and the body of a call, as a shell would read the line."""
    words = [word for word in shlex.split(text) if word.strip()]
    return words[-1], words[words.index("-d") + 1]


async def _sent(installation: Installation, call: tuple[str, str], token: Path) -> Any:
    ran = await _curl(installation, call, token)
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


async def _curl(installation: Installation, call: tuple[str, str], token: Path) -> Finished:
    """Send a body by name of the method, with nothing but reflection to know the contract from."""
    method, body = call
    address = f"http://{installation.addresses['leads']['grpc']}/{method}"
    options = ["--protocol", "grpc", "--http2-prior-knowledge", "--data", body]
    text = await asyncio.to_thread(token.read_text)
    header = f"authorization: Bearer {text.strip()}"
    command = [Path(sys.executable).with_name("buf"), "curl", *options, "--header", header, address]
    return await finished(command, installation.environment(""))
