"""Everything that is particular to PostgreSQL: how it is connected to, begun on, and locked for writing.

Our use cases assume that transactions which write take turns, as they do in SQLite. Here the first
statement of each takes an advisory lock of its service, in READ COMMITTED: whoever gets it sees all that
was committed before, on whatever replica. Readers see one state, and cannot write.
"""

import hashlib
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from smarketing.sql.errors import DatabaseUnsupported, StorageFault, StorageUnavailable, storage_error_of

_BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_MOST_PREPARED: Final = 400
"""Statements that a connection keeps prepared; a wide one takes the server about a megabyte."""

_NETWORK: Final = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # A peer that vanished without a word is given up after this, whatever was sent to it.
    "tcp_user_timeout": 15_000,
}
_OLDEST: Final = 150_000
"""Version 15, as the server numbers it."""


def writing_engine(url: URL, *, lanes: int, lock_timeout: timedelta, statement_timeout: timedelta) -> Engine:
    """Return an engine whose every transaction may write, and waits for its turn among the service's."""
    schema, url = _schema_of(url)
    engine = _engine(
        url,
        size=lanes,
        name="writer",
        session=_session(schema, lock_timeout=lock_timeout, statement_timeout=statement_timeout),
    )
    # One round trip; the lock is a statement of its own, so that the next one's snapshot is taken behind it.
    _begin_with(engine, f"BEGIN; SELECT pg_advisory_xact_lock({lock_key('writer', schema)})")
    return engine


def reading_engine(url: URL, *, size: int, statement_timeout: timedelta) -> Engine:
    """Return an engine whose transactions see one state each, and are refused every write."""
    schema, url = _schema_of(url)
    session = _session(schema, lock_timeout=timedelta(seconds=2), statement_timeout=statement_timeout)
    engine = _engine(url, size=size, name="reader", session=session)
    _begin_with(engine, _BEGIN_READING)
    return engine


def lock_key(purpose: str, schema: str) -> int:
    """Return the number by which PostgreSQL knows a lock of the tables in `schema` of its database."""
    digest = hashlib.sha256(f"smarketing {purpose} {schema}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def _schema_of(url: URL) -> tuple[str, URL]:
    """Return the schema that the URL's parameter `schema` names, and the URL as the driver wants it."""
    schema = url.query.get("schema", "public")
    if not isinstance(schema, str) or not schema.isidentifier() or not schema.islower():
        raise DatabaseUnsupported("schema= in the database's URL must be one name in small letters")
    return schema, url.set(drivername="postgresql+psycopg").difference_update_query(["schema"])


def _session(schema: str, *, lock_timeout: timedelta, statement_timeout: timedelta) -> str:
    settings = {
        "search_path": f'"{schema}"',
        "timezone": "'UTC'",
        "lock_timeout": _milliseconds(lock_timeout),
        "statement_timeout": _milliseconds(statement_timeout),
        # Whoever stopped in the middle of a transaction holds the others up no longer than this.
        "idle_in_transaction_session_timeout": _milliseconds(statement_timeout * 2),
    }
    return "; ".join(f"SET {name} TO {value}" for name, value in settings.items())


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))


def _engine(url: URL, *, size: int, name: str, session: str) -> Engine:
    try:
        from psycopg.types.numeric import Int8Dumper
    except ImportError as error:
        raise DatabaseUnsupported(
            "PostgreSQL needs its driver: pip install 'smarketing[postgres]'"
        ) from error
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        # An error names the statement, never a value of it.
        hide_parameters=True,
        # Transactions are begun by the listener, so that what belongs to a beginning is one round trip.
        connect_args={**_NETWORK, "autocommit": True, "application_name": f"smarketing-{name}"},
    )

    def prepare(connection: Any, _record: object) -> None:
        # Each width of integer would be a type, and each mix of types a prepared statement, of its own.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.prepared_max = _MOST_PREPARED
        if connection.info.server_version < _OLDEST:
            raise DatabaseUnsupported("PostgreSQL is too old: use version 15 or newer")
        connection.execute(session)

    event.listen(engine, "connect", prepare)
    return engine


def _begin_with(engine: Engine, statements: str) -> None:
    def begin(connection: Connection) -> None:
        driver_connection: Any = connection.connection.driver_connection
        try:
            driver_connection.execute(statements)
        except Exception as error:
            raise storage_error_of(error) or error from error

    event.listen(engine, "begin", begin)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the server is not there, or was not: every pooled connection to it may be dead."""
    return isinstance(error, StorageUnavailable) and error.fault is StorageFault.UNREACHABLE
