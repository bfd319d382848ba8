"""Let the indexes of missed clocks, and of those that no bucket holds, have all that is counted over them."""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"

_MISSED = ("tenant", "missed_due_time", "stop_time", "commitment_id", "team", "agreement", "parties")
_UNCOUNTED = (
    *("tenant", "start_time", "kind", "basis", "agreement_version", "team", "state"),
    *("stop_time", "pause_time", "original_due_time", "due_time"),
)


def upgrade() -> None:
    """Make both anew."""
    for name, columns, held in (
        ("clock_fact_missed", _MISSED, "missed_due_time IS NOT NULL"),
        ("clock_fact_uncounted", _UNCOUNTED, "elapsed IS NULL"),
    ):
        op.drop_index(name, "clock_fact")
        where = text(held)
        op.create_index(name, "clock_fact", list(columns), sqlite_where=where, postgresql_where=where)
