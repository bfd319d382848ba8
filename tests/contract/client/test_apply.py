"""`smarketing apply` changes what differs, once, and asks before."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from smarketing.cli.app import app
from tests.contract.client.fake_configuration import FakeDirectory, FakeSla, run_configuration

DEFAULTS = [str(path) for path in sorted((Path(__file__).parents[3] / "deploy" / "default").glob("*.yaml"))]


class Office:
    """The services that keep configuration, and the command beside them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.sla = FakeDirectory(), FakeSla()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._running = self._within(run_configuration(self.directory, self.sla))
        monkeypatch.setenv("SMARKETING_LEADS", self._running.target)
        monkeypatch.setenv("SMARKETING_SLA", self._running.target)
        for name in ("TOKEN", "TOKEN_FILE", "TENANT", "TLS"):
            monkeypatch.delenv(f"SMARKETING_{name}", raising=False)

    def apply(self, *args: str) -> Result:
        """Run the command in this process."""
        return CliRunner().invoke(app, ["apply", "--format", "json", *args])

    def close(self) -> None:
        """Stop the server and its thread."""
        self._within(self._running.server.stop(None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _within(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    office = Office(monkeypatch)
    yield office
    office.close()


def test_a_dry_run_shows_the_difference_and_writes_nothing(office: Office) -> None:
    result = office.apply("--dry-run", *DEFAULTS)

    document = json.loads(result.stdout)
    assert document["applied"] is False
    assert [change["kind"] for change in document["changes"]] == [
        "Directory",
        "Directory",
        "Calendar",
        "Agreement",
    ]
    assert [office.directory.applied, office.sla.calendars, office.sla.agreements] == [[], [], []]


def test_an_agreement_counts_by_the_calendar_that_was_applied_with_it(office: Office) -> None:
    result = office.apply("--yes", *DEFAULTS)

    assert result.exit_code == 0
    (agreement,) = office.sla.agreements
    assert agreement.calendar_version == office.sla.calendars[0].name


def test_applying_twice_changes_nothing_the_second_time(office: Office) -> None:
    office.apply("--yes", *DEFAULTS)

    result = office.apply("--yes", *DEFAULTS)

    assert json.loads(result.stdout)["changes"] == []
    assert (len(office.sla.calendars), len(office.sla.agreements)) == (1, 1)


def test_the_fields_that_differ_are_named(office: Office, tmp_path: Path) -> None:
    calendar = tmp_path / "calendar.yaml"
    text = "{kind: Calendar, id: office, title: %s, time_zone: UTC, week: {monday: [09:00-17:00]}}"
    calendar.write_text(text % "Old")
    office.apply("--yes", str(calendar))
    calendar.write_text(text % "New")

    (change,) = json.loads(office.apply("--dry-run", str(calendar)).stdout)["changes"]

    assert (change["change"], change["fields"]) == ("changed", ["title"])


def test_the_secret_of_an_address_is_shown_when_it_is_made(office: Office, tmp_path: Path) -> None:
    endpoint = tmp_path / "endpoint.yaml"
    endpoint.write_text("{kind: WebhookEndpoint, url: https://example.com/hook}")

    first = json.loads(office.apply("--yes", str(endpoint)).stdout)["changes"]
    second = json.loads(office.apply("--yes", str(endpoint)).stdout)["changes"]

    assert (first[0]["secret"], second) == ("whsec_once", [])


def test_nobody_to_ask_is_an_error_of_usage_and_nothing_is_written(office: Office) -> None:
    result = office.apply(*DEFAULTS)

    assert result.exit_code == 2
    assert office.directory.applied == []


def test_a_fault_in_one_file_applies_none(office: Office, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("kind: Leave\nperson: kim\n")

    result = office.apply("--yes", *DEFAULTS, str(faulty))

    assert result.exit_code == 2
    assert f"{faulty}:1: document lacks 'start_time'" in result.stderr
    assert office.directory.applied == []
