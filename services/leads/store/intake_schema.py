"""Tables of intake: who sends webhooks, what of them was set aside, and who is told what became of leads."""

from dataclasses import dataclass

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, Text, text

from smarketing.delivery.tables import DeliveryTables
from smarketing.delivery.tables import define_tables as define_delivery_tables
from smarketing.sql.types import BigInt, UtcMicros

__all__ = ["IntakeTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class IntakeTables:
    """Sources, what they sent, the tenants' rules, and the way back."""

    source: Table
    set_aside: Table
    set_aside_subject: Table
    behaviour: Table
    rules: Table
    write_back: Table
    joined_system: Table
    delivery: DeliveryTables


def define_tables(metadata: MetaData) -> IntakeTables:
    """Declare the tables in `metadata`."""
    due = text("next_attempt_time IS NOT NULL")
    return IntakeTables(
        source=Table(
            "intake_source",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("source", Text, primary_key=True),
            Column("system", Text, nullable=False),
            Column("mapping", Text, nullable=False),
            Column("display_name", Text, nullable=False),
            Column("public_url", Text, nullable=False),
            Column("api_url", Text, nullable=False),
            Column("people", Text, nullable=False),
            Column("sealed_secrets", LargeBinary, nullable=False),
            Column("create_time", UtcMicros, nullable=False),
            Column("delete_time", UtcMicros),
            # The address of a source says nothing of its tenant.
            Index("intake_source_by_id", "source", unique=True),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        set_aside=Table(
            "set_aside",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("source", Text, primary_key=True),
            Column("item", Text, primary_key=True),
            Column("type", Text, nullable=False),
            Column("reason", Text, nullable=False),
            Column("description", Text, nullable=False),
            Column("create_time", UtcMicros, nullable=False),
            Column("attempts", BigInt, nullable=False),
            Column("wrapped_key", LargeBinary, nullable=False),
            Column("sealed_body", LargeBinary, nullable=False),
            Column("next_attempt_time", UtcMicros),
            Index("set_aside_by_time", "tenant", "source", "create_time", "item"),
            Index("set_aside_due", "next_attempt_time", sqlite_where=due, postgresql_where=due),
            Index("set_aside_by_age", "create_time"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        set_aside_subject=Table(
            "set_aside_subject",
            metadata,
            Column("tenant", Text, primary_key=True),
            # Of the addresses and numbers in its body: who is erased is erased here too.
            Column("digest", LargeBinary, primary_key=True),
            Column("source", Text, primary_key=True),
            Column("item", Text, primary_key=True),
            Index("set_aside_subject_by_item", "tenant", "source", "item"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        behaviour=Table(
            "behaviour",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("source_system", Text, primary_key=True),
            Column("digest", LargeBinary, primary_key=True),
            Column("record_time", UtcMicros, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        rules=Table(
            "intake_rules",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("version", BigInt, nullable=False),
            Column("rules", LargeBinary, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        write_back=Table(
            "write_back",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("source_system", Text, primary_key=True),
            Column("endpoint_id", Text, primary_key=True),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        joined_system=Table(
            "joined_system",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("number", BigInt, primary_key=True, autoincrement=False),
            Column("source_system", Text, primary_key=True),
            # Of its first submission that joined the handoff: under this name it is told what became of it.
            Column("external_digest", LargeBinary, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        delivery=define_delivery_tables(metadata),
    )
