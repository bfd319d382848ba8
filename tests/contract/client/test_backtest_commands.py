"""`smarketing sla backtest | forecast` against the real service."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smarketing.cli.app import app
from tests.contract.sla.test_backtest_service import missed
from tests.contract.sla.test_sla_service import agree
from tests.contract.sla.yard import Yard, a_yard

AGREEMENT = """\
kind: Agreement
id: main
calendar: office
mode: enforce
commitments:
  - id: first-follow-up
    parties: [sales]
    kind: first-follow-up
    basis: business
    objective: 90%
    tiers:
      - target: 5h
    rungs:
      - {id: half, at: 50%, tell: [owner]}
"""
LUNCH = """\
kind: Calendar
id: lunch
time_zone: Asia/Seoul
week:
  monday: [09:00-12:00, 14:00-18:00]
"""


@pytest.fixture
async def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Yard]:
    async with a_yard(tmp_path / "data") as yard:
        monkeypatch.setenv("SMARKETING_SLA", f"127.0.0.1:{yard.process.running.port}")
        monkeypatch.setenv("SMARKETING_TENANT", "default")
        monkeypatch.setenv("SMARKETING_TOKEN", yard.tokens["leader"])
        monkeypatch.delenv("SMARKETING_TOKEN_FILE", raising=False)
        await agree(yard)
        await missed(yard, 3)
        yield yard


async def run(*args: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["sla", *args])


async def document(*args: str) -> Any:
    answered = await run("backtest", *args, "--format", "json")
    assert answered.exit_code == 0, answered.stderr
    return json.loads(answered.stdout)


def rows(shown: str, first: str) -> list[list[str]]:
    """Return the cells of the rows that begin with a word."""
    return [line.split() for line in shown.splitlines() if line.split()[:1] == [first]]


@pytest.mark.usefixtures("yard")
async def test_a_file_of_terms_is_shown_beside_what_happened(tmp_path: Path) -> None:
    (tmp_path / "proposal.yaml").write_text(AGREEMENT)
    shown = await run("backtest", "--agreement", str(tmp_path / "proposal.yaml"))

    assert shown.exit_code == 0, shown.stderr
    assert "3 handoffs submitted" in shown.stdout
    # Clocks, met, missed, excused, warned, taken over; each as it was, and as it would have been.
    (commitment,) = rows(shown.stdout, "first-follow-up")
    assert commitment[1:] == ["3", "3", "0", "3", "3", "0", "0", "0", "0", "3", "0", "0"]
    assert len(rows(shown.stdout, "l000/1")) == 1


@pytest.mark.usefixtures("yard")
async def test_programs_get_one_document_and_only_so_many_differences(tmp_path: Path) -> None:
    (tmp_path / "proposal.yaml").write_text(AGREEMENT)
    found = await document("--agreement", str(tmp_path / "proposal.yaml"), "--limit", "2")

    assert found["backtest"]["total"]["would"]["met_count"] == 3
    assert (len(found["differences"]), found["more"]) == (2, True)


@pytest.mark.usefixtures("yard")
async def test_names_mean_the_newest_version_and_a_calendar_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "lunch.yaml").write_text(LUNCH)
    same = await document("--agreement", "main", "--calendar", "office")
    lunch = await document("--agreement", "main/versions/1", "--calendar", str(tmp_path / "lunch.yaml"))

    assert same["backtest"]["difference_count"] == 0
    assert lunch["backtest"]["total"]["would"]["met_count"] == 3


@pytest.mark.usefixtures("yard")
async def test_somebody_away_leaves_a_range_and_a_sentence_why() -> None:
    shown = await run("backtest", "--absent", "rep 2026-09-21T09:00:00+09:00 2026-09-21T10:00:00+09:00")

    (all_,) = rows(shown.stdout, "all")
    assert " ".join(all_[1:]).startswith("3 3 0 0 to 3 3 0 to 3")
    assert "Of 3 clocks nobody can know" in shown.stderr


@pytest.mark.usefixtures("yard")
async def test_what_is_not_there_or_makes_no_sense_is_said(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(f"{LUNCH}---\n{LUNCH}")

    assert "AGREEMENT_UNKNOWN" in (await run("backtest", "--agreement", "nobody")).stderr
    for wrong in (
        ("--agreement", "missing.yaml"),
        ("--calendar", str(tmp_path / "two.yaml")),
        ("--team-calendar", "sales"),
        ("--absent", "rep"),
        ("--from", "yesterday"),
    ):
        assert (await run("backtest", *wrong)).exit_code == 2, wrong


@pytest.mark.usefixtures("yard")
async def test_a_forecast_without_history_says_why_there_is_none() -> None:
    shown = await run("forecast")

    assert "2026-09-22" in shown.stdout
    assert "too few weeks of history" in shown.stdout
