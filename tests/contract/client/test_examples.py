"""The example programs do what they say, using the client alone."""

import ast
import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from tests.contract.client.fake_leads import FakeLeads, run_fake

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"


def environ(target: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
    return kept | {"SMARKETING_LEADS": target, "PYTHONPATH": str(ROOT)}


async def test_the_marketing_script_says_what_became_of_each_lead() -> None:
    fake = FakeLeads()
    running = await run_fake(fake)
    lines = "\n".join(json.dumps({"id": each, "source": "web"}) for each in ("one", "bad-two", "one"))

    script = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "submit_stream.py"),
        env=environ(running.target),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(script.communicate(lines.encode()), 60)
    await running.server.stop(None)

    first, second, third = out.decode().splitlines()
    assert first.startswith("one: created, tenants/default/leads/one/")
    assert second.startswith("bad-two: refused, SUBMISSION_INVALID")
    assert third.startswith("one: duplicate")
    assert script.returncode == 1


async def test_the_sales_desk_accepts_what_is_open_and_logs_a_call() -> None:
    fake = FakeLeads()
    name = "tenants/default/leads/a/handoffs/1"
    open_offer = leadspb.Offer(name=f"{name}/offers/3", fencing_token=3, state=leadspb.Offer.STATE_OPEN)
    ended = leadspb.Offer(name=f"{name}/offers/2", fencing_token=2, state=leadspb.Offer.STATE_EXPIRED)
    fake.offers = [
        leadspb.WatchOffersResponse(
            handoffs=[leadspb.Handoff(name=name, offer=ended), leadspb.Handoff(name=name, offer=open_offer)],
            resume_token="1",
        )
    ]
    running = await run_fake(fake)

    desk = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        str(EXAMPLES / "sales_desk.py"),
        "kim",
        env=environ(running.target),
        stdout=asyncio.subprocess.PIPE,
    )
    assert desk.stdout is not None
    said = [await asyncio.wait_for(desk.stdout.readline(), 60) for _ in range(2)]
    desk.terminate()
    await desk.wait()
    await running.server.stop(None)

    assert said == [f"{name}: accepted; call Jo at +4930123\n".encode(), f"{name}: call logged\n".encode()]
    accepted = [request for request in fake.requests if isinstance(request, leadspb.AcceptOfferRequest)]
    assert [(each.fencing_token, each.person) for each in accepted] == [(3, "tenants/default/people/kim")]


@pytest.mark.parametrize("name", ["submit_stream.py", "sales_desk.py"])
def test_an_example_is_short_and_uses_the_client_alone(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")

    modules = {
        node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.module
    }
    assert len(text.splitlines()) < 100
    ours = {module for module in modules if module.startswith(("smarketing", "services"))}
    assert all(module == "smarketing.client" or module.startswith("smarketing.api.") for module in ours)
