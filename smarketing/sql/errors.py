"""Every way in which storage says no, and the translation of a driver's error into one of them."""

from enum import StrEnum

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class StorageError(Exception):
    """Storage refused; nothing was written for the caller who receives this."""


class StorageFull(StorageError):
    """No room is left for the write: free some, then the same call succeeds without a restart."""


class StorageFault(StrEnum):
    """What keeps storage from answering."""

    LOCKED = "locked"
    """Another process holds the database's write lock."""
    READ_ONLY = "read_only"
    """The database or its folder may not be written by this process."""
    INPUT_OUTPUT = "input_output"
    """The device or file system failed."""
    UNREACHABLE = "unreachable"
    """The database cannot be opened or connected to."""
    DEADLOCK = "deadlock"
    """Two transactions waited for one another, and this one gave way."""
    SERIALIZATION = "serialization"
    """Two transactions could not have happened one after the other, and this one gave way."""
    TIMED_OUT = "timed_out"
    """A statement took longer than it may."""


class StorageUnavailable(StorageError):
    """Storage cannot serve at present; the same call may succeed later."""

    def __init__(self, fault: StorageFault) -> None:
        super().__init__(f"storage is unavailable: {fault.value}")
        self.fault = fault


class CommitUnknown(StorageUnavailable):
    """The connection was lost while a commit was on its way: it happened, or it did not.

    Whoever asks again with the same request id learns the outcome; a new id might do it twice.
    """


class StorageCorrupt(StorageError):
    """The database failed its own check: stop, keep the files, restore a backup."""


class WriterBusy(StorageError):
    """As many requests wait for the writer as may; nothing was taken on, try again later."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} requests are waiting for the writer")
        self.waiting = waiting


class ReadersBusy(StorageError):
    """As many queries wait for a reader as may; try again later."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} queries are waiting for a reader")
        self.waiting = waiting


class WriterClosed(StorageError):
    """The writer closed before it began the request: nothing was written."""

    def __init__(self) -> None:
        super().__init__("the writer is closed")


class UnitBroken(Exception):
    """A unit broke its contract: it answered another number of requests than it was given."""

    def __init__(self, unit: object, *, requests: int, answers: int) -> None:
        super().__init__(f"{unit!r} gave {answers} answers to {requests} requests")
        self.requests = requests
        self.answers = answers


class DatabaseOwned(Exception):
    """Another process owns the database file; a file has one owner at a time."""

    def __init__(self, path: str, owner: str) -> None:
        super().__init__(
            f"{path} is in use ({owner or 'unknown process'}): stop its owner, or name another data directory"
        )
        self.path = path
        self.owner = owner


class DatabaseUnsupported(Exception):
    """The URL names a database, or a place for its file, that this build cannot use safely."""


class NaiveInstant(ValueError):
    """A datetime without a zone was given where an instant is meant."""

    def __init__(self, value: object) -> None:
        super().__init__(f"{value!r} has no time zone: an instant must be an aware datetime")


_SQLITE_FAULTS = {
    "SQLITE_BUSY": StorageFault.LOCKED,
    "SQLITE_LOCKED": StorageFault.LOCKED,
    "SQLITE_READONLY": StorageFault.READ_ONLY,
    "SQLITE_PERM": StorageFault.READ_ONLY,
    "SQLITE_IOERR": StorageFault.INPUT_OUTPUT,
    "SQLITE_CANTOPEN": StorageFault.UNREACHABLE,
    "SQLITE_PROTOCOL": StorageFault.UNREACHABLE,
}


_POSTGRES_FAULTS = {
    "08": StorageFault.UNREACHABLE,
    "28": StorageFault.UNREACHABLE,
    "3D000": StorageFault.UNREACHABLE,
    "53200": StorageFault.INPUT_OUTPUT,
    "53300": StorageFault.UNREACHABLE,
    "57P": StorageFault.UNREACHABLE,
    "25P03": StorageFault.UNREACHABLE,
    "25P04": StorageFault.UNREACHABLE,
    "25006": StorageFault.READ_ONLY,
    "40001": StorageFault.SERIALIZATION,
    "40P01": StorageFault.DEADLOCK,
    "55P03": StorageFault.LOCKED,
    "57014": StorageFault.TIMED_OUT,
    "58": StorageFault.INPUT_OUTPUT,
}
"""SQLSTATE, or what it begins with, → fault."""


def storage_error_of(error: BaseException) -> StorageError | None:
    """Return the storage error behind a driver's exception; None when the statement itself is to blame.

    A connection that a database server lost counts as `UNREACHABLE` on every dialect.
    """
    if isinstance(error, StorageError):
        return error
    if isinstance(error, PoolTimeout):
        return StorageUnavailable(StorageFault.LOCKED)
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(driver_error, "sqlite_errorname", None)
    if isinstance(code, str):
        return _sqlite_error(code)
    code = getattr(driver_error, "sqlstate", None)
    if isinstance(code, str):
        return _postgres_error(code)
    if str(driver_error).startswith("Could not decode to UTF-8"):
        return StorageCorrupt("a text in the database is none")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or (driver_error is not None and _is_lost_connection(driver_error)):
        return StorageUnavailable(StorageFault.UNREACHABLE)
    return None


def _is_lost_connection(error: BaseException) -> bool:
    """Whether the driver of PostgreSQL says that it could not ask the server, rather than what that said."""
    kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("psycopg")}
    return not kinds.isdisjoint({"OperationalError", "InterfaceError"})


def _postgres_error(code: str) -> StorageError | None:
    if code == "53100":
        return StorageFull("the database server's disk is full")
    if code.startswith("XX") and code != "XX000":
        return StorageCorrupt("the database server found its files damaged")
    fault = next((fault for begun, fault in _POSTGRES_FAULTS.items() if code.startswith(begun)), None)
    return None if fault is None else StorageUnavailable(fault)


def _sqlite_error(code: str) -> StorageError | None:
    # Extended codes carry their family in front: SQLITE_IOERR_WRITE, SQLITE_BUSY_SNAPSHOT.
    family = "_".join(code.split("_")[:2])
    if family == "SQLITE_FULL":
        return StorageFull("the database or its disk is full")
    if family in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return StorageCorrupt("the database failed its own check")
    fault = _SQLITE_FAULTS.get(family)
    return None if fault is None else StorageUnavailable(fault)
