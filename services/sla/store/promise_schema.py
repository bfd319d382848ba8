"""The tables of exceptions, error budgets, and years that move clocks."""

from dataclasses import dataclass

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

from smarketing.sql import BigInt, UtcMicros

__all__ = ["PromiseTables", "define_promises"]


@dataclass(frozen=True, slots=True)
class PromiseTables:
    """What is kept of how promises as a whole are kept."""

    exception: Table
    budget: Table
    budget_count: Table
    calendar_move: Table


def define_promises(metadata: MetaData) -> PromiseTables:
    """Add the tables to the metadata and return them."""
    return PromiseTables(
        exception=_exception(metadata),
        budget=_budget(metadata),
        budget_count=_budget_count(metadata),
        calendar_move=_calendar_move(metadata),
    )


def _exception(metadata: MetaData) -> Table:
    table = Table(
        "exception",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        # Empty for a span.
        Column("clock", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("since_time", UtcMicros, nullable=False),
        # NULL for a clock.
        Column("start_time", UtcMicros),
        Column("end_time", UtcMicros),
        Column("reason", Text, nullable=False),
        Column("note", Text, nullable=False),
        Column("requesting_party", Text, nullable=False),
        Column("deciding_party", Text, nullable=False),
        Column("request_principal", Text, nullable=False),
        Column("request_time", UtcMicros, nullable=False),
        Column("lapse_time", UtcMicros, nullable=False),
        Column("decide_principal", Text, nullable=False),
        Column("decide_time", UtcMicros),
        Column("self_approved", Integer, nullable=False),
        sqlite_strict=True,
    )
    Index("exception_newest", table.c.tenant, table.c.request_time, table.c.id)
    Index("exception_by_clock", table.c.clock)
    # Only requests that wait: looking for what lapses costs what lapses.
    waits = text("state = 'REQUESTED'")
    Index("exception_lapse", table.c.lapse_time, sqlite_where=waits, postgresql_where=waits)
    # What clocks are decided by.
    Index("exception_by_handoff", table.c.tenant, table.c.handoff, table.c.state)
    return table


def _budget(metadata: MetaData) -> Table:
    table = Table(
        "budget",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        Column("state", Text, nullable=False),
        # NULL when nothing that was counted will come into a window or leave it.
        Column("next_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    due = text("next_time IS NOT NULL")
    Index("budget_due", table.c.next_time, sqlite_where=due, postgresql_where=due)
    return table


def _budget_count(metadata: MetaData) -> Table:
    # Clocks by when they were due, in minutes, hours and days: a window is the sum of a few dozen rows,
    # however many clocks there were.
    return Table(
        "budget_count",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        # Length of the slot in minutes.
        Column("size", Integer, primary_key=True),
        # The slot's number: its end in minutes since 1970, divided by its length.
        Column("slot", BigInt, primary_key=True),
        Column("met", BigInt, nullable=False),
        Column("breached", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _calendar_move(metadata: MetaData) -> Table:
    # A year that was looked through, until every clock counts by it; and how far that has come.
    return Table(
        "calendar_move",
        metadata,
        Column("tenant", Text, primary_key=True),
        Column("calendar", Text, primary_key=True),
        Column("year", Integer, primary_key=True),
        Column("calendar_version", Text, nullable=False),
        Column("principal", Text, nullable=False),
        Column("after_due_time", UtcMicros, nullable=False),
        Column("after_clock", Text, nullable=False),
        sqlite_strict=True,
    )
