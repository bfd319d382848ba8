"""Tables of scoring: versions of models and definitions, what leads did, and how far a pass has come."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, Text

from smarketing.sql import BigInt, UtcMicros

__all__ = ["ScoringTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class ScoringTables:
    """What scoring knows besides the handoffs."""

    scoring_version: Table
    rescoring: Table
    engagement: Table
    held_engagement: Table


def define_tables(metadata: MetaData) -> ScoringTables:
    """Declare the tables in `metadata`."""
    return ScoringTables(
        scoring_version=_table(
            metadata,
            "scoring_version",
            Column("tenant", Text, primary_key=True),
            # A score model or an MQL definition.
            Column("kind", Text, primary_key=True),
            Column("version", BigInt, primary_key=True, autoincrement=False),
            Column("state", BigInt, nullable=False),
            # Counts its changes of state.
            Column("changes", BigInt, nullable=False),
            Column("content", LargeBinary, nullable=False),
            Column("create_time", UtcMicros, nullable=False),
            Column("activate_time", UtcMicros),
            Column("retire_time", UtcMicros),
        ),
        # The last pass over each tenant's open handoffs.
        rescoring=_table(
            metadata,
            "rescoring",
            Column("tenant", Text, primary_key=True),
            Column("version", BigInt, nullable=False),
            Column("start_time", UtcMicros, nullable=False),
            Column("finish_time", UtcMicros),
            # Up to which handoff it looked.
            Column("after_lead", Text, nullable=False),
            Column("after_number", BigInt, nullable=False),
            Column("scored_count", BigInt, nullable=False),
            Column("changed_count", BigInt, nullable=False),
        ),
        # One row for each lead that ever did something: its newest behaviour is read and written whole.
        engagement=_table(
            metadata,
            "engagement",
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("behaved", LargeBinary, nullable=False),
        ),
        # The same of whom nothing was submitted so far, under the digest of the sender's own id.
        held_engagement=_table(
            metadata,
            "held_engagement",
            Column("tenant", Text, primary_key=True),
            Column("source_system", Text, primary_key=True),
            Column("external_digest", LargeBinary, primary_key=True),
            Column("behaved", LargeBinary, nullable=False),
            Column("update_time", UtcMicros, nullable=False),
            Index("held_engagement_by_time", "update_time"),
        ),
    )


def _table(metadata: MetaData, name: str, *parts: Column[Any] | Index) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_with_rowid=False)
