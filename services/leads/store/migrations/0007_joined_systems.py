"""Keep which other systems sent the lead of a handoff, so that they are told what became of it too."""

from alembic import op
from sqlalchemy import Column, LargeBinary, Text

from smarketing.sql.types import BigInt

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "joined_system",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("source_system", Text, primary_key=True),
        Column("external_digest", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
