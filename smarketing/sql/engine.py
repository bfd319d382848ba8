"""Opens a database: one writer connection, several readers, one owning process.

SQLite is the database of a fresh install, and everything that is particular to it is decided here.
PostgreSQL is `postgres.py`, behind the same `Database`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from smarketing.sql import postgres
from smarketing.sql.errors import (
    DatabaseUnsupported,
    StorageCorrupt,
    StorageError,
    StorageFault,
    StorageUnavailable,
    storage_error_of,
)
from smarketing.sql.ownership import Ownership, free_room, make_private, take_ownership

_log = structlog.get_logger(__name__)

SAFE_SQLITE: Final = (3, 51, 3)
"""The first SQLite in which two connections of one process cannot corrupt the log by resetting it."""

_FILE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-32768",
    # A page that many transactions change is carried over into the file once instead of many times.
    "PRAGMA wal_autocheckpoint=8192",
    # A long reader lets the WAL grow; after the next checkpoint the file is cut back to this size.
    "PRAGMA journal_size_limit=67108864",
)


class Database:
    """A database that this process has open, and owns when it is a file.

    `writer_engine` begins every transaction as one that writes, has one connection, and refuses at once
    what a foreign process has locked: `lock_patience` is how long to try again.
    `reader_engine` cannot write: a statement that tries is refused by the database itself.
    """

    def __init__(
        self,
        *,
        writer_engine: Engine,
        reader_engine: Engine,
        reader_count: int,
        lock_patience: timedelta = timedelta(0),
        ownership: Ownership | None = None,
        server: postgres.Server | None = None,
    ) -> None:
        self.writer_engine = writer_engine
        self.reader_engine = reader_engine
        self.reader_count = reader_count
        self.lock_patience = lock_patience
        self._ownership = ownership
        self._server = server

    @classmethod
    def in_memory(cls) -> Self:
        """Return an empty SQLite database that lives as long as this object, for tests.

        Writer and readers share one connection and wait for one another, so each still sees
        only what was committed.
        """
        return cls(**_memory_engines())

    @property
    def sharing_engine(self) -> Engine:
        """What begins transactions that write beside others of their kind; `writer_engine` where none can."""
        return self.writer_engine if self._server is None else self._server.sharing_engine

    @property
    def dialect_name(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.writer_engine.dialect.name

    @property
    def path(self) -> Path | None:
        """The database's file; None when it has none."""
        name = self.writer_engine.url.database
        return Path(name) if self._ownership is not None and name is not None else None

    @property
    def is_writer_idle(self) -> bool:
        """Whether writing waits for nobody at this moment: no other transaction, and no network ever."""
        pool = self.writer_engine.pool
        return not self.is_remote and isinstance(pool, QueuePool) and pool.checkedout() < pool.size()

    @property
    def is_remote(self) -> bool:
        """Whether a server holds the database: it comes and goes, and other processes write to it too."""
        return self._server is not None

    @property
    def is_bound_by_policies(self) -> bool:
        """Whether the database's row policies, where there are any, are above this process' role."""
        return self._server is None or self._server.is_bound_by_policies

    def clock(self, now: Callable[[], datetime]) -> Callable[[], datetime]:
        """Return the clock that decides: the server's, which several processes share, else `now`."""
        return now if self._server is None else self._server.clock.instead_of(now)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection in the one transaction that may change the schema, and commit it at the end.

        Raises:
            StorageError: when storage, or somebody else's lock, is at fault.
        """
        begun = self.writer_engine.begin() if self._server is None else self._server.migrating()
        try:
            with begun as connection:
                yield connection
        except Exception as error:
            raise storage_error_of(error) or error from error

    def let_take(self, driver_connection: object, longest: timedelta) -> None:
        """Let a statement take so long on a connection of the driver's that is thrown away afterwards."""
        if self._server is not None:
            self._server.let_take(driver_connection, longest)

    def forget_connections(self) -> None:
        """Let go of every pooled connection: the server they led to was away, the next ones are new."""
        if self.is_remote:
            self.writer_engine.dispose()
            self.sharing_engine.dispose()
            self.reader_engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection inside one read transaction: every statement sees the same state.

        Raises:
            StorageError: when storage, not the statement, is at fault.
        """
        try:
            with self._began_reading() as connection:
                yield connection
        except Exception as error:
            translated = storage_error_of(error)
            # A query that tries to write is a fault of ours, not of storage: it keeps its own error.
            if translated is None or _is_read_only(translated):
                raise
            raise translated from error

    def _began_reading(self) -> Connection:
        """Return a connection on which a transaction began: a new one, if the pooled one turns out dead."""
        try:
            return _begun(self.reader_engine)
        except Exception as error:
            if not self.is_remote or not postgres.is_connection_lost(storage_error_of(error) or error):
                raise
            self.forget_connections()
            return _begun(self.reader_engine)

    def is_out_of_room(self) -> bool:
        """Say whether the file can grow no more: the disk is full, or a limit on file sizes is reached."""
        path = self.path
        return path is not None and free_room(path) <= 0

    def check(self) -> None:
        """Let the database check itself; takes seconds for each gigabyte.

        Raises:
            StorageCorrupt: with the database's first finding.
        """
        if self.dialect_name != "sqlite":
            return
        try:
            with self.reader_engine.connect() as connection:
                finding = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        except Exception as error:
            translated = storage_error_of(error)
            if translated is None:
                raise
            raise translated from error
        if finding != "ok":
            raise StorageCorrupt(f"the database failed its own check: {finding}")

    def close(self) -> None:
        """Close every connection and give up the ownership. The writer must be closed before."""
        # Readers first, so that the connection which checkpoints at the end is the writer's.
        self.reader_engine.dispose()
        self.sharing_engine.dispose()
        self.writer_engine.dispose()
        if self._ownership is not None:
            self._ownership.give_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_database(
    url: str,
    *,
    reader_count: int = 4,
    busy_timeout: timedelta = timedelta(seconds=2),
    statement_timeout: timedelta = timedelta(seconds=30),
    turn_patience: timedelta = timedelta(minutes=10),
    check: bool = True,
) -> Database:
    """Open the database of a URL.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` (memory), or
    `postgresql://role@host:5432/name?schema=leads`, with whatever else libpq knows, as `sslmode=verify-full`
    and `passfile=/etc/smarketing/pgpass`.

    `busy_timeout` bounds the wait for a lock that a foreign process holds, `statement_timeout` what one
    statement may take on a server, `turn_patience` the wait to migrate there. `check` lets SQLite examine the
    file before anything is served from it.

    Raises:
        DatabaseOwned: when another process has the file open.
        DatabaseUnsupported: when the URL's database, or the file system of its file, will not do.
        StorageCorrupt: when the file fails its check.
        StorageUnavailable: when the file cannot be opened or written, or the server not reached.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        server = postgres.Server(
            parsed,
            reader_count=reader_count,
            lock_timeout=busy_timeout,
            statement_timeout=statement_timeout,
            turn_patience=turn_patience,
        )
        return _checked(server, reader_count, busy_timeout)
    if parsed.get_backend_name() != "sqlite":
        raise DatabaseUnsupported(
            f"{parsed.get_backend_name()} is not supported: "
            "use sqlite:///path/to/file.db or postgresql://role@host/name"
        )
    if parsed.database in (None, "", ":memory:"):
        return Database.in_memory()
    database = _open_sqlite_file(parsed, reader_count=reader_count, busy_timeout=busy_timeout)
    try:
        # Connecting alone already tells a file that is unreadable, locked or none of ours.
        with database.reading():
            pass
        if check:
            database.check()
    except BaseException:
        database.close()
        raise
    return database


