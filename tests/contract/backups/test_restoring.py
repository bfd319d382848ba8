"""Drills: yesterday's backup under readers that know today, and what an operator does then."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.__main__ import addresses_from, environment_of
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.client import LeadsClient, RefusedError
from smarketing.sql import open_database
from tests.builders.processes import ROOT, Installation, an_installation
from tests.builders.thorough import takes_minutes
from tests.contract.backups.lived_in import (
    LivedIn,
    change,
    commanded,
    events_of,
    folded,
    rows,
    submitted,
)
from tests.e2e.company import Company

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def data_dir(lived_in: LivedIn, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in.data_dir, tmp_path / "data"))


@takes_minutes
def test_an_old_copy_under_running_readers_stops_them_until_an_operator_restores_all(
    lived_in: LivedIn, data_dir: Path
) -> None:
    # What an operator in a hurry does: one file, of one service.
    shutil.copyfile(lived_in.backup / "leads.db", data_dir / "leads.db")
    said = _said_until_ended(data_dir)
    taken_in = rows(data_dir / "reports.db", "SELECT count(*) FROM handoff_fact")
    told = commanded("verify", "--data", data_dir)
    restored = commanded("restore", "--data", data_dir, lived_in.backup)
    [(backed_up,)] = rows(lived_in.backup / "leads.db", "SELECT max(position) FROM event_log")

    assert said.count("smarketing.eventlog.reading.LogRegressed: position") >= 2
    # Nothing was passed over, and nothing was taken in twice: the readers stand where they stood.
    assert taken_in == [(100,)]
    assert (told.status, "consumer sla.leads" in told.err) == (1, True), told.err
    assert restored.status == 0, restored.err
    whole = commanded("verify", "--data", data_dir)
    assert whole.status == 0, whole.err
    # Besides, reports is told to make its figures anew: it is what helps where it has no backup.
    change(data_dir / "reports.db", "UPDATE handoff_rollup SET items = items + 1")
    refolded = commanded("refold", "--data", data_dir)
    assert refolded.status == 0, refolded.err
    assert rows(data_dir / "reports.db", "SELECT count(*) FROM handoff_fact") == [(0,)]
    with an_installation(data_dir) as installation:
        asyncio.run(_goes_on(installation, lived_in, backed_up))
    whole = commanded("verify", "--data", data_dir)
    assert whole.status == 0, whole.err
    [kept] = data_dir.glob("before-restore-*")
    assert {path.name for path in kept.iterdir()} >= {"leads.db", "sla.db", "reports.db"}


async def _goes_on(installation: Installation, lived_in: LivedIn, backed_up: int) -> None:
    company = Company(installation, "default", dict(lived_in.tokens))
    events = await events_of(company)
    [(before,)] = rows(installation.data_dir / "leads.db", "SELECT count(*) FROM handoff")
    # Promise P3: the same events at the same positions, as far as the backup goes.
    assert events[:backed_up] == lived_in.events[:backed_up]
    # Promise P4: whoever read beyond is told, though the log may grow there again.
    old_log_id = rows(lived_in.backup / "leads.db", "SELECT log_id FROM log_identity")[0][0]
    async with LeadsClient(company.operator) as leads:
        with pytest.raises(RefusedError) as refused:
            await leads.events.read_events(
                eventlogpb.ReadEventsRequest(parent="tenants/-", log_id=old_log_id, after_position=3, limit=1)
            )
    assert refused.value.reason == "LOG_REGRESSED"
    # A sender that repeats what it sent since the backup loses nothing and doubles nothing.
    await submitted(company, 0, 100)
    assert before < 100
    assert await folded(company, 100) == 100


def test_databases_in_use_are_not_replaced(lived_in: LivedIn, data_dir: Path) -> None:
    before = (data_dir / "sla.db").read_bytes()
    with open_database(f"sqlite:///{data_dir / 'leads.db'}"):
        refused = commanded("restore", "--data", data_dir, lived_in.backup)

    assert (refused.status, "stop the services first" in refused.err) == (1, True), refused.err
    assert (data_dir / "sla.db").read_bytes() == before


def test_a_faulty_backup_replaces_nothing(lived_in: LivedIn, data_dir: Path, tmp_path: Path) -> None:
    backup = Path(shutil.copytree(lived_in.backup, tmp_path / "backup"))
    with (backup / "reports.db").open("ab") as file:
        file.write(b"x")
    before = {path.name: path.read_bytes() for path in data_dir.glob("*.db")}
    refused = commanded("restore", "--data", data_dir, backup)

    assert refused.status == 1
    assert {path.name: path.read_bytes() for path in data_dir.glob("*.db")} == before
    assert not list(data_dir.glob("before-restore-*"))


def test_another_machine_needs_the_keys_of_the_backup(lived_in: LivedIn, tmp_path: Path) -> None:
    without = commanded("restore", "--data", tmp_path / "new", lived_in.backup)
    moved = commanded(
        "restore", "--data", tmp_path / "new", lived_in.backup, "--keys", lived_in.keys, "--nothing-lost"
    )

    assert (without.status, "master.key is missing" in without.err) == (1, True), without.err
    assert moved.status == 0, moved.err
    assert (tmp_path / "new" / "tokens" / "operator.token").read_bytes() == (
        lived_in.data_dir / "tokens" / "operator.token"
    ).read_bytes()
    # Nothing was lost, so the log is still the one that its readers know.
    identity = "SELECT log_id FROM log_identity"
    assert rows(tmp_path / "new" / "leads.db", identity) == rows(lived_in.backup / "leads.db", identity)


def test_whom_the_installation_forgot_since_the_backup_it_forgets_again(
    lived_in: LivedIn, data_dir: Path
) -> None:
    [(lead,)] = rows(lived_in.backup / "leads.db", "SELECT lead FROM lead_person LIMIT 1")
    (data_dir / "erasures.log").write_text(f"default {lead} REQUEST\n")
    backup = Path(shutil.copytree(lived_in.backup, data_dir / "backup"))
    (backup / "erasures.log").write_text("default another RETENTION\ndefault half")

    restored = commanded("restore", "--data", data_dir, backup)

    assert restored.status == 0, restored.err
    named = (data_dir / "erasures.log").read_text().split("\n")
    assert [line for line in named if line] == [f"default {lead} REQUEST", "default another RETENTION"]


def _said_until_ended(data_dir: Path) -> str:
    """Run leads, and its readers until they end by themselves; return what these said."""
    addresses = addresses_from(0)
    log = data_dir / "regressed.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
    with log.open("wb") as said, contextlib.ExitStack() as stack:
        running = {}
        for name in addresses:
            environ = environment_of(name, data_dir=data_dir, addresses=addresses, environ=kept)
            del environ["SMARKETING_SUPERVISOR"]
            command = [sys.executable, "-m", f"services.{name}"]
            running[name] = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=said, stderr=said)
            stack.callback(running[name].wait, 40)
            stack.callback(running[name].terminate)
        for reader in ("sla", "reports"):
            assert running[reader].wait(60) == 1, log.read_text()[-3000:]
    return log.read_text()
