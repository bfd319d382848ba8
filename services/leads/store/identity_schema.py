"""Tables of who is who: merges with the way back, and pairs that may be one person."""

from dataclasses import dataclass

from sqlalchemy import Column, Index, MetaData, Table, Text, text

from smarketing.sql.types import BigInt, UtcMicros

__all__ = ["IdentityTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class IdentityTables:
    """Merges, what they made void, possible duplicates, and who is said not to be the same."""

    lead_merge: Table
    merged_handoff: Table
    possible_duplicate: Table
    lead_distinction: Table


def define_tables(metadata: MetaData) -> IdentityTables:
    """Declare the tables in `metadata`."""
    return IdentityTables(
        lead_merge=Table(
            "lead_merge",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("merged_lead", Text, primary_key=True),
            Column("merge", Text, primary_key=True),
            Column("lead", Text, nullable=False),
            # 0 when the kept lead had no live handoff.
            Column("number", BigInt, nullable=False),
            Column("merge_time", UtcMicros, nullable=False),
            Column("unmerge_time", UtcMicros),
            # With the last column, so that it is answered from the index alone.
            Index("lead_merge_by_lead", "tenant", "lead", "unmerge_time"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        merged_handoff=Table(
            "merged_handoff",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("number", BigInt, primary_key=True, autoincrement=False),
            Column("merge", Text, primary_key=True),
            # The columns of the handoff that the merge changed, as they were: JSON, nothing personal.
            Column("before", Text, nullable=False),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        possible_duplicate=Table(
            "possible_duplicate",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("other_lead", Text, primary_key=True),
            Column("confidence", BigInt, nullable=False),
            Column("rule_id", Text, nullable=False),
            Column("signals", Text, nullable=False),
            Column("detect_time", UtcMicros, nullable=False),
            Index(
                "possible_duplicate_by_confidence",
                "tenant",
                text("confidence DESC"),
                text("lead DESC"),
                text("other_lead DESC"),
            ),
            Index("possible_duplicate_by_other_lead", "tenant", "other_lead"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
        lead_distinction=Table(
            "lead_distinction",
            metadata,
            # The two ids in their order, so that it does not matter which was named first.
            Column("tenant", Text, primary_key=True),
            Column("lead", Text, primary_key=True),
            Column("other_lead", Text, primary_key=True),
            Column("person", Text, nullable=False),
            Column("decide_time", UtcMicros, nullable=False),
            Index("lead_distinction_by_other_lead", "tenant", "other_lead"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        ),
    )
