"""A build may run on the schema of the next one as long as that one's migrations only add."""

import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import Connection, inspect

from smarketing.sql import Database, SchemaTooNew, migrate, open_database, schema_revision
from tests.contract.store.test_schemas import SCHEMAS

STEP = """
    from alembic import op
    import sqlalchemy as sa
    revision = "{revision}"
    down_revision = {before!r}
    {promise}
    def upgrade() -> None:
        {what}
"""
MAKES = 'op.create_table("offer", sa.Column("name", sa.Text, primary_key=True))'
ADDS = 'op.add_column("offer", sa.Column("{column}", sa.Text))'

Build = Callable[[str], str]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Build:
    """Give what makes a build: the package of the first so many migrations of five."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def made(steps: str) -> str:
        """Each letter is a migration: `.` says nothing, `+` is open to the build before it, `=` to 0001."""
        package = f"build_{abs(hash((request.node.name, steps)))}"
        (tmp_path / package).mkdir()
        for number, step in enumerate(steps, start=1):
            before = f"{number - 1:04}" if number > 1 else None
            promise = {".": "", "+": f'oldest_build = "{before}"', "=": 'oldest_build = "0001"'}[step]
            what = MAKES if number == 1 else ADDS.format(column=f"column_{number}")
            source = dedent(STEP).format(revision=f"{number:04}", before=before, promise=promise, what=what)
            (tmp_path / package / f"{number:04}_step.py").write_text(source)
        return package

    return made


def test_the_build_before_starts_on_a_schema_that_was_only_added_to(database: Database, build: Build) -> None:
    older, newer = build("."), build(".+")
    migrate(database, older)
    migrate(database, newer)

    assert migrate(database, older) == "0002"
    assert migrate(database, newer) == "0002"
    with database.reading() as connection:
        assert schema_revision(connection) == "0002"


def test_a_build_that_a_migration_shuts_out_is_told_so(database: Database, build: Build) -> None:
    older, newer = build("."), build("..")
    migrate(database, newer)

    with pytest.raises(SchemaTooNew, match="schema 0002, which this build does not know"):
        migrate(database, older)


def test_one_migration_that_takes_away_shuts_out_whatever_the_others_promise(
    database: Database, build: Build
) -> None:
    migrate(database, build(".+.="))

    assert migrate(database, build(".+.")) == "0004"
    with pytest.raises(SchemaTooNew, match="0004"):
        migrate(database, build(".+"))


def test_a_release_of_two_migrations_may_be_open_to_the_build_before_both(
    database: Database, build: Build
) -> None:
    migrate(database, build(".=="))

    assert migrate(database, build(".")) == "0003"


def test_a_schema_that_nobody_promised_anything_of_is_refused(database: Database, build: Build) -> None:
    only = build(".")
    migrate(database, only)
    with database.migrating() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0009'")

    with pytest.raises(SchemaTooNew, match="0009"):
        migrate(database, only)


def test_a_later_upgrade_takes_back_what_an_earlier_one_promised(database: Database, build: Build) -> None:
    migrate(database, build(".+"))
    migrate(database, build(".+."))

    with pytest.raises(SchemaTooNew, match="0003"):
        migrate(database, build("."))


@pytest.mark.parametrize("package", SCHEMAS)
def test_what_says_that_an_older_build_may_run_only_adds(
    package: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the newest promise: every table, column and index of the old schema is there, and new columns may
    be left out by who does not know them.
    """
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    older = _of_the_oldest_build(package, tmp_path)
    with open_database(database_url) as database:
        reached = migrate(database, older)
        with database.reading() as connection:
            before = _described(connection)
        head = migrate(database, package)
        with database.reading() as connection:
            after = _described(connection)
        if head != reached:
            assert migrate(database, older) == head

    assert {name: parts.keys() - after[name].keys() for name, parts in before.items()} == {
        name: set() for name in before
    }
    for name, parts in before.items():
        assert {key: after[name][key] for key in parts} == parts
        new = [after[name][key] for key in after[name].keys() - parts.keys()]
        assert [each for each in new if each["binds"]] == []


def _of_the_oldest_build(package: str, folder: Path) -> str:
    """Return a package of the migrations that the oldest build able to run on the newest schema has."""
    source = Path(str(import_module(package).__path__[0]))
    files = sorted(source.glob("0*.py"))
    promised = [_promise(package, file) for file in files]
    oldest = max(promised)
    name = f"oldest_build_of_{package.split('.')[1]}"
    (folder / name).mkdir()
    for file in files:
        if file.name[:4] <= oldest:
            shutil.copy(file, folder / name)
    return name


def _promise(package: str, file: Path) -> str:
    module = import_module(f"{package}.{file.stem}")
    return str(getattr(module, "oldest_build", module.revision))


def _described(connection: Connection) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Return each table's columns and indexes, and whether each binds who writes without knowing it."""
    found = inspect(connection)
    tables = {}
    for table in found.get_table_names():
        if table in {"alembic_version", "schema_promise"}:
            continue
        columns = {
            ("column", each["name"]): {
                "type": str(each["type"]),
                "binds": not each["nullable"] and each["default"] is None,
            }
            for each in found.get_columns(table)
        }
        indexes = {
            ("index", str(each["name"])): {
                "type": str(each["column_names"]),
                "binds": bool(each["unique"]),
            }
            for each in found.get_indexes(table)
        }
        tables[table] = columns | indexes
    return tables
