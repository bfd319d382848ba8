"""Rules of bringing a database to its schema."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from smarketing.sql import Database, SchemaTooNew, migrate, open_database, schema_revision

FIRST = """
    from alembic import op
    import sqlalchemy as sa
    revision = "0001"
    down_revision = None
    def upgrade() -> None:
        op.create_table("offer", sa.Column("name", sa.Text, primary_key=True))
"""
SECOND = """
    from alembic import op
    import sqlalchemy as sa
    revision = "0002"
    down_revision = "0001"
    def upgrade() -> None:
        op.add_column("offer", sa.Column("rep", sa.Text))
"""
BROKEN = SECOND + "        raise RuntimeError('the power failed')\n"


class Migrations:
    """A package of migrations that a test writes into."""

    def __init__(self, folder: Path, name: str) -> None:
        self.package = name
        self._folder = folder / name
        self._folder.mkdir()

    def write(self, number: str, source: str) -> None:
        """Add or replace one migration."""
        (self._folder / f"{number}_step.py").write_text(dedent(source))

    def remove(self, number: str) -> None:
        """Take one away, as an older build would not have it."""
        (self._folder / f"{number}_step.py").unlink()


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Migrations:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Migrations(tmp_path, f"migrations_{abs(hash(request.node.name))}")


def _columns(database: Database) -> list[str]:
    with database.reading() as connection:
        return [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(offer)")]


def test_an_empty_database_goes_through_every_migration_in_order(migrations: Migrations) -> None:
    migrations.write("0001", FIRST)
    migrations.write("0002", SECOND)
    with Database.in_memory() as database:
        reached = migrate(database, migrations.package)

        assert (reached, _columns(database)) == ("0002", ["name", "rep"])
        with database.reading() as connection:
            assert schema_revision(connection) == "0002"


def test_a_database_at_the_wanted_schema_is_left_alone(migrations: Migrations) -> None:
    migrations.write("0001", FIRST)
    with Database.in_memory() as database:
        migrate(database, migrations.package)

        assert migrate(database, migrations.package) == "0001"


def test_only_what_is_missing_runs(migrations: Migrations, tmp_path: Path) -> None:
    migrations.write("0001", FIRST)
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        migrate(database, migrations.package)
        migrations.write("0002", SECOND)

        migrate(database, migrations.package)

        assert _columns(database) == ["name", "rep"]


def test_a_migration_that_fails_halfway_leaves_the_schema_as_it_was(
    migrations: Migrations, tmp_path: Path
) -> None:
    migrations.write("0001", FIRST)
    migrations.write("0002", BROKEN)
    with open_database(f"sqlite:///{tmp_path}/a.db") as database:
        with pytest.raises(RuntimeError, match="the power failed"):
            migrate(database, migrations.package)

        assert _columns(database) == []
        migrations.write("0002", SECOND)
        assert migrate(database, migrations.package) == "0002"


def test_an_older_build_refuses_the_newer_schema(migrations: Migrations) -> None:
    migrations.write("0001", FIRST)
    migrations.write("0002", SECOND)
    with Database.in_memory() as database:
        migrate(database, migrations.package)
        migrations.remove("0002")

        with pytest.raises(SchemaTooNew, match="0002"):
            migrate(database, migrations.package)


def test_a_package_without_migrations_is_a_mistake(migrations: Migrations) -> None:
    with Database.in_memory() as database, pytest.raises(LookupError, match="no migration"):
        migrate(database, migrations.package)
