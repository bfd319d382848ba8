"""Tables of people's rights: who was forgotten, what was agreed to, and how long a tenant keeps people."""

from dataclasses import dataclass

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, Text, text

from smarketing.sql.types import BigInt, UtcMicros

__all__ = ["PrivacyTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class PrivacyTables:
    """Erasures, consents, and each tenant's settings."""

    erasure: Table
    consent: Table
    privacy_setting: Table


def define_tables(metadata: MetaData) -> PrivacyTables:
    """Declare the tables in `metadata`."""
    unfinished = text("finish_time IS NULL")
    return PrivacyTables(
        erasure=Table(
            "erasure",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("cause", BigInt, nullable=False),
            Column("erase_time", UtcMicros, nullable=False),
            Column("finish_time", UtcMicros),
            Index("erasure_unfinished", "erase_time", sqlite_where=unfinished, postgresql_where=unfinished),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        consent=Table(
            "consent",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("consent", Text, primary_key=True),
            Column("purpose", Text, nullable=False),
            Column("state", BigInt, nullable=False),
            Column("lawful_basis", BigInt, nullable=False),
            Column("source", Text, nullable=False),
            # With the subject's key: erasing the person leaves that something was said, and when.
            Column("sealed_note", LargeBinary),
            Column("occur_time", UtcMicros, nullable=False),
            Column("record_time", UtcMicros, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        privacy_setting=Table(
            "privacy_setting",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("retention_micros", BigInt),
            Column("on_return", BigInt, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
    )
