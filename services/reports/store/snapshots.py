"""Copies of the read model as files, from which past states of it are made.

A copy is a database of its own, without indexes and compressed, made from one state of the tables. Beside it
lies what it holds: the schema, and how far each log and each tenant's view is folded in. A copy without that
does not exist: it is written last.
"""

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, select
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from services.reports.domain.as_of import Place, Places, kept_of
from services.reports.domain.periods import Micros
from services.reports.store.schema import Tables, define_tables
from smarketing.sql import Database, InsertRows, open_database
from smarketing.sql.engine import sqlite_driver
from smarketing.sql.errors import storage_error_of

__all__ = ["SNAPSHOT_FOLDER", "Snapshot", "Snapshots", "places_in"]

SNAPSHOT_FOLDER: Final = "reports-snapshots"
"""Where copies lie, in the data folder."""

_PACKED: Final = ".db.gz"
_NOTE: Final = ".json"
_CHUNK_BYTES: Final = 1 << 20
_ROWS: Final = 2_000
_STEPS: Final = 100_000
"""Of the database's machine, after each of which a copy may be given up."""
_FREE_SHARE: Final = 4
"""A copy is made only while the disk has so many times what the last one took, before it was packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy that exists."""

    path: Path
    time: Micros
    """When the newest event in it was recorded."""
    logs: Places
    tenants: Mapping[str, Places]
    size: int
    is_divided: bool = False
    """Whether the logs were divided among replicas: then what is in it is of no one place of a whole log."""


