"""`smarketing calendars` against the real service."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smarketing.cli.app import app
from tests.builders.sla_engine import SALES
from tests.contract.sla.test_sla_service import OFFICE, make_calendar
from tests.contract.sla.yard import Yard, a_yard


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path) as yard:
        monkeypatch.setenv("SMARKETING_SLA", f"127.0.0.1:{yard.process.running.port}")
        monkeypatch.setenv("SMARKETING_TENANT", "default")
        monkeypatch.setenv("SMARKETING_TOKEN", yard.tokens["sales-manager"])
        monkeypatch.delenv("SMARKETING_TOKEN_FILE", raising=False)
        await make_calendar(yard)
        yield yard


async def run(*args: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["calendars", *args])


async def document(*args: str) -> Any:
    return json.loads((await run(*args, "--format", "json")).stdout)


@pytest.mark.usefixtures("yard")
async def test_holidays_are_drawn_up_looked_through_and_put_in_force() -> None:
    shown = await run("propose", "office", "2027", "--country", "DE", "--subdivision", "BY")
    read = await document("holidays", "office", "2027")
    active = await document(
        *("activate", "office", "2027", "--etag", read["etag"]),
        *("--without", "2027-10-03", "--add", "2027-12-24 Christmas Eve"),
    )
    listed = await run("holidays")

    # 6 January is kept in Bavaria, not in all of Germany.
    assert "2027-01-06" in shown.stdout
    assert "etag 1" in shown.stdout
    assert active["calendar_version"] == f"{OFFICE}/versions/2"
    by_date = {(each["date"]["month"], each["date"]["day"]): each for each in active["holidays"]}
    assert by_date[10, 3]["declined"]
    assert by_date[12, 24]["title"] == "Christmas Eve"
    assert "office/versions/2" in listed.stdout


@pytest.mark.usefixtures("yard")
async def test_a_list_that_nobody_looked_at_is_not_activated() -> None:
    await run("propose", "office", "2027", "--country", "KR")
    refused = await run("activate", "office", "2027", "--etag", "9")

    assert refused.exit_code == 1
    assert "ETAG_STALE" in refused.stderr


@pytest.mark.usefixtures("yard")
async def test_a_team_is_given_a_calendar_and_the_list_says_so() -> None:
    await run("assign", "teams/sales", "office/versions/1")
    shown = await document("assignments", "--holder", "teams/sales")

    assert [(each["holder"], each["calendar_version"]) for each in shown["calendar_assignments"]] == [
        (SALES, f"{OFFICE}/versions/1")
    ]
