"""Create the tables of scoring, and keep on each handoff how the tenant's own model rates it."""

from alembic import op
from sqlalchemy import Column, LargeBinary, Text, text

from smarketing.sql.types import BigInt, UtcMicros

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables and columns."""
    op.add_column("tenant", Column("scoring_version", BigInt, nullable=False, server_default=text("0")))
    op.add_column("handoff", Column("rating_score", BigInt))
    op.add_column("handoff", Column("rating_band", Text))
    op.add_column("handoff", Column("rating_version", BigInt))
    _versions()
    _engagement()


def _versions() -> None:
    op.create_table(
        "scoring_version",
        Column("tenant", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("version", BigInt, primary_key=True, autoincrement=False),
        Column("state", BigInt, nullable=False),
        Column("changes", BigInt, nullable=False),
        Column("content", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("activate_time", UtcMicros),
        Column("retire_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rescoring",
        Column("tenant", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("finish_time", UtcMicros),
        Column("after_lead", Text, nullable=False),
        Column("after_number", BigInt, nullable=False),
        Column("scored_count", BigInt, nullable=False),
        Column("changed_count", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _engagement() -> None:
    op.create_table(
        "engagement",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("behaved", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held_engagement",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        Column("external_digest", LargeBinary, primary_key=True),
        Column("behaved", LargeBinary, nullable=False),
        Column("update_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("held_engagement_by_time", "held_engagement", ["update_time"])
