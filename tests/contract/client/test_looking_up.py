"""`smarketing leads find | list | follow-ups` against the real service."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import search_pb2 as searchpb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.app import app
from smarketing.client import LeadsClient, read_settings
from tests.contract.leads.office import MIA, TENANT, Office, an_office


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    async with an_office(tmp_path) as opened:
        monkeypatch.setenv("SMARKETING_LEADS", f"127.0.0.1:{opened.leads.running.port}")
        monkeypatch.setenv("SMARKETING_TENANT", "acme")
        monkeypatch.setenv("SMARKETING_TOKEN", opened.tokens[MIA])
        monkeypatch.delenv("SMARKETING_TOKEN_FILE", raising=False)
        yield opened


async def run(*args: str, given: str = "") -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, list(args), input=given)


async def document(*args: str, given: str = "") -> Any:
    return json.loads((await run(*args, "--format", "json", given=given)).stdout)


async def test_a_lead_is_found_by_an_address_that_stands_in_no_shells_history(office: Office) -> None:
    handoff = await office.submit(1)

    found = await document("leads", "find", "--email", "-", given="kim1@example.com\n")

    assert [lead["name"] for lead in found["leads"]] == [handoff.name.partition("/handoffs/")[0]]
    assert "kim1@example.com" in (await run("leads", "find", "--email", "KIM1@example.com")).stdout


async def test_a_list_takes_a_filter_and_an_order(office: Office) -> None:
    names = [(await office.submit(number)).name for number in range(3)]

    shown = await document(
        "leads", "list", "--filter", "qualification.segment = retail", "--order-by", "submit_time"
    )
    wrong = await run("leads", "list", "--filter", "colour = red")

    assert [each["name"] for each in shown["handoffs"]] == names
    assert wrong.exit_code != 0
    assert "at character 1" in wrong.stderr


async def test_follow_ups_are_listed_newest_first_when_asked(office: Office) -> None:
    handoff = await office.submit(1)
    for channel in (termspb.FOLLOW_UP_CHANNEL_CALL, termspb.FOLLOW_UP_CHANNEL_EMAIL):
        follow_up = leadspb.FollowUp(channel=channel)
        await office.stub.LogFollowUp(
            leadspb.LogFollowUpRequest(
                parent=handoff.name, request_id=wallclock.new_uuid(), follow_up=follow_up
            ),
            metadata=office.of(handoff.offer.assignee),
        )

    shown = await document("leads", "follow-ups", handoff.name, "--newest-first")

    assert [each["channel"] for each in shown["follow_ups"]] == [
        "FOLLOW_UP_CHANNEL_EMAIL",
        "FOLLOW_UP_CHANNEL_CALL",
    ]


async def test_the_client_yields_found_leads_over_all_pages(office: Office) -> None:
    for number in range(3):
        contact = leadspb.Contact(email=f"clerk{number}@example.com", phone="+49 30 901820")
        await office.submit(number, contact=contact)
    async with LeadsClient(read_settings(os.environ)) as leads:
        request = searchpb.FindLeadsRequest(parent=TENANT, phone="+4930901820", page_size=2)
        found = [lead.contact.email async for lead in leads.search.leads(request)]

    assert sorted(found) == [f"clerk{number}@example.com" for number in range(3)]
