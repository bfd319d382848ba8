"""Keep how far each tenant's view of a log is folded in, beside how far the whole log is."""

from alembic import op
from sqlalchemy import Column, Text

from smarketing.sql.types import BigInt

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "folded_tenant",
        Column("service", Text, primary_key=True),
        Column("tenant", Text, primary_key=True),
        Column("log_id", Text, nullable=False),
        Column("position", BigInt, nullable=False),
        Column("record_time", BigInt, nullable=False),
    )
