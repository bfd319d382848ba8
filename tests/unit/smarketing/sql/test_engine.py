"""Rules of opening a database."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from smarketing.sql import Database, DatabaseOwned, DatabaseUnsupported, StorageCorrupt, open_database
from smarketing.sql.ownership import free_room


def test_every_writer_connection_syncs_each_commit_keeps_a_wal_and_enforces_foreign_keys(
    tmp_path: Path,
) -> None:
    with (
        open_database(f"sqlite:///{tmp_path}/a.db") as database,
        database.writer_engine.connect() as connection,
    ):
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "mmap_size",
                "wal_autocheckpoint",
            )
        }

        assert pragmas == {
            "journal_mode": "wal",
            "synchronous": 2,
            "foreign_keys": 1,
            # A foreign lock is waited for by whoever may wait, not inside SQLite.
            "busy_timeout": 0,
            "mmap_size": 0,
            # In pages: half of what the file of the log is cut back to.
            "wal_autocheckpoint": 8192,
        }
        assert database.lock_patience == timedelta(seconds=2)


@pytest.mark.parametrize("url", ["sqlite:///{folder}/a.db", "sqlite://"])
def test_a_reader_cannot_write(url: str, tmp_path: Path) -> None:
    with open_database(url.format(folder=tmp_path)) as database:
        with database.writer_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")

        with pytest.raises(OperationalError, match="readonly"), database.reading() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("url", ["sqlite:///{folder}/a.db", "sqlite://"])
def test_what_a_rolled_back_transaction_wrote_is_never_seen(url: str, tmp_path: Path) -> None:
    with open_database(url.format(folder=tmp_path)) as database:
        with database.writer_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")

        with database.writer_engine.connect() as connection:
            transaction = connection.begin()
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            transaction.rollback()

        with database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0


def test_a_read_transaction_sees_one_state_however_long_it_lasts(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        with database.writer_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")

        with database.reading() as reader:
            before = reader.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
            with database.writer_engine.begin() as connection:
                connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            after = reader.exec_driver_sql("SELECT count(*) FROM t").scalar_one()

        assert (before, after) == (0, 0)


def test_two_databases_in_memory_are_strangers() -> None:
    with Database.in_memory() as one, Database.in_memory() as other:
        with one.writer_engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")

        with other.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one() == 0


def test_a_file_has_one_owner_and_the_second_is_told_who_it_is(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from smarketing.sql import DatabaseOwned, open_database\n"
        "try:\n"
        "    open_database(sys.argv[1])\n"
        "except DatabaseOwned as error:\n"
        "    print(error)\n"
    )
    url = f"sqlite:///{tmp_path}/a.db"
    with open_database(url):
        second = subprocess.run(
            [sys.executable, "-c", script, url], capture_output=True, text=True, check=True
        )

    assert "is in use (process " in second.stdout
    with open_database(url):
        pass  # the owner gave it up when it closed


def test_the_owner_itself_cannot_open_the_file_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with open_database(url), pytest.raises(DatabaseOwned):
        open_database(url)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database, but somebody's file\n" * 100)
    before = path.read_bytes()

    with pytest.raises(StorageCorrupt):
        open_database(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_new_database_is_for_its_owners_eyes_alone_wherever_it_lies(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with (
        open_database(f"sqlite:///{tmp_path}/a.db") as database,
        database.writer_engine.begin() as connection,
    ):
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}

    assert modes == dict.fromkeys(("a.db", "a.db-shm", "a.db-wal", "a.db.lock"), 0o600)


def test_a_page_that_rotted_is_found_before_anything_is_served(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_database(f"sqlite:///{path}") as database, database.writer_engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
            "INSERT INTO t SELECT i, 'text number ' || i FROM n"
        )
    content = bytearray(path.read_bytes())
    content[4096 * 6 : 4096 * 6 + 200] = bytes(200)
    path.write_bytes(content)

    with pytest.raises(StorageCorrupt):
        open_database(f"sqlite:///{path}")


def test_another_database_is_refused_with_the_one_to_use() -> None:
    with pytest.raises(DatabaseUnsupported, match="sqlite:///"):
        open_database("mysql://localhost/leads")


def test_the_room_of_a_local_disk_is_known(tmp_path: Path) -> None:
    assert free_room(tmp_path / "a.db") > 0
