"""Lets `reports` read both logs once more from their beginning: an operator's answer to LOG_REGRESSED."""

from pathlib import Path
from typing import Final

from sqlalchemy import delete, update

from services.backups.houses import HOUSES
from services.backups.manifest import BackupFaulty
from services.reports.store.database import SCHEMA
from smarketing.sql import migrate, open_database

__all__ = ["refold"]

_HOUSE: Final = next(house for house in HOUSES if house.service == "reports")
_MIRROR: Final = (SCHEMA.directory.token, SCHEMA.directory.principal, SCHEMA.directory.team)


def refold(data_dir: Path) -> None:
    """Empty what `reports` made of the logs, and forget which logs they were; `reports` must be stopped.

    What people and systems recorded there stays, with its own log and audit trail: it is in no other log.
    Who may call is learnt from the log as well, so until it was read `reports` is not ready.

    Raises:
        BackupFaulty: there is no database of `reports`.
        DatabaseOwned: when it is running.
        StorageError: when storage is at fault.
    """
    path = data_dir / _HOUSE.file
    if not path.is_file():
        raise BackupFaulty(f"{path} is not there; reports makes one anew when it starts.")
    place = SCHEMA.event_log.consumer_checkpoint
    with open_database(f"sqlite:///{path}") as database:
        migrate(database, _HOUSE.migrations)
        with database.writer_engine.begin() as connection:
            for table in (*SCHEMA.reports.read_model, *_MIRROR):
                connection.execute(delete(table))
            connection.execute(
                update(place)
                .where(place.c.consumer.in_(list(_HOUSE.follows)))
                .values(log_id="", position=0, attempts=0, record_time=None)
            )
