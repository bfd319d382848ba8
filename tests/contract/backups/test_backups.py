"""A backup taken of running services is of one instant, whole, and says when it is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.backups.houses import HOUSES
from services.leads.consumers import sla_events
from services.reports.__main__ import _FOLLOWED as FOLLOWED_BY_REPORTS
from services.sla.consumers import leads_log
from smarketing.sql import Database, open_database
from smarketing.sql.snapshots import copied, pinned
from tests.contract.backups.lived_in import LivedIn, change, commanded, rows

pytestmark = pytest.mark.timeout(300)

Spoil = Callable[[Path], None]


@pytest.fixture
def backup(lived_in: LivedIn, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in.backup, tmp_path / "backup"))


@pytest.fixture
def data_dir(lived_in: LivedIn, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived_in.data_dir, tmp_path / "data"))


def test_every_consumer_of_a_service_is_known_to_backups() -> None:
    assert {house.service: set(house.follows) for house in HOUSES} == {
        "leads": {sla_events.CONSUMER},
        "sla": {leads_log.CONSUMER},
        "reports": set(FOLLOWED_BY_REPORTS),
    }


def test_a_backup_of_running_services_holds_the_log_up_to_one_instant(lived_in: LivedIn) -> None:
    manifest = json.loads((lived_in.backup / "manifest.json").read_text())
    end = manifest["databases"]["leads"]["head_position"]
    stored = rows(lived_in.backup / "leads.db", "SELECT position, payload FROM event_log ORDER BY position")

    assert lived_in.head_then <= end < lived_in.head_at_the_end
    assert stored == [(position, payload) for position, _, _, payload in lived_in.events[:end]]


def test_the_keys_lie_apart_from_what_they_open(lived_in: LivedIn) -> None:
    assert not list(lived_in.backup.rglob("*.key")) + list(lived_in.backup.rglob("*.token"))
    assert (lived_in.keys / "master.key").read_bytes() == (lived_in.data_dir / "master.key").read_bytes()
    assert (lived_in.keys / "tokens" / "operator.token").is_file()
    refused = commanded(
        "backup",
        "--data",
        lived_in.data_dir,
        lived_in.data_dir / "b",
        "--keys",
        lived_in.data_dir / "b" / "k",
    )
    assert (refused.status, "keep keys apart" in refused.err) == (1, True)


def test_nobody_else_can_read_a_backup(lived_in: LivedIn) -> None:
    files = [path for path in lived_in.backup.iterdir() if path.suffix == ".db"]

    assert {path.stat().st_mode & 0o077 for path in [lived_in.backup, *files]} == {0}


def test_a_whole_backup_is_told_whole(backup: Path) -> None:
    verified = commanded("verify", backup)

    assert verified.status == 0, verified.err
    assert "is whole" in verified.out


def _hole(backup: Path) -> None:
    change(backup / "leads.db", "DELETE FROM event_log WHERE position = 20")


def _turned(backup: Path) -> None:
    change(backup / "leads.db", "UPDATE event_log SET occur_time = occur_time + 1 WHERE position = 20")


def _cut(backup: Path) -> None:
    change(
        backup / "leads.db",
        "DELETE FROM event_log WHERE position > 40",
        "UPDATE log_head SET position = 40 WHERE view = 'tenants/-'",
    )


def _ahead(backup: Path) -> None:
    change(backup / "sla.db", "UPDATE consumer_checkpoint SET position = 1000000")


def _another_event(backup: Path) -> None:
    change(backup / "sla.db", "UPDATE consumer_checkpoint SET record_time = record_time + 1")


def _another_log(backup: Path) -> None:
    change(backup / "sla.db", "UPDATE consumer_checkpoint SET log_id = 'x'")


def _lost_handoff(backup: Path) -> None:
    change(backup / "leads.db", "UPDATE business_total SET amount = amount + 1 WHERE total = 'submitted'")


def _lost_clock(backup: Path) -> None:
    change(backup / "sla.db", "DELETE FROM clock WHERE rowid = (SELECT max(rowid) FROM clock)")


def _wrong_sum(backup: Path) -> None:
    change(backup / "reports.db", "UPDATE handoff_rollup SET items = items + 1 WHERE grain = 0")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_hole, "leads: its log should be 1 to"),
        (_turned, "leads: the event at position 20 is not as it was recorded"),
        (_cut, "but the log ends at 40"),
        (_ahead, "its consumer sla.leads is at position 1000000"),
        (_another_event, "its consumer sla.leads took in another event"),
        (_another_log, "its consumer sla.leads follows the log x"),
        (_lost_handoff, "handoffs began"),
        (_lost_clock, "clocks were started"),
        (_wrong_sum, "reports: sums and facts differ"),
    ],
)
def test_databases_that_lie_are_told(data_dir: Path, spoil: Spoil, told: str) -> None:
    spoil(data_dir)
    verified = commanded("verify", "--data", data_dir)

    assert (verified.status, told in verified.err) == (1, True), verified.err


def test_databases_of_running_or_stopped_services_are_told_whole(data_dir: Path) -> None:
    with open_database(f"sqlite:///{data_dir / 'leads.db'}"):
        verified = commanded("verify", "--data", data_dir)

    assert verified.status == 0, verified.err


def test_a_changed_file_is_not_the_one_that_was_backed_up(backup: Path) -> None:
    with (backup / "sla.db").open("r+b") as file:
        file.seek(9000)
        file.write(b"\xff")
    verified = commanded("verify", backup)

    assert (verified.status, "is not the file that was backed up" in verified.err) == (1, True)


def test_a_backup_that_was_never_finished_is_none(backup: Path) -> None:
    (backup / "manifest.json").unlink()
    verified = commanded("verify", backup)

    assert (verified.status, "is no backup" in verified.err) == (1, True)


def test_databases_that_do_not_belong_together_make_no_backup(data_dir: Path, tmp_path: Path) -> None:
    _ahead(data_dir)
    refused = commanded("backup", "--data", data_dir, tmp_path / "backups")

    assert (refused.status, "do not belong together" in refused.err) == (1, True)
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_folder_without_databases_is_told_whose_backups_there_are(tmp_path: Path) -> None:
    refused = commanded("backup", "--data", tmp_path, tmp_path / "backups")

    assert (refused.status, "leads.db" in refused.err, "PostgreSQL" in refused.err) == (1, True, True)


def test_a_pinned_copy_holds_nothing_that_is_written_while_it_is_made(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'a.db'}") as database:
        _execute(database, "CREATE TABLE thing (number INTEGER PRIMARY KEY, word BLOB)")
        _execute(database, "INSERT INTO thing VALUES (1, randomblob(400000)), (2, 'gone for good')")
        _execute(database, "DELETE FROM thing WHERE number = 2")
        with pinned(tmp_path / "a.db") as connection:
            _execute(database, "INSERT INTO thing VALUES (3, 'later')")
            copied(connection, tmp_path / "copy.db")

    assert rows(tmp_path / "copy.db", "SELECT number FROM thing") == [(1,)]
    assert b"gone for good" not in (tmp_path / "copy.db").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("copy")) == ["copy.db"]


def _execute(database: Database, statement: str) -> None:
    with database.writer_engine.begin() as connection:
        connection.exec_driver_sql(statement)
