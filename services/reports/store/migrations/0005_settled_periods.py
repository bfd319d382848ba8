"""Keep what became of marketing's promises for a period, as the sla log says.

It was in that log all along: both logs are read again from their beginning.
"""

from alembic import op
from sqlalchemy import Column, Double, Text

from smarketing.sql.types import BigInt

revision = "0005"
down_revision = "0004"

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


def upgrade() -> None:
    """Make the table, and let both logs be folded from the first event."""
    op.create_table(
        "promise_settled",
        Column("promise", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("limit_ratio", Double, nullable=False),
        Column("actual_ratio", Double),
        Column("last_time", BigInt, nullable=False),
        Column("as_of_time", BigInt, nullable=False),
    )
    op.create_index("promise_settled_by_tenant", "promise_settled", ["tenant", "last_time"])
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )
