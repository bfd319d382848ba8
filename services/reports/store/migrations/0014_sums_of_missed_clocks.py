"""Sum missed clocks and how long owners wait, which both took reading clock by clock.

The sums are made from the logs: both are read again from their beginning.
"""

from alembic import op
from sqlalchemy import Column, SmallInteger, Text, text

from smarketing.sql import BigInt

revision = "0014"
down_revision = "0013"

_FOLDED_ANEW = (
    "handoff_fact",
    "clock_fact",
    "offer_end",
    "happening",
    "opportunity_fact",
    "opportunity_step",
    "feedback_fact",
    "alert_fact",
    "rung_fact",
    "budget_said",
    "promise_settled",
    "payout_due",
    "opportunity_stages",
    "marketing_quota",
    "tenant_setting",
    "agreement_version",
    "commitment_version",
    "calendar_version",
    "folded_log",
    "folded_tenant",
    "handoff_rollup",
    "amount_rollup",
    "reason_rollup",
    "clock_rollup",
    "offer_rollup",
    "tally_rollup",
    "waiting_rollup",
)
_LABELS = (
    *("source", "source_channel", "segment", "region", "product", "lead_type", "team"),
    *("commitment_id", "parties", "agreement", "agreement_version", "bucket"),
)
_COUNTERS = (
    *("items", "source_seconds", "routing_seconds", "offered_seconds", "owner_seconds"),
    *("closed_seconds", "paused_seconds", "number"),
)
_APART = (
    "elapsed IS NULL AND (stop_time IS NOT NULL OR pause_time IS NOT NULL"
    " OR due_time != original_due_time OR state = 'void')"
)


def upgrade() -> None:
    """Make the table, the column and the index, and let both logs be folded from the first event."""
    op.create_table(
        "missed_rollup",
        Column("tenant", Text, primary_key=True),
        Column("anchor", Text, primary_key=True),
        Column("grain", SmallInteger, primary_key=True),
        Column("day", BigInt, primary_key=True, autoincrement=False),
        Column("group_id", BigInt, primary_key=True, autoincrement=False),
        Column("month", BigInt, nullable=False),
        *(Column(label, Text) for label in _LABELS),
        *(Column(counter, BigInt, nullable=False) for counter in _COUNTERS),
        sqlite_with_rowid=False,
    )
    op.add_column("waiting_rollup", Column("agreement_version", Text))
    columns = (
        *("tenant", "kind", "basis", "start_time", "agreement_version", "team", "state"),
        *("stop_time", "pause_time", "original_due_time", "due_time"),
    )
    where = text(_APART)
    op.create_index(
        "clock_fact_apart", "clock_fact", list(columns), sqlite_where=where, postgresql_where=where
    )
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )
