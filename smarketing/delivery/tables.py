"""The tables of outgoing messages, part of the database of the service that sends them."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, Text
from sqlalchemy import text as sql_text

from smarketing.sql.types import BigInt, UtcMicros


class MessageState(StrEnum):
    """Where an outgoing message stands."""

    PENDING = "pending"
    """It waits for its next attempt."""
    DELIVERED = "delivered"
    """The endpoint said yes."""
    DEAD = "dead"
    """Given up after the last retry; kept, and sent again by a replay."""
    CANCELLED = "cancelled"
    """Its endpoint was removed first."""


@dataclass(frozen=True, slots=True)
class DeliveryTables:
    """Endpoints, and the messages for each."""

    endpoint: Table
    message: Table


def define_tables(metadata: MetaData) -> DeliveryTables:
    """Declare the tables of outgoing messages in a service's metadata."""
    endpoint = Table(
        "webhook_endpoint",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("endpoint_id", Text, primary_key=True),
        Column("url", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("sealed_secret", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("delete_time", UtcMicros),
        # Set when the endpoint answered 410: it wants no more.
        Column("disable_time", UtcMicros),
        Column("last_success_time", UtcMicros),
        sqlite_strict=True,
    )
    message = Table(
        "webhook_message",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("endpoint_id", Text, primary_key=True),
        Column("message_id", Text, primary_key=True),
        Column("event_type", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", BigInt, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        # NULL once settled, so that the index below holds only what is still to be sent.
        Column("next_attempt_time", UtcMicros),
        Column("settle_time", UtcMicros),
        Column("last_problem", Text, nullable=False),
        sqlite_strict=True,
    )
    Index(
        "webhook_message_due",
        message.c.next_attempt_time,
        sqlite_where=sql_text("next_attempt_time IS NOT NULL"),
        postgresql_where=sql_text("next_attempt_time IS NOT NULL"),
    )
    Index("webhook_message_state", message.c.tenant, message.c.endpoint_id, message.c.state)
    return DeliveryTables(endpoint, message)
