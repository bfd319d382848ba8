"""Brings a database to the schema that this build wants, before anything else touches it."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, insert, inspect, select

from smarketing.sql.engine import Database

# Beside alembic's own table, and like that one no migration's and no service's.
_promise: Final = Table(
    "schema_promise",
    MetaData(),
    Column("revision", Text, primary_key=True),
    Column("oldest_build", Text, nullable=False),
    sqlite_strict=True,
)


class SchemaTooNew(Exception):
    """A newer build migrated the database beyond what this one may run on: start that build, or restore."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database has schema {revision}, which this build does not know: start the newer build"
        )
        self.revision = revision


def migrate(database: Database, package: str) -> str:
    """Run every migration that is missing, and return the revision that the database is at.

    `package` holds numbered files, as `services.leads.store.migrations`: each declares `revision`,
    `down_revision` and `upgrade()`, which uses `alembic.op`. All run in one transaction, so a process
    killed in between leaves the schema as it was, and of several that start together one does it while
    the others wait. Forward only: there is no downgrade.

    A migration after which older builds may still run names the oldest of them by its newest revision, as
    `oldest_build = "0007"`; one that names none shuts them all out. What all of them together allow is kept
    in the database, where an older build finds it: it then runs on the newer schema and changes nothing.

    Raises:
        SchemaTooNew: when the database has a revision that the package does not, and that was not made to
            be run on by this build.
        StorageError: when storage is at fault.
    """
    config = Config()
    config.set_main_option("script_location", str(_folder_of(package)))
    # The files lie in the package itself, without a folder `versions` between.
    config.set_main_option("version_locations", str(_folder_of(package)))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    if head is None:
        raise LookupError(f"{package} holds no migration")
    with database.reading() as connection:
        # Of many replicas that start, only those that find something missing wait for a turn.
        current = schema_revision(connection)
        if current == head or _is_newer_but_open(connection, current, _revisions(script)):
            return current
    with database.migrating() as connection:
        return _upgrade(connection, config, script, head)


def schema_revision(connection: Connection) -> str:
    """Return the revision the database is at; empty when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def _upgrade(connection: Connection, config: Config, script: ScriptDirectory, head: str) -> str:
    current, known = schema_revision(connection), _revisions(script)
    if _is_newer_but_open(connection, current, known):
        return current

    def missing(revision: object, _context: object) -> object:
        return script._upgrade_revs(head, revision)  # type: ignore[arg-type]  # noqa: SLF001 -- alembic's own command calls it so

    with EnvironmentContext(config, script, fn=missing, destination_rev=head) as environment:
        environment.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
        # No `begin_transaction`: the caller's transaction is the one, and it commits or nothing does.
        environment.run_migrations()
    _keep_promise(connection, head, _oldest_build(script))
    return head


def _revisions(script: ScriptDirectory) -> Sequence[str]:
    """Return the revisions that this build knows, from the first on."""
    return [each.revision for each in reversed(list(script.walk_revisions()))]


def _oldest_build(script: ScriptDirectory) -> str:
    """Return the oldest build that every migration of the package leaves able to run."""
    declared = (str(getattr(each.module, "oldest_build", each.revision)) for each in script.walk_revisions())
    known = _revisions(script)
    return max(declared, key=known.index)


def _keep_promise(connection: Connection, revision: str, oldest_build: str) -> None:
    _promise.create(connection, checkfirst=True)
    connection.execute(delete(_promise))
    connection.execute(insert(_promise).values(revision=revision, oldest_build=oldest_build))


def _is_newer_but_open(connection: Connection, current: str, known: Sequence[str]) -> bool:
    """Return whether a newer build migrated the database in such a way that this one may run on it.

    Raises:
        SchemaTooNew: when it did in another way.
    """
    if not current or current in known:
        return False
    promise = None
    if inspect(connection).has_table(_promise.name):
        query = select(_promise.c.oldest_build).where(_promise.c.revision == current)
        promise = connection.execute(query).scalar_one_or_none()
    if promise not in known:
        raise SchemaTooNew(current)
    return True


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{package} is no package")
    return Path(next(iter(spec.submodule_search_locations)))
