"""Everything that is particular to PostgreSQL: how it is connected to, begun on, and locked for writing.

Our use cases assume that transactions which write take turns, as they do in SQLite. Here the first
statement of each takes an advisory lock of its service, in READ COMMITTED: whoever gets it sees all that
was committed before, on whatever replica. Readers see one state, and cannot write.

Those that say of themselves that they write nothing which another such transaction reads or writes share
the turn with one another, and with nobody else.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from smarketing.sql.clocks import ServerClock
from smarketing.sql.errors import DatabaseUnsupported, StorageFault, StorageUnavailable, storage_error_of
from smarketing.sql.silence import SilenceWatch
from smarketing.sql.tenancy import confining_statement, protect

_log = structlog.get_logger(__name__)

_BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_MIGRATION_PATIENCE: Final = timedelta(minutes=10)
_TABLE_PATIENCE: Final = "5s"
_BEGINS: Final = "smarketing_begins"
_LANES: Final = 1024
_SHARING: Final = "smarketing_sharing"
"""In a connection's `info`, that its transactions share their turn."""
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


class Server:
    """Ways into one database: a writing engine, whose transactions take turns, and a reading one.

    Transactions of the third engine, `sharing_engine`, write too, and have their turn together.
    """

    def __init__(
        self,
        url: URL,
        *,
        reader_count: int,
        lock_timeout: timedelta,
        statement_timeout: timedelta,
        turn_patience: timedelta = _MIGRATION_PATIENCE,
    ) -> None:
        self._turn_patience = turn_patience
        self.is_bound_by_policies = True
        """Whether the role is subject to row policies; known once the database was checked."""
        self._schema, url = _schema_of(url)
        session = _session(self._schema, lock_timeout=lock_timeout, statement_timeout=statement_timeout)
        self.clock = ServerClock()
        # Besides the writer's one, a connection for whoever asks at a start: the log's identity, migrations.
        self.writer_engine = _engine(url, size=2, name="writer", session=session)
        # A statement of its own, so that the next one's snapshot is taken behind the lock.
        _begin_with(self.writer_engine, f"BEGIN; {self._turn('writer')}", self.clock)
        self.sharing_engine = _engine(url, size=1, name="sharing", session=session, info={_SHARING: True})
        _begin_with(self.sharing_engine, f"BEGIN; {self._turn('writer', shared=True)}", self.clock)
        # Two spare connections serve metrics and checks.
        self.reader_engine = _engine(url, size=reader_count + 2, name="reader", session=session)
        _begin_with(self.reader_engine, _BEGIN_READING, self.clock)
        # The server ends a statement after half of this, and says so.
        self._patience = 2 * statement_timeout
        self._silence = SilenceWatch(self._patience)
        for engine in (self.writer_engine, self.sharing_engine, self.reader_engine):
            self._silence.over(engine)

    def check(self) -> None:
        """Refuse a database whose order of texts is not that of their bytes: pages and keys rely on it.

        Raises:
            DatabaseUnsupported: then, or when it keeps texts otherwise than in UTF-8.
        """
        with self.reader_engine.begin() as connection:
            ordered, encoding, above = connection.exec_driver_sql(
                "SELECT 'B' < 'a' AND 'a-c' < 'ab', current_setting('server_encoding'),"
                " (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)"
            ).one()
        self.is_bound_by_policies = not above
        if above:
            _log.warning(
                "row_policies_do_not_bind", hint="give the service a role without SUPERUSER, BYPASSRLS"
            )
        if not ordered or encoding != "UTF8":
            raise DatabaseUnsupported(
                "the database sorts texts by a language's rules: create it with "
                "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
            )

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection in a transaction in which nobody else migrates or writes; commit it at the end.

        Of replicas that start together one works here while the others wait, longer than for any other
        lock. A table is waited for only a moment: behind whoever waits for it wait all who would read it.
        """
        begins = (
            "BEGIN",
            f"SET LOCAL lock_timeout TO {_milliseconds(self._turn_patience)}",
            f"SET LOCAL statement_timeout TO {_milliseconds(_MIGRATION_PATIENCE)}",
            self._turn("schema"),
            self._turn("writer"),
            f"SET LOCAL lock_timeout TO '{_TABLE_PATIENCE}'",
        )
        with self.writer_engine.execution_options(**{_BEGINS: "; ".join(begins)}).connect() as connection:
            driver_connection = connection.connection.driver_connection
            self._silence.be_patient(driver_connection, 2 * max(self._turn_patience, _MIGRATION_PATIENCE))
            with connection.begin():
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
                yield connection
                protect(connection)
            self._silence.be_patient(driver_connection, self._patience)

    def let_take(self, driver_connection: object, longest: timedelta) -> None:
        """Let a statement take so long on one of our connections, which is thrown away afterwards."""
        self._silence.be_patient(driver_connection, 2 * longest)

    def _turn(self, purpose: str, *, shared: bool = False) -> str:
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        return f"SELECT {function}({lock_key(purpose, self._schema)})"


def take_lanes(connection: Connection, names: Iterable[str]) -> None:
    """Wait until no other transaction that shares its turn works for any of these names, and keep it so.

    Names are few to a lane: two may wait for one another without need, never the other way round. Called once
    in a transaction, so that none waits in a circle.
    """
    lanes = sorted({lock_key("lane", name) % _LANES for name in names})
    connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock(hashtext('smarketing lanes ' || current_schema()), lane)"
        " FROM unnest(%s::int[]) AS lane",
        (lanes,),
    )


def has_turn_alone(connection: Connection) -> bool:
    """Whether no other transaction writes while this one does; the opposite of one that shares its turn."""
    return not connection.info.get(_SHARING, False)


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


def _engine(
    url: URL, *, size: int, name: str, session: str, info: Mapping[str, object] | None = None
) -> Engine:
    try:
        from psycopg.adapt import Loader
        from psycopg.types.numeric import Int8Dumper
    except ImportError as error:
        raise DatabaseUnsupported(
            "PostgreSQL needs its driver: pip install 'smarketing[postgres]'"
        ) from error

    class NumberLoader(Loader):
        """Reads what adds up, or averages, our 64-bit integers: as SQLite would, and not as a decimal."""

        def load(self, data: Any) -> int | float:
            text = bytes(data)
            return int(text) if text.removeprefix(b"-").isdigit() else float(text)

    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=10,
        # An error names the statement, never a value of it.
        hide_parameters=True,
        # Transactions are begun by the listener, so that what belongs to a beginning is one round trip.
        connect_args={
            **_NETWORK,
            "autocommit": True,
            "application_name": f"smarketing-{name}",
            "client_encoding": "utf8",
        },
    )

    def prepare(connection: Any, record: Any) -> None:
        record.info.update(info or {})
        # Each width of integer would be a type, and each mix of types a prepared statement, of its own.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_loader("numeric", NumberLoader)
        connection.prepared_max = _MOST_PREPARED
        if connection.info.server_version < _OLDEST:
            raise DatabaseUnsupported("PostgreSQL is too old: use version 15 or newer")
        connection.execute(session)

    event.listen(engine, "connect", prepare)
    return engine


def _begin_with(engine: Engine, statements: str, clock: ServerClock) -> None:
    """Begin each transaction with these statements, in one round trip that also tells the server's time."""

    def begin(connection: Connection) -> None:
        driver_connection: Any = connection.connection.driver_connection
        asked = connection.get_execution_options().get(_BEGINS, statements)
        try:
            answers = driver_connection.execute(f"{asked}; {confining_statement()}; SELECT clock_timestamp()")
            while answers.nextset():
                pass
            clock.note(answers.fetchone()[0])
        except Exception as error:
            raise storage_error_of(error) or error from error

    event.listen(engine, "begin", begin)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the server is not there, or was not: every pooled connection to it may be dead."""
    return isinstance(error, StorageUnavailable) and error.fault is StorageFault.UNREACHABLE


_REFUSALS: Final = (
    "authentication failed",
    "no password supplied",
    "pg_hba.conf",
    "does not exist",
    "is not permitted to log in",
    "permission denied",
    "certificate verify failed",
    "does not support SSL",
)
"""What a server, or the driver, says of a connection that no waiting makes possible."""


def refusal_in(error: BaseException | None) -> str:
    """Return what the server said when it let nobody in as things are set; empty when it may do so later.

    A connection that failed has no SQLSTATE, only words. A server that speaks another language than English
    is waited for.
    """
    seen: set[int] = set()
    # An error that was passed on as it was is its own cause.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        driver_error = getattr(error, "orig", None)
        if driver_error is not None and getattr(driver_error, "sqlstate", None) is None:
            for said in reversed(str(driver_error).strip().splitlines()):
                if any(words in said for words in _REFUSALS):
                    return said.rpartition("FATAL:")[2].strip()
        error = error.__cause__
    return ""
