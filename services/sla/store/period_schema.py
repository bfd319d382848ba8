"""The tables of marketing's periods."""

from dataclasses import dataclass

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

from smarketing.sql import BigInt, UtcMicros

__all__ = ["COUNTED", "PeriodTables", "define_periods"]

COUNTED = (
    "submitted",
    "delivered",
    "pending",
    "unvalued",
    "held_against",
    "conforming",
    "required",
    "filled",
    "complete",
    "decided",
    "rejected",
    "waiting",
)
"""What a period counts, as `PeriodCounts` names it."""


@dataclass(frozen=True, slots=True)
class PeriodTables:
    """Periods, and what each handoff counts in its own."""

    entry: Table
    period: Table


def define_periods(metadata: MetaData) -> PeriodTables:
    """Add the tables to the metadata and return them."""
    return PeriodTables(entry=_entry(metadata), period=_period(metadata))


def _entry(metadata: MetaData) -> Table:
    table = Table(
        "marketing_entry",
        metadata,
        Column("handoff", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("period", Text, nullable=False),
        Column("value", BigInt),
        Column("conforms", Integer),
        Column("required", Integer, nullable=False),
        Column("filled", Integer, nullable=False),
        Column("decision", Text, nullable=False),
        Column("is_marketings", Integer, nullable=False),
        # NULL unless a rejection becomes final then.
        Column("final_time", UtcMicros),
        Column("is_void", Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    waits = text("final_time IS NOT NULL")
    Index("marketing_entry_final", table.c.final_time, sqlite_where=waits, postgresql_where=waits)
    return table


def _period(metadata: MetaData) -> Table:
    table = Table(
        "marketing_period",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("period", Text, primary_key=True),
        # Whose values and quota hold for the whole of it.
        Column("agreement_version", Text, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("end_time", UtcMicros, nullable=False),
        Column("verdict", Text, nullable=False),
        # NULL when it is settled, until a late fact comes.
        Column("next_time", UtcMicros),
        *(Column(name, BigInt, nullable=False) for name in COUNTED),
        # What became of the promises besides the quota, as `CONFORMANCE=MET` between spaces.
        Column("verdicts", Text, nullable=False, server_default=text("''")),
        # The pace that people were told of; empty for none.
        Column("pace", Text, nullable=False, server_default=text("''")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    due = text("next_time IS NOT NULL")
    Index("marketing_period_due", table.c.next_time, sqlite_where=due, postgresql_where=due)
    Index("marketing_period_latest", table.c.tenant, table.c.end_time)
    return table
