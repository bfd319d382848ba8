"""Keep who of several replicas does the work that needs to be done once."""

from alembic import op
from sqlalchemy import Column, Text

from smarketing.sql import BigInt, UtcMicros

revision = "0011"
down_revision = "0010"
oldest_build = "0010"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "lease",
        Column("task", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("token", BigInt, nullable=False),
        Column("until_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )
