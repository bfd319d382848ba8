"""The commands of people who deal with clocks, alerts and exceptions, against the real service."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.app import app
from tests.builders.sla_engine import HANDOFF, REP, SALES, TENANT
from tests.contract.sla.test_sla_service import agree
from tests.contract.sla.yard import Yard, a_yard


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    """Open a yard with one handoff that a rep accepted at nine on a Monday."""
    async with a_yard(tmp_path) as yard:
        monkeypatch.setenv("SMARKETING_SLA", f"127.0.0.1:{yard.process.running.port}")
        monkeypatch.setenv("SMARKETING_TENANT", "default")
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.delenv("SMARKETING_TOKEN_FILE", raising=False)
        await agree(yard)
        await yard.tell(
            (HANDOFF, leadeventspb.HandoffSubmitted(handoff=HANDOFF)),
            (HANDOFF, leadeventspb.HandoffAccepted(handoff=HANDOFF, owner=REP, team=SALES)),
        )
        yield yard


async def run(yard: Yard, who: str, *args: str, given: str = "") -> Result:
    environ = {"SMARKETING_TOKEN": yard.tokens[who]}
    return await asyncio.to_thread(CliRunner().invoke, app, list(args), input=given, env=environ)


async def document(yard: Yard, who: str, *args: str, given: str = "") -> Any:
    ran = await run(yard, who, *args, "--format", "json", given=given)
    assert ran.exit_code == 0, ran.stderr
    return json.loads(ran.stdout)


async def the_clock(yard: Yard) -> str:
    listed = await yard.stub.ListClocks(
        slapb.ListClocksRequest(parent=TENANT), metadata=yard.by("sales-manager")
    )
    return str(listed.clocks[0].name.rpartition("/")[2])


async def test_a_miss_is_excused_by_a_manager_of_the_other_party(yard: Yard) -> None:
    clock = await the_clock(yard)
    await yard.advance(hours=5)
    half = await run(yard, "rep", "sla", "exceptions", "request", "--reason", "outage", "--start", "x")

    asked = await document(
        yard,
        "rep",
        "sla",
        "exceptions",
        "request",
        "--reason",
        "outage",
        "--clock",
        clock,
        "--note",
        "No line",
    )
    name = asked["name"].rpartition("/")[2]
    own = await run(yard, "sales-manager", "sla", "exceptions", "approve", name)
    listed = await document(yard, "marketing-manager", "sla", "exceptions", "list", "--state", "requested")
    granted = await document(yard, "marketing-manager", "sla", "exceptions", "approve", name)
    late = await run(yard, "marketing-manager", "sla", "exceptions", "decline", name)
    counted = await document(yard, "marketing-manager", "sla", "exceptions", "counts")

    assert (half.exit_code, own.exit_code, late.exit_code) == (2, 3, 1)
    assert [each["note"] for each in listed["exceptions"]] == ["No line"]
    assert granted["state"] == "STATE_APPROVED"
    assert [each["approved_count"] for each in counted["counts"] if each["requested_count"]] == [1]


async def test_an_alert_is_seen_put_off_and_dealt_with(yard: Yard) -> None:
    await yard.advance(hours=5)
    alerts = await document(yard, "sales-manager", "sla", "alerts", "--state", "open")
    same = await document(yard, "sales-manager", "sla", "alerts", "list", "--state", "open")
    name = alerts["alerts"][0]["name"].rpartition("/")[2]

    seen = await document(yard, "sales-manager", "sla", "alerts", "acknowledge", name)
    unclear = await run(yard, "sales-manager", "sla", "alerts", "snooze", name, "soon")
    until = yard.now.replace(hour=23).isoformat()
    put_off = await document(yard, "sales-manager", "sla", "alerts", "snooze", name, until)
    ended = await document(yard, "sales-manager", "sla", "alerts", "resolve", name)
    shown = await run(yard, "sales-manager", "sla", "alerts", "show", name)

    assert alerts == same
    assert seen["state"] == "STATE_ACKNOWLEDGED"
    assert (unclear.exit_code, "neither a duration" in unclear.stderr) == (2, True)
    assert put_off["snooze_until_time"].startswith(f"{yard.now:%Y-%m-%d}T23:")
    assert ended["state"] == "STATE_RESOLVED"
    assert "people/sales-manager" in shown.stdout


async def test_a_clock_is_shown_and_pauses_for_agreed_reasons_alone(yard: Yard) -> None:
    clock = await the_clock(yard)

    shown = await document(yard, "rep", "sla", "clock", clock)
    unknown = await run(yard, "sales-manager", "sla", "pause", clock, "--reason", "LUNCH")
    measured = await document(yard, "sales-manager", "sla", "reassess", clock)

    assert shown["handoff"] == HANDOFF
    assert (unknown.exit_code, "PAUSE_REASON_UNKNOWN" in unknown.stderr) == (1, True)
    assert measured["due_time"] == shown["due_time"]


async def test_a_budget_says_what_was_missed_and_a_period_without_handoffs_is_none(yard: Yard) -> None:
    await yard.advance(hours=5)

    listed = await document(yard, "sales-manager", "sla", "budgets")
    one = listed["budgets"][0]
    agreement = one["agreement"].rpartition("/")[2]
    shown = await document(yard, "sales-manager", "sla", "budgets", "show", agreement, one["commitment_id"])
    table = await run(yard, "sales-manager", "sla", "budgets")
    period = await run(yard, "sales-manager", "sla", "periods", "show", agreement, "1999")

    assert (shown["settled_count"], shown["breached_count"]) == (1, 1)
    assert "1 of 1" in table.stdout
    assert (period.exit_code, "PERIOD_UNKNOWN" in period.stderr) == (1, True)


async def test_an_address_stands_in_no_history_and_comes_back_in_no_answer(yard: Yard) -> None:
    way = ("sla", "channels", "set", "rep", "email", "--language", "korean")
    made = await run(yard, "rep", *way, "--address", "-", given="rep@example.com\n")

    listed = await document(yard, "rep", "sla", "channels", "list", "rep")
    wrong = await run(yard, "rep", "sla", "channels", "remove", "rep", "pigeon")
    await document(yard, "rep", "sla", "channels", "remove", "rep", "email")

    assert made.exit_code == 0
    assert "rep@example.com" not in made.stdout + json.dumps(listed)
    assert [(each["way"], each["language"]) for each in listed["alert_channels"]] == [
        ("WAY_EMAIL", "LANGUAGE_KOREAN")
    ]
    assert wrong.exit_code == 2
    assert (await document(yard, "rep", "sla", "channels", "list", "rep"))["alert_channels"] == []


async def test_leave_is_noted_listed_and_taken_back(yard: Yard) -> None:
    away = ("2099-12-24T00:00:00Z", "2099-12-27T00:00:00Z")
    noted = await document(yard, "rep", "calendars", "leave", "add", "rep", *away)
    own = noted["name"].removeprefix(f"{TENANT}/")
    cancelled = await document(yard, "rep", "calendars", "leave", "cancel", own)
    listed = await document(yard, "rep", "calendars", "leave", "list", "rep")

    assert (noted["start_time"], noted["end_time"]) == away
    assert "cancel_time" in cancelled
    assert [each["name"] for each in listed["leave"]] == [noted["name"]]