def sqlite_driver() -> Any:
    """Return the DB-API module that brings a recent SQLite, or the standard one where it is not installed."""
    try:
        import pysqlite3.dbapi2 as recent
    except ImportError:
        if sqlite3.sqlite_version_info < SAFE_SQLITE:
            wanted = ".".join(map(str, SAFE_SQLITE))
            _log.warning("sqlite_is_old", version=sqlite3.sqlite_version, wanted=wanted)
        return sqlite3
    return recent


def _checked(server: postgres.Server, reader_count: int, busy_timeout: timedelta) -> Database:
    database = Database(
        writer_engine=server.writer_engine,
        reader_engine=server.reader_engine,
        reader_count=reader_count,
        lock_patience=busy_timeout,
        server=server,
    )
    try:
        server.check()
    except BaseException as error:
        database.close()
        raise storage_error_of(error) or error from error
    return database


def _begun(engine: Engine) -> Connection:
    """Return a connection in a transaction; closing it ends both."""
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_read_only(error: StorageError) -> bool:
    return isinstance(error, StorageUnavailable) and error.fault is StorageFault.READ_ONLY


def _open_sqlite_file(url: URL, *, reader_count: int, busy_timeout: timedelta) -> Database:
    path = Path(url.database or "").absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    ownership = take_ownership(path)
    make_private(path)
    url = url.set(database=str(path))
    # The writer's pool has one connection: whoever else asks for it waits for the transaction in hand.
    # A foreign lock is waited for by whoever may wait, which the event loop may not.
    writer_pragmas = (*_FILE_PRAGMAS, "PRAGMA busy_timeout=0")
    writer = _engine(url, size=1, pragmas=writer_pragmas, begin=("BEGIN IMMEDIATE",))
    # Readers never write, so they never checkpoint. Two spare connections serve metrics and checks.
    patience = f"PRAGMA busy_timeout={busy_timeout // timedelta(milliseconds=1)}"
    read_only = (*_FILE_PRAGMAS[2:], patience, "PRAGMA query_only=ON")
    reader = _engine(url, size=reader_count + 2, pragmas=read_only, begin=("BEGIN",))
    database = Database(
        writer_engine=writer,
        reader_engine=reader,
        reader_count=reader_count,
        lock_patience=busy_timeout,
        ownership=ownership,
    )
    try:
        with writer.connect():
            pass
    except Exception as error:
        database.close()
        raise storage_error_of(error) or error from error
    return database


