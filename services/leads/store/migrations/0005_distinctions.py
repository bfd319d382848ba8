"""Keep who is said not to be whom, and find by an index what a lead is merged with."""

from alembic import op
from sqlalchemy import Column, Text, text

from smarketing.sql.types import UtcMicros

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table and the index."""
    standing = text("unmerge_time IS NULL")
    op.create_index(
        "lead_merge_by_lead",
        "lead_merge",
        ["tenant", "lead"],
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_table(
        "lead_distinction",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("other_lead", Text, primary_key=True),
        Column("person", Text, nullable=False),
        Column("decide_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("lead_distinction_by_other_lead", "lead_distinction", ["tenant", "other_lead"])
