"""Let a commitment have several clocks on a handoff, and keep what else happened to it."""

from alembic import op
from sqlalchemy import Column, Integer, Text, text

from smarketing.sql.types import BigInt, UtcMicros

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns, and let the index tell clocks apart by what started them."""
    op.add_column("clock", Column("origin", BigInt, nullable=False, server_default=text("0")))
    op.drop_index("clock_by_handoff", "clock")
    op.create_index(
        "clock_by_handoff", "clock", ["handoff", "agreement", "commitment_id", "origin"], unique=True
    )
    for column in (
        Column("channel", Text),
        Column("is_contact", Integer, nullable=False, server_default=text("0")),
        Column("until_time", UtcMicros),
        Column("source", Text),
        Column("commitment_id", Text),
        Column("about", BigInt),
    ):
        op.add_column("fact", column)
