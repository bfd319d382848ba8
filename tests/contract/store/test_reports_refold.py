"""An update that keeps more of each event reads the logs again from their beginning."""

import shutil
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy import text

from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint, put_checkpoint
from smarketing.sql import Database, migrate
from tests.builders.reports import MONDAY

_MIGRATIONS = "services.reports.store.migrations"
_CONSUMERS = ("reports.leads", "reports.sla")


def _older(folder: Path) -> str:
    """Return a package of the migrations that were there before."""
    package = folder / "older_migrations"
    package.mkdir()
    shutil.copy(str(resources.files(_MIGRATIONS) / "__init__.py"), package)
    for name in ("0001_first_tables.py", "0002_positions_of_tenants.py"):
        shutil.copy(str(resources.files(_MIGRATIONS) / name), package)
    return package.name


def test_what_was_folded_before_is_folded_again_from_the_same_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with Database.in_memory() as database:
        migrate(database, _older(tmp_path))
        with database.writer_engine.begin() as connection:
            for consumer in _CONSUMERS:
                place = Checkpoint(
                    consumer=consumer, log_id="l", position=7, progress_time=MONDAY, attempts=1
                )
                put_checkpoint(connection, place)
            connection.execute(text("INSERT INTO folded_log VALUES ('leads', 'l', 7, 0)"))

        migrate(database, _MIGRATIONS)

        with database.reading() as connection:
            places = [find_checkpoint(connection, consumer) for consumer in _CONSUMERS]
            folded = connection.execute(text("SELECT count(*) FROM folded_log")).scalar()

    assert [(place.log_id, place.position, place.attempts) for place in places if place] == [
        ("l", 0, 0),
        ("l", 0, 0),
    ]
    assert folded == 0
