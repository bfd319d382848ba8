"""The tables of an event log and of those who follow one; each service includes them in its own schema."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

from smarketing.sql import BigInt, UtcMicros

WHOLE_LOG: Final = "tenants/-"
"""The view that holds every tenant's events."""


@dataclass(frozen=True, slots=True)
class EventLogTables:
    """What `define_tables` added."""

    event_log: Table
    log_head: Table
    log_identity: Table
    consumer_checkpoint: Table


def define_tables(metadata: MetaData) -> EventLogTables:
    """Add the log's tables to a service's schema.

    A row of `event_log` is written once and never changed.
    """
    return EventLogTables(
        event_log=_event_log(metadata),
        log_head=_log_head(metadata),
        log_identity=_log_identity(metadata),
        consumer_checkpoint=_consumer_checkpoint(metadata),
    )


def _event_log(metadata: MetaData) -> Table:
    return Table(
        "event_log",
        metadata,
        Column("position", BigInt, primary_key=True, autoincrement=False),
        Column("tenant", Text, nullable=False),
        # The position in the tenant's own view of the log.
        Column("tenant_position", BigInt, nullable=False),
        Column("subject", Text, nullable=False),
        Column("subject_version", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("actor", Text, nullable=False),
        Column("traceparent", Text, nullable=False),
        Column("cause_log_id", Text),
        Column("cause_position", BigInt),
        # The cause's place in its own tenant's view, which is all that a tenant is told of it.
        Column("cause_tenant_position", BigInt),
        Column("skippable", Boolean().with_variant(Integer(), "sqlite"), nullable=False),
        Column("payload_type", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        # Of everything before it; none for what was recorded before there were sums.
        Column("checksum", BigInt),
        UniqueConstraint("tenant", "tenant_position"),
        UniqueConstraint("tenant", "subject", "subject_version"),
        sqlite_strict=True,
    )


def _log_head(metadata: MetaData) -> Table:
    """One row per view: the newest position given out in it, and when it was recorded."""
    return Table(
        "log_head",
        metadata,
        Column("view", Text, primary_key=True),
        Column("position", BigInt, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )


def _log_identity(metadata: MetaData) -> Table:
    """One row: the `log_id` of the whole log."""
    return Table(
        "log_identity",
        metadata,
        Column("log_id", Text, primary_key=True),
        sqlite_strict=True,
    )


def _consumer_checkpoint(metadata: MetaData) -> Table:
    """How far each consumer is, and how often it began anew without getting further."""
    return Table(
        "consumer_checkpoint",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("log_id", Text, nullable=False),
        Column("position", BigInt, nullable=False),
        Column("progress_time", UtcMicros, nullable=False),
        Column("attempts", BigInt, nullable=False),
        # When the event at `position` was recorded: whether a restored log is the one that was followed.
        Column("record_time", UtcMicros),
        sqlite_strict=True,
    )
