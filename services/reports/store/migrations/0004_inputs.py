"""Keep what people and systems record for figures, and what agreements want of marketing.

The quotas of agreements were in the sla log all along: both logs are read again from their beginning.
"""

from alembic import op
from sqlalchemy import Column, SmallInteger, Text

from smarketing.sql.types import BigInt

revision = "0004"
down_revision = "0003"

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
    """Make the tables, and let both logs be folded from the first event."""
    op.create_table(
        "input_entry",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        Column("external_id", Text, primary_key=True),
        Column("revision", BigInt, nullable=False),
        Column("withdrawn", SmallInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("word", Text, nullable=False),
        Column("first_day", BigInt, nullable=False),
        Column("last_day", BigInt, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("currency", Text, nullable=False),
        Column("second", BigInt),
        Column("party", Text, nullable=False),
        Column("team", Text),
        Column("person", Text),
        Column("campaign", Text),
        Column("investment", Text),
        Column("source_channel", Text),
        Column("segment", Text),
        Column("region", Text),
        Column("product", Text),
        Column("journey", Text, nullable=False),
    )
    op.create_index("input_entry_by_day", "input_entry", ["tenant", "kind", "first_day"])
    op.create_table(
        "marketing_quota",
        Column("agreement_version", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("calendar_version", Text, nullable=False),
        Column("effective_time", BigInt),
        Column("period", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("minor_units", BigInt, nullable=False),
    )
    op.create_index("marketing_quota_by_tenant", "marketing_quota", ["tenant"])
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )
