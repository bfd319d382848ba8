"""Remember which clocks a reviewed year still has to move."""

from alembic import op
from sqlalchemy import Column, Integer, Text

from smarketing.sql.types import UtcMicros

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "calendar_move",
        Column("tenant", Text, primary_key=True),
        Column("calendar", Text, primary_key=True),
        Column("year", Integer, primary_key=True),
        Column("calendar_version", Text, nullable=False),
        Column("principal", Text, nullable=False),
        Column("after_due_time", UtcMicros, nullable=False),
        Column("after_clock", Text, nullable=False),
        sqlite_strict=True,
    )
