"""Keep which versions of the MQL definition there were, so that an agreement names one that exists."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "mql_definition",
        Column("tenant", Text, primary_key=True),
        Column("definition", Text, primary_key=True),
        Column("title", Text, nullable=False),
        sqlite_strict=True,
    )
