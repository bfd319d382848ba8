"""Lets `reports` read both logs once more from their beginning: an operator's answer to LOG_REGRESSED."""

import shutil
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, update

from services.backups.houses import HOUSES
from services.backups.manifest import BackupFaulty
from services.reports.consumers import lead_events, sla_events
from services.reports.consumers.rebuilding import LogRebuild
from services.reports.store.database import SCHEMA
from services.reports.store.fold import ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.snapshots import SNAPSHOT_FOLDER
from smarketing.eventlog.checkpoints import Checkpoint, put_checkpoint
from smarketing.eventlog.directory import fold_events
from smarketing.eventlog.reading import read
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Database, from_micros, migrate, open_database
from smarketing.sql.ownership import take_ownership
from smarketing.sql.snapshots import copied, pinned, put_on_disk

__all__ = ["refold", "refold_now"]

_Take = Callable[[Connection, Sequence[Any]], None]

_HOUSE: Final = next(house for house in HOUSES if house.service == "reports")
_PAGE_EVENTS: Final = 20_000
_MIRROR: Final = (SCHEMA.directory.token, SCHEMA.directory.principal, SCHEMA.directory.team)


def refold(data_dir: Path) -> None:
    """Empty what `reports` made of the logs, and forget which logs they were; `reports` must be stopped.

    What people and systems recorded there stays, with its own log and audit trail: it is in no other log.
    Copies for past states go, because they are of what was made before.
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
    shutil.rmtree(data_dir / SNAPSHOT_FOLDER, ignore_errors=True)


def refold_now(data_dir: Path) -> int:
    """Do as `refold` does, and read both logs at once from the files beside it; return how many events.

    The tables are made in a copy, which takes the database's place when it is whole: whatever happens
    before leaves a database whose `reports` reads both logs by itself.

    Raises:
        BackupFaulty: as `refold`; when a log is not there, or tells of what this build does not know;
            when somebody still reads the database at the end.
        DatabaseOwned, StorageError: as `refold`.
    """
    paths = [_log_of(data_dir, log) for log in _HOUSE.follows.values()]
    missing = ", ".join(str(path) for path in paths if not path.is_file())
    if missing:
        raise BackupFaulty(f"{missing}: not there; without --now reports reads both logs by itself.")
    refold(data_dir)
    path = data_dir / _HOUSE.file
    copy = path.with_suffix(".refold")
    with ExitStack() as stack:
        # Until the copy has its place: whoever opened the file before would write to one that goes.
        stack.callback(take_ownership(path).give_up)
        for name in (copy, Path(f"{copy}.lock")):
            stack.callback(name.unlink, missing_ok=True)
        copy.unlink(missing_ok=True)
        with pinned(path) as emptied:
            copied(emptied, copy)
        with open_database(f"sqlite:///{copy}") as database:
            count = _filled(database, data_dir)
        _check_unread(path)
        copy.replace(path)
        put_on_disk(path)
    return count


def _check_unread(path: Path) -> None:
    """Refuse to replace a file that somebody reads: its write-ahead log would be taken for the new one's."""
    if Path(f"{path}-wal").exists():
        raise BackupFaulty(
            f"{path} is being read, perhaps by a backup: try again when that is over,"
            " or start reports, which reads both logs by itself."
        )


def _log_of(data_dir: Path, service: str) -> Path:
    return data_dir / f"{service}.db"


def _filled(database: Database, data_dir: Path) -> int:
    made = LogRebuild(ReadModel(SCHEMA.reports), MarketingQuotas(SCHEMA.reports))

    def take_leads(connection: Connection, events: Sequence[Any]) -> None:
        fold_events(SCHEMA.directory, connection, events)
        made.take_leads(connection, events)

    takes: dict[str, tuple[_Take, Collection[str]]] = {
        "leads": (take_leads, lead_events.PAYLOAD_TYPES),
        "sla": (made.take_sla, sla_events.PAYLOAD_TYPES),
    }
    places = [
        _followed(database, _log_of(data_dir, log), consumer, *takes[log])
        for consumer, log in _HOUSE.follows.items()
    ]
    with database.writer_engine.begin() as connection:
        made.finish(connection)
        for place in places:
            put_checkpoint(connection, place)
    return sum(place.position for place in places)


def _followed(
    database: Database, path: Path, consumer: str, take: _Take, known: Collection[str]
) -> Checkpoint:
    """Take in all that a log holds, and return the place of the consumer that would have."""
    position, recorded = 0, from_micros(0)
    with pinned(path) as log:
        while (page := read(log, WHOLE_LOG, after=position, limit=_PAGE_EVENTS)).events:
            _check_known(page.events, known)
            with database.writer_engine.begin() as connection:
                take(connection, page.events)
            position = page.events[-1].position
            recorded = from_micros(lead_events.micros_from(page.events[-1].record_time))
    return Checkpoint(
        consumer=consumer,
        log_id=page.log_id,
        position=position,
        progress_time=recorded,
        attempts=0,
        record_time=recorded if position else None,
    )


def _check_known(events: Sequence[Any], known: Collection[str]) -> None:
    for event in events:
        name = event.payload.TypeName()
        if name not in known and not event.skippable:
            raise BackupFaulty(f"{name} at {event.position} is unknown to this build: install a newer one.")
