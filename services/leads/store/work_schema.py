"""The tables of what surrounds a handoff; nothing personal is here but what the lead's own key seals."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from smarketing.sql import BigInt, MinorUnits, UtcMicros

__all__ = ["WorkTables", "define_tables"]

_Flag: Final = Boolean().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class WorkTables:
    """What surrounds handoffs."""

    playbook: Table
    dispute: Table
    takeover: Table
    reply: Table
    next_action: Table
    opportunity_change: Table
    feedback: Table


def define_tables(metadata: MetaData) -> WorkTables:
    """Declare the tables."""
    return WorkTables(
        playbook=_table(
            metadata,
            "playbook",
            Column("tenant", Text, primary_key=True),
            Column("version", BigInt, nullable=False),
            Column("content", LargeBinary, nullable=False),
        ),
        dispute=_dispute(metadata),
        takeover=_table(
            metadata,
            "takeover",
            *_handoff_key(),
            # What asked for it: a clock's cycle and rung ask once.
            Column("clock", Text, primary_key=True),
            Column("cycle", BigInt, primary_key=True, autoincrement=False),
            Column("rung_id", Text, primary_key=True),
            # Whether the handoff changed hands for it.
            Column("taken", _Flag, nullable=False),
            Column("record_time", UtcMicros, nullable=False),
        ),
        reply=_reply(metadata),
        next_action=_table(
            metadata,
            "next_action",
            *_handoff_key(),
            Column("action", BigInt, nullable=False),
            Column("due_time", UtcMicros, nullable=False),
            Column("channel", BigInt),
            Column("person", Text, nullable=False),
            Column("state", BigInt, nullable=False),
            Column("follow_up_count", BigInt, nullable=False),
        ),
        opportunity_change=_table(
            metadata,
            "opportunity_change",
            Column("tenant", Text, primary_key=True),
            Column("opportunity", Text, primary_key=True),
            Column("change", BigInt, primary_key=True, autoincrement=False),
            Column("lead", Text, nullable=False),
            Column("kind", BigInt, nullable=False),
            Column("occur_time", UtcMicros, nullable=False),
            Column("record_time", UtcMicros, nullable=False),
            Column("person", Text, nullable=False),
            Column("stage", Text, nullable=False),
            Column("amount_currency_code", Text),
            Column("amount_minor_units", MinorUnits),
            Column("probability_percent", BigInt),
            Column("expected_close_date", Text),
            Column("sealed_external_id", LargeBinary),
            Index("opportunity_change_by_lead", "tenant", "lead"),
        ),
        feedback=_table(
            metadata,
            "feedback",
            Column("tenant", Text, primary_key=True),
            Column("feedback", Text, primary_key=True),
            Column("lead", Text, nullable=False),
            Column("number", BigInt, nullable=False),
            Column("version", BigInt, nullable=False),
            Column("type", BigInt, nullable=False),
            Column("theme", Text, nullable=False),
            Column("competitor", Text, nullable=False),
            Column("price_currency_code", Text),
            Column("price_minor_units", MinorUnits),
            Column("person", Text, nullable=False),
            Column("create_time", UtcMicros, nullable=False),
            Column("status", BigInt, nullable=False),
            Column("status_person", Text, nullable=False),
            # Sealed with the lead's own key: whoever destroys that has destroyed this.
            Column("sealed_verbatim", LargeBinary),
            Index("feedback_by_lead", "tenant", "lead"),
        ),
    )


def _reply(metadata: MetaData) -> Table:
    given = text("external_digest IS NOT NULL")
    return _table(
        metadata,
        "reply",
        *_handoff_key(),
        Column("reply", Text, primary_key=True),
        Column("channel", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("contact", _Flag, nullable=False),
        Column("external_digest", LargeBinary),
        Column("sealed_external_id", LargeBinary),
        Column("follow_up_count", BigInt, nullable=False),
        Index(
            "reply_by_external_id",
            "tenant",
            "lead",
            "number",
            "external_digest",
            unique=True,
            sqlite_where=given,
            postgresql_where=given,
        ),
    )


def _dispute(metadata: MetaData) -> Table:
    return _table(
        metadata,
        "dispute",
        *_handoff_key(),
        Column("version", BigInt, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("reason_code", Text, nullable=False),
        Column("accountable_party", Text),
        Column("person", Text, nullable=False),
        Column("sealed_evidence", LargeBinary),
        Column("rejecting_team", Text, nullable=False),
        Column("dispute_time", UtcMicros, nullable=False),
        Column("answer_due_time", UtcMicros, nullable=False),
        Column("resolver", Text, nullable=False),
        Column("resolve_time", UtcMicros),
        Index("dispute_by_due", "tenant", "state", "answer_due_time"),
    )


def _handoff_key() -> list[Column[Any]]:
    return [
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
    ]


def _table(metadata: MetaData, name: str, *parts: Column[Any] | Index) -> Table:
    """Declare a table that lies in the order of its key."""
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_with_rowid=False)
