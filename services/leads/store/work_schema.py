"""The tables of what surrounds a handoff: the playbook, disputes, takeovers. Nothing personal is here."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from smarketing.sql import BigInt, UtcMicros

__all__ = ["WorkTables", "define_tables"]

_Flag: Final = Boolean().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class WorkTables:
    """What surrounds handoffs."""

    playbook: Table
    dispute: Table
    takeover: Table


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
        Column("evidence", Text, nullable=False),
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
