"""How every service stores: engines, exact types, the one writer, multi-row statements, migrations."""

from sqlalchemy import Connection

from smarketing.sql.engine import Database, open_database
from smarketing.sql.errors import (
    CommitUnknown,
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
from smarketing.sql.migrate import SchemaTooNew, migrate, schema_revision
from smarketing.sql.postgres import has_turn_alone, take_lanes
from smarketing.sql.rows import FindRows, InsertRows, KeyedStatement, UpdateRows, UpsertRows
from smarketing.sql.types import BigInt, MinorUnits, UtcMicros, from_micros, to_micros
from smarketing.sql.writer import StorageObserver, Unit, Unobserved, Writer

__all__ = [
    "BigInt",
    "CommitUnknown",
    "Connection",
    "Database",
    "DatabaseOwned",
    "DatabaseUnsupported",
    "FindRows",
    "InsertRows",
    "KeyedStatement",
    "MinorUnits",
    "NaiveInstant",
    "ReadersBusy",
    "SchemaTooNew",
    "StorageCorrupt",
    "StorageError",
    "StorageFault",
    "StorageFull",
    "StorageObserver",
    "StorageUnavailable",
    "Unit",
    "UnitBroken",
    "Unobserved",
    "UpdateRows",
    "UpsertRows",
    "UtcMicros",
    "Writer",
    "WriterBusy",
    "WriterClosed",
    "from_micros",
    "has_turn_alone",
    "migrate",
    "open_database",
    "schema_revision",
    "take_lanes",
    "to_micros",
]
