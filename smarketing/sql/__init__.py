"""How every service stores: engines, exact types, the one writer, multi-row statements, migrations."""

from sqlalchemy import Connection

from smarketing.sql.engine import Database, open_database
from smarketing.sql.errors import (
    DatabaseOwned,
    DatabaseUnsupported,
    NaiveInstant,
    ReadersBusy,
    StorageCorrupt,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnavailable,
    UnitBroken,
    WriterBusy,
    WriterClosed,
)
from smarketing.sql.types import BigInt, MinorUnits, UtcMicros, from_micros, to_micros
from smarketing.sql.writer import StorageObserver, Unit, Unobserved, Writer

__all__ = [
    "BigInt",
    "Connection",
    "Database",
    "DatabaseOwned",
    "DatabaseUnsupported",
    "MinorUnits",
    "NaiveInstant",
    "ReadersBusy",
    "StorageCorrupt",
    "StorageError",
    "StorageFault",
    "StorageFull",
    "StorageObserver",
    "StorageUnavailable",
    "Unit",
    "UnitBroken",
    "Unobserved",
    "UtcMicros",
    "Writer",
    "WriterBusy",
    "WriterClosed",
    "from_micros",
    "open_database",
    "to_micros",
]