def _memory_engines() -> dict[str, Any]:
    pragmas = ("PRAGMA foreign_keys=ON",)
    url = make_url("sqlite+pysqlite:///:memory:")
    writer = _engine(url, size=1, pragmas=pragmas, begin=("PRAGMA query_only=OFF", "BEGIN IMMEDIATE"))
    reader = create_engine(url, module=sqlite_driver(), pool=writer.pool)
    _begin_with(reader, ("PRAGMA query_only=ON", "BEGIN"))
    return {"writer_engine": writer, "reader_engine": reader, "reader_count": 1}


def _engine(url: URL, *, size: int, pragmas: tuple[str, ...], begin: tuple[str, ...]) -> Engine:
    engine = create_engine(
        url,
        module=sqlite_driver(),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        # Transactions are begun by the listener below; the driver's own guesses begin none before a SELECT.
        connect_args={"isolation_level": None, "check_same_thread": False, "cached_statements": 512},
    )

    def set_pragmas(connection: Any, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma).close()

    event.listen(engine, "connect", set_pragmas)
    _begin_with(engine, begin)
    return engine


def _begin_with(engine: Engine, statements: tuple[str, ...]) -> None:
    def begin(connection: Connection) -> None:
        # The driver's connection itself: three layers of SQLAlchemy less, on every transaction.
        driver_connection: Any = connection.connection.driver_connection
        try:
            for statement in statements:
                driver_connection.execute(statement)
        except Exception as error:
            raise storage_error_of(error) or error from error

    event.listen(engine, "begin", begin)
