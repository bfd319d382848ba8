"""Tables of the directory; the token hashes stand in the mirror, where every service has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from smarketing.sql.types import BigInt, UtcMicros

__all__ = ["DirectoryTables", "define_tables"]


@dataclass(frozen=True, slots=True)
class DirectoryTables:
    """Tenants with their settings, who there is in them, their routing and their tokens."""

    tenant: Table
    team: Table
    person: Table
    system: Table
    queue: Table
    routing_version: Table
    token: Table


def define_tables(metadata: MetaData) -> DirectoryTables:
    """Declare the tables in `metadata`."""
    return DirectoryTables(
        tenant=Table(
            "tenant",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("time_zone", Text, nullable=False),
            Column("region_code", Text, nullable=False),
            Column("currency_code", Text, nullable=False),
            Column("routing_version", BigInt, nullable=False),
            Column("identity", LargeBinary, nullable=False),
            Column("etag", Text, nullable=False),
            Column("calls_per_second", BigInt, nullable=False),
            Column("leads_per_day", BigInt, nullable=False),
            Column("streams", BigInt, nullable=False),
            # Counts what was activated of how leads are scored; 0 while nothing was.
            Column("scoring_version", BigInt, nullable=False, server_default=text("0")),
        ),
        team=_entries(metadata, "team", "party", "manager", "parent_team", more=_abilities()),
        person=_entries(metadata, "person", "roles", "team", more=_abilities()),
        system=_entries(metadata, "system", "roles", "teams"),
        queue=_entries(metadata, "queue", "team", "manager"),
        # Every version is kept: a decision is read with the one that made it.
        routing_version=Table(
            "routing_version",
            metadata,
            Column("tenant", Text, primary_key=True),
            Column("version", BigInt, primary_key=True, autoincrement=False),
            Column("routing", LargeBinary, nullable=False),
            ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
        ),
        token=_token(metadata),
    )


def _abilities() -> list[Column[Any]]:
    """Return what routing asks of a team's members, or of a person: words with spaces between."""
    words = ("skills", "territories", "languages")
    return [
        *(Column(name, Text, nullable=False) for name in words),
        Column("capacity", Integer, nullable=False),
    ]


def _entries(metadata: MetaData, name: str, *texts: str, more: Sequence[Column[Any]] = ()) -> Table:
    return Table(
        name,
        metadata,
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        *(Column(text, Text, nullable=False) for text in texts),
        Column("inactive", Boolean, nullable=False),
        *more,
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
        Index(f"{name}_by_tenant", "tenant"),
    )


def _token(metadata: MetaData) -> Table:
    return Table(
        "token",
        metadata,
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("principal", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("expire_time", UtcMicros),
        Column("revoke_time", UtcMicros),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
        Index("token_by_principal", "principal", "name"),
    )
