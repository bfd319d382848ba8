"""The export of a tenant holds as much of everything as the services do, and people's data when asked."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.backups.lived_in import LivedIn, rows

pytestmark = pytest.mark.timeout(300)

COUNTED = {
    "handoffs.ndjson": ("leads.db", "SELECT count(*) FROM handoff WHERE tenant = 'default'"),
    "follow_ups.ndjson": ("leads.db", "SELECT count(*) FROM follow_up WHERE tenant = 'default'"),
    "events_leads.ndjson": ("leads.db", "SELECT position FROM log_head WHERE view = 'tenants/default'"),
    "clocks.ndjson": ("sla.db", "SELECT count(*) FROM clock WHERE tenant = 'default'"),
    "agreements.ndjson": ("sla.db", "SELECT count(*) FROM agreement_version WHERE tenant = 'default'"),
    "calendars.ndjson": ("sla.db", "SELECT count(*) FROM calendar_version WHERE tenant = 'default'"),
    "alerts.ndjson": ("sla.db", "SELECT count(*) FROM alert WHERE tenant = 'default'"),
    "inputs.ndjson": ("reports.db", "SELECT count(*) FROM input_entry WHERE tenant = 'tenants/default'"),
}
"""File → where the same is counted; nothing fell due or came in between the export and the end."""


def _documents(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def plain(lived_in: LivedIn) -> Path:
    ran = lived_in.exported["plain"]
    assert ran.status == 0, ran.err
    return lived_in.folder / "plain"


@pytest.fixture
def personal(lived_in: LivedIn) -> Path:
    ran = lived_in.exported["personal"]
    assert ran.status == 0, ran.err
    return lived_in.folder / "personal"


def test_everything_that_the_services_hold_of_the_tenant_is_exported(lived_in: LivedIn, plain: Path) -> None:
    held = {name: rows(lived_in.data_dir / file, sql)[0][0] for name, (file, sql) in COUNTED.items()}

    assert {name: len(_documents(plain / name)) for name in COUNTED} == held
    assert (held["handoffs.ndjson"], held["follow_ups.ndjson"], held["inputs.ndjson"]) == (100, 5, 1)


def test_the_manifest_counts_and_digests_every_file(plain: Path) -> None:
    manifest = json.loads((plain / "manifest.json").read_text())
    files = {path.name: path.read_bytes() for path in plain.glob("*.ndjson")}

    assert {name: each["sha256"] for name, each in manifest["files"].items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert {name: each["count"] for name, each in manifest["files"].items()} == {
        name: content.count(b"\n") for name, content in files.items()
    }
    assert manifest["logs"]["leads"]["position"] == len(_documents(plain / "events_leads.ndjson"))


def test_events_are_contiguous_from_the_first(plain: Path) -> None:
    positions = [event["position"] for event in _documents(plain / "events_leads.ndjson")]

    assert positions == list(range(1, len(positions) + 1))


def test_people_are_in_an_export_only_when_it_is_asked_for(plain: Path, personal: Path) -> None:
    def holds(path: Path) -> bool:
        return any(b"ada.1@example.com" in each.read_bytes() for each in path.iterdir())

    assert (holds(plain), holds(personal)) == (False, True)
    assert len(_documents(personal / "people.ndjson")) == 100


def test_each_person_that_was_exported_is_on_the_audit_trail(lived_in: LivedIn, personal: Path) -> None:
    sql = "SELECT count(*) FROM audit_entry WHERE method LIKE '%/ExportSubject'"

    assert rows(lived_in.data_dir / "leads.db", sql) == [(len(_documents(personal / "people.ndjson")),)]


def test_an_export_is_for_the_tenants_operators(lived_in: LivedIn) -> None:
    denied = lived_in.exported["denied"]

    assert (denied.status, (lived_in.folder / "denied" / "manifest.json").exists()) == (3, False), denied.err


def test_nobody_else_can_read_an_export(personal: Path) -> None:
    assert {path.stat().st_mode & 0o077 for path in [personal, *personal.iterdir()]} == {0}
