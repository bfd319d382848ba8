"""Create the tables of exceptions and error budgets."""

from alembic import op
from sqlalchemy import Column, Integer, Text, text

from smarketing.sql.types import BigInt, UtcMicros

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    _exceptions()
    _budgets()


def _exceptions() -> None:
    op.create_table(
        "exception",
        Column("tenant", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("clock", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("since_time", UtcMicros, nullable=False),
        Column("start_time", UtcMicros),
        Column("end_time", UtcMicros),
        Column("reason", Text, nullable=False),
        Column("note", Text, nullable=False),
        Column("requesting_party", Text, nullable=False),
        Column("deciding_party", Text, nullable=False),
        Column("request_principal", Text, nullable=False),
        Column("request_time", UtcMicros, nullable=False),
        Column("lapse_time", UtcMicros, nullable=False),
        Column("decide_principal", Text, nullable=False),
        Column("decide_time", UtcMicros),
        Column("self_approved", Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("exception_newest", "exception", ["tenant", "request_time", "id"])
    op.create_index("exception_by_clock", "exception", ["clock"])
    waits = text("state = 'REQUESTED'")
    op.create_index(
        "exception_lapse", "exception", ["lapse_time"], sqlite_where=waits, postgresql_where=waits
    )
    op.create_index("exception_by_handoff", "exception", ["tenant", "handoff", "state"])


def _budgets() -> None:
    op.create_table(
        "budget",
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        Column("state", Text, nullable=False),
        Column("next_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    due = text("next_time IS NOT NULL")
    op.create_index("budget_due", "budget", ["next_time"], sqlite_where=due, postgresql_where=due)
    op.create_table(
        "budget_count",
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        Column("size", Integer, primary_key=True),
        Column("slot", BigInt, primary_key=True, autoincrement=False),
        Column("met", BigInt, nullable=False),
        Column("breached", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
