"""Brings a database to the schema that this build wants, before anything else touches it."""

from importlib.util import find_spec
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from smarketing.sql.engine import Database


class SchemaTooNew(Exception):
    """The database was migrated by a newer build than this one: start that build, or restore a backup."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database has schema {revision}, which this build does not know: start the newer build"
        )
        self.revision = revision


def migrate(database: Database, package: str) -> str:
    """Run every migration that is missing, and return the revision reached.

    `package` holds numbered files, as `services.leads.store.migrations`: each declares `revision`,
    `down_revision` and `upgrade()`, which uses `alembic.op`. All run in one transaction, so a process
    killed in between leaves the schema as it was, and of several that start together one does it while
    the others wait. Forward only: there is no downgrade.

    Raises:
        SchemaTooNew: when the database has a revision that the package does not.
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
        if schema_revision(connection) == head:
            return head
    with database.migrating() as connection:
        _upgrade(connection, config, script, head)
    return head


def schema_revision(connection: Connection) -> str:
    """Return the revision the database is at; empty when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def _upgrade(connection: Connection, config: Config, script: ScriptDirectory, head: str) -> None:
    current = schema_revision(connection)
    known = {revision.revision for revision in script.walk_revisions()}
    if current and current not in known:
        raise SchemaTooNew(current)

    def missing(revision: object, _context: object) -> object:
        return script._upgrade_revs(head, revision)  # type: ignore[arg-type]  # noqa: SLF001 -- alembic's own command calls it so

    with EnvironmentContext(config, script, fn=missing, destination_rev=head) as environment:
        environment.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
        # No `begin_transaction`: the caller's transaction is the one, and it commits or nothing does.
        environment.run_migrations()


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{package} is no package")
    return Path(next(iter(spec.submodule_search_locations)))
