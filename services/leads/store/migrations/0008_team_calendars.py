"""Keep in which calendar each team's clocks count: windows of disputes are counted in the same."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "team_calendar",
        Column("tenant", Text, primary_key=True),
        Column("team", Text, primary_key=True),
        Column("calendar", Text, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
