"""Tables of routing: the turns of each pool, everybody's open work, and calendars."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

from smarketing.sql import BigInt

__all__ = ["RoutingTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class RoutingTables:
    """What routing knows besides the directory."""

    routing_pool: Table
    open_work: Table
    routing_calendar: Table
    team_calendar: Table


def define_tables(metadata: MetaData) -> RoutingTables:
    """Declare the tables in `metadata`."""
    return RoutingTables(
        # One row for each rule that ever was: a pool is read and written whole, however many are in it.
        routing_pool=_table(
            metadata,
            "routing_pool",
            Column("tenant", Text, primary_key=True),
            Column("rule_id", Text, primary_key=True),
            Column("balances", LargeBinary, nullable=False),
        ),
        open_work=_table(
            metadata,
            "open_work",
            Column("tenant", Text, primary_key=True),
            Column("person", Text, primary_key=True),
            Column("handoffs", BigInt, nullable=False),
        ),
        # The newest version of each, as the service `sla` says.
        routing_calendar=_table(
            metadata,
            "routing_calendar",
            Column("tenant", Text, primary_key=True),
            Column("calendar", Text, primary_key=True),
            Column("version", BigInt, nullable=False),
            Column("calendar_version", LargeBinary, nullable=False),
        ),
        # In which calendar a team's clocks count, as the last one that started said.
        team_calendar=_table(
            metadata,
            "team_calendar",
            Column("tenant", Text, primary_key=True),
            Column("team", Text, primary_key=True),
            Column("calendar", Text, nullable=False),
        ),
    )


def _table(metadata: MetaData, name: str, *columns: Column[Any]) -> Table:
    return Table(name, metadata, *columns, sqlite_strict=True, sqlite_with_rowid=False)
