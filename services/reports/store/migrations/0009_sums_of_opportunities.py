"""Sum what opportunities are worth and how long they take, and find those of void handoffs at once.

The sums are made from the logs: both are read again from their beginning.
"""

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"

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


def upgrade() -> None:
    """Make the indexes, and let both logs be folded from the first event."""
    op.create_index("opportunity_fact_by_handoff", "opportunity_fact", ["handoff"])
    void = text("void_time IS NOT NULL AND convert_time IS NOT NULL")
    op.create_index(
        "handoff_fact_void_deals", "handoff_fact", ["tenant"], sqlite_where=void, postgresql_where=void
    )
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )
