"""Create the tables of marketing's periods."""

from alembic import op
from sqlalchemy import Column, Integer, Text, text

from smarketing.sql.types import BigInt, UtcMicros

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "marketing_entry",
        Column("handoff", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("period", Text, nullable=False),
        Column("value", BigInt),
        Column("conforms", Integer),
        Column("required", Integer, nullable=False),
        Column("filled", Integer, nullable=False),
        Column("decision", Text, nullable=False),
        Column("is_marketings", Integer, nullable=False),
        Column("final_time", UtcMicros),
        Column("is_void", Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    waits = text("final_time IS NOT NULL")
    op.create_index(
        "marketing_entry_final", "marketing_entry", ["final_time"], sqlite_where=waits, postgresql_where=waits
    )
    op.create_table(
        "marketing_period",
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("period", Text, primary_key=True),
        Column("agreement_version", Text, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("end_time", UtcMicros, nullable=False),
        Column("verdict", Text, nullable=False),
        Column("next_time", UtcMicros),
        Column("submitted", BigInt, nullable=False),
        Column("delivered", BigInt, nullable=False),
        Column("pending", BigInt, nullable=False),
        Column("unvalued", BigInt, nullable=False),
        Column("held_against", BigInt, nullable=False),
        Column("conforming", BigInt, nullable=False),
        Column("required", BigInt, nullable=False),
        Column("filled", BigInt, nullable=False),
        Column("complete", BigInt, nullable=False),
        Column("decided", BigInt, nullable=False),
        Column("rejected", BigInt, nullable=False),
        Column("waiting", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    due = text("next_time IS NOT NULL")
    op.create_index(
        "marketing_period_due", "marketing_period", ["next_time"], sqlite_where=due, postgresql_where=due
    )
    op.create_index("marketing_period_latest", "marketing_period", ["tenant", "end_time"])