class Snapshots:
    """The copies in one folder; they are made and thinned by one thread at a time."""

    def __init__(self, folder: Path, *, schema: str, most_bytes: int) -> None:
        self._folder = folder
        self._schema = schema
        self._most_bytes = most_bytes
        self._tables = define_tables(MetaData())
        self._given_up = Event()

    def all(self) -> list[Snapshot]:
        """Return every copy of the present schema, oldest first."""
        notes = sorted(self._folder.glob(f"*{_NOTE}"))
        return [found for note in notes if (found := self._read(note)) is not None]

    def make(self, database: Database) -> Snapshot | None:
        """Copy the tables as they are; None where nothing was folded in yet, or there is no room.

        Raises:
            OSError, StorageError: when it cannot be made, or was given up.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        plain = self._folder / "new.db"
        plain.unlink(missing_ok=True)
        if self._is_full(database):
            return None
        try:
            engine = _engine(plain)
            self._copy(database, engine)
            with engine.connect() as connection:
                logs, tenants = places_in(connection, self._tables)
                is_divided = _is_divided(connection, self._tables)
            engine.dispose()
            return self._keep(plain, logs, tenants, is_divided=is_divided) if logs else None
        except Exception as error:
            self._check_given_up()
            # The file is written by SQLite: a disk that is full by now is its error, not the system's.
            translated = storage_error_of(error)
            if translated is None:
                raise
            raise translated from error
        finally:
            plain.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Let a copy that is being made come to nothing, soon: the process ends."""
        self._given_up.set()

    def restore(self, snapshot: Snapshot | None, path: Path) -> Database:
        """Make a database of a copy at `path`; of none an empty one.

        Raises:
            OSError, EOFError: when the copy cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What is left of a copy that could not be read is no part of the next.
        path.unlink(missing_ok=True)
        if snapshot is not None:
            _unpack(snapshot.path, path)
        database = open_database(f"sqlite:///{path}", check=False)
        _hurry(database)
        try:
            with database.writer_engine.begin() as connection:
                for table in _copied(self._tables):
                    if snapshot is None:
                        connection.execute(CreateTable(table))
                    for index in table.indexes:
                        index.create(connection)
        except BaseException:
            database.close()
            raise
        return database

    def thin(self, now: Micros) -> list[Snapshot]:
        """Remove the copies that are not kept, and the oldest of all while they take too much room.

        Returns:
            Those that are left.
        """
        known = self.all()
        kept = kept_of((each.time for each in known), now)
        left = [each for each in known if each.time in kept]
        while len(left) > 1 and sum(each.size for each in left) > self._most_bytes:
            left = left[1:]
        names = {each.path.name.removesuffix(_PACKED) for each in left}
        for path in self._folder.glob("*"):
            if path.name.removesuffix(_PACKED).removesuffix(_NOTE) not in names and path.suffix != ".db":
                path.unlink(missing_ok=True)
        return left

    def discard(self, snapshot: Snapshot) -> None:
        """Remove a copy that turned out to be of another past."""
        snapshot.path.with_name(snapshot.path.name.removesuffix(_PACKED) + _NOTE).unlink(missing_ok=True)
        snapshot.path.unlink(missing_ok=True)

    def _check_given_up(self) -> None:
        if self._given_up.is_set():
            raise InterruptedError("the copy was given up")

    def _copy(self, database: Database, engine: Engine) -> None:
        with engine.begin() as connection:
            for table in _copied(self._tables):
                connection.execute(CreateTable(table))
        if database.path is not None:
            self._copy_file(database.path, engine)
            return
        with database.reading() as source, engine.begin() as target:
            for table in self._tables.read_model:
                insert = InsertRows(table)
                # Closed whatever happens: a server keeps a cursor for it.
                with source.execution_options(yield_per=_ROWS).execute(select(table)) as found:
                    for rows in found.partitions():
                        insert.insert(target, rows)
                        self._check_given_up()

    def _copy_file(self, path: Path, engine: Engine) -> None:
        """Let SQLite itself copy, from one state, while the interpreter goes on."""
        with closing(engine.raw_connection()) as raw:
            connection: Any = raw.driver_connection
            connection.isolation_level = None
            connection.set_progress_handler(self._given_up.is_set, _STEPS)
            for pragma in ("journal_mode=OFF", "synchronous=OFF"):
                connection.execute(f"PRAGMA {pragma}").close()
            connection.execute("ATTACH DATABASE ? AS live", (str(path),))
            connection.execute("BEGIN")
            for table in self._tables.read_model:
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                connection.execute(
                    f"INSERT INTO main.{table.name} ({names}) SELECT {names} FROM live.{table.name}"  # noqa: S608 -- names of our own tables and columns
                )
            connection.execute("COMMIT")
            connection.execute("DETACH DATABASE live")

    def _is_full(self, database: Database) -> bool:
        path = database.path
        size = path.stat().st_size if path is not None else max((each.size for each in self.all()), default=0)
        return shutil.disk_usage(self._folder).free < _FREE_SHARE * size

    def _keep(
        self, plain: Path, logs: Places, tenants: Mapping[str, Places], *, is_divided: bool
    ) -> Snapshot:
        time = max(place.record_time for place in logs.values())
        path = self._folder / f"{time:020d}{_PACKED}"
        packing = self._folder / f"{time:020d}.packing"
        with plain.open("rb") as source, _created(packing) as target:
            # The least effort: three times as fast as more of it, for a few hundredths more room.
            with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=0) as packed:
                while chunk := source.read(_CHUNK_BYTES):
                    packed.write(chunk)
                    self._check_given_up()
            target.flush()
            os.fsync(target.fileno())
        packing.replace(path)
        note = {
            "schema": self._schema,
            "time": time,
            "logs": _plain(logs),
            "tenants": {tenant: _plain(places) for tenant, places in tenants.items()},
            "divided": is_divided,
        }
        _write_whole(self._folder / f"{time:020d}{_NOTE}", json.dumps(note))
        return Snapshot(
            path=path,
            time=time,
            logs=logs,
            tenants=tenants,
            size=path.stat().st_size,
            is_divided=is_divided,
        )

    def _read(self, note: Path) -> Snapshot | None:
        path = note.with_name(note.name.removesuffix(_NOTE) + _PACKED)
        with suppress(OSError, ValueError, KeyError):
            told: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
            if told["schema"] != self._schema:
                return None
            return Snapshot(
                path=path,
                time=told["time"],
                logs=_places(told["logs"]),
                tenants={tenant: _places(places) for tenant, places in told["tenants"].items()},
                size=path.stat().st_size,
                is_divided=told.get("divided", False),
            )
        return None


def places_in(connection: Connection, tables: Tables) -> tuple[Places, Mapping[str, Places]]:
    """Return how far the logs are folded in, and each tenant's view of them, by service.

    Of a log that is divided among replicas it is the furthest that one of them has come.
    """
    log, view = tables.folded_log.c, tables.folded_tenant.c
    rows = connection.execute(
        select(log.service, log.log_id, log.position, log.record_time).order_by(log.position)
    )
    logs = {row[0].partition(".")[0]: Place(*row[1:]) for row in rows}
    tenants: dict[str, dict[str, Place]] = {}
    query = select(view.tenant, view.service, view.log_id, view.position, view.record_time)
    for row in connection.execute(query):
        tenants.setdefault(row[0], {})[row[1]] = Place(*row[2:])
    return logs, tenants


def _is_divided(connection: Connection, tables: Tables) -> bool:
    services = connection.execute(select(tables.folded_log.c.service)).scalars()
    return any("." in service for service in services)


def _copied(tables: Tables) -> Sequence[Table]:
    # Inputs are in no log and have a journal of their own: a copy has these tables, and leaves them empty.
    return (*tables.read_model, tables.input_entry, tables.input_change, tables.month_end)


def _engine(path: Path) -> Engine:
    _created(path).close()
    return create_engine(f"sqlite:///{path}", module=sqlite_driver(), poolclass=NullPool)


def _unpack(packed_path: Path, path: Path) -> None:
    try:
        with gzip.open(packed_path, "rb") as packed, _created(path) as plain:
            shutil.copyfileobj(packed, plain, _CHUNK_BYTES)
    except zlib.error as error:
        raise OSError(f"{packed_path.name} is damaged") from error


def _plain(places: Places) -> dict[str, list[Any]]:
    return {service: [each.log_id, each.position, each.record_time] for service, each in places.items()}


def _places(told: Mapping[str, Sequence[Any]]) -> Places:
    return {service: Place(*each) for service, each in told.items()}


def _hurry(database: Database) -> None:
    """Wait for no disk: what a machine forgets of a scratch database is made again."""
    with closing(database.writer_engine.raw_connection()) as raw:
        connection: Any = raw.driver_connection
        connection.execute("PRAGMA synchronous=OFF").close()


def _created(path: Path) -> IO[bytes]:
    """Open a new file for its owner's eyes alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _write_whole(path: Path, content: str) -> None:
    new = path.with_suffix(".writing")
    with _created(new) as target:
        target.write(content.encode())
        target.flush()
        os.fsync(target.fileno())
    new.replace(path)
