"""Keep what more figures rest on: scores, leads that came before, stays of opportunities, payouts.

All of it was in the logs: both are read again from their beginning.
"""

from alembic import op
from sqlalchemy import Column, SmallInteger, Text, text

from smarketing.sql.types import BigInt

revision = "0006"
down_revision = "0005"

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
    "offer_rollup",
    "tally_rollup",
    "waiting_rollup",
)
_MORE = (
    ("handoff_fact", (Column("band", Text), Column("score", BigInt), Column("lead_time", BigInt))),
    ("handoff_fact", (Column("customer_time", BigInt), Column("unreachable", SmallInteger))),
    ("handoff_fact", (Column("deal_currency", Text), Column("deal_minor_units", BigInt))),
    ("opportunity_fact", (Column("visits", Text), Column("proposal_time", BigInt))),
    ("budget_said", (Column("objective_basis_points", BigInt), Column("burning_fast", SmallInteger))),
    ("budget_said", (Column("burning_slowly", SmallInteger),)),
    ("alert_fact", (Column("clock", Text),)),
)


def upgrade() -> None:
    """Make the tables and columns, and let both logs be folded from the first event."""
    for table, columns in _MORE:
        for column in columns:
            op.add_column(table, column)
    op.drop_table("clock_rollup")
    op.create_table(
        "clock_rollup",
        Column("tenant", Text, primary_key=True),
        Column("anchor", Text, primary_key=True),
        Column("grain", SmallInteger, primary_key=True),
        Column("day", BigInt, primary_key=True, autoincrement=False),
        Column("group_id", BigInt, primary_key=True, autoincrement=False),
        Column("month", BigInt, nullable=False),
        Column("source", Text),
        Column("source_channel", Text),
        Column("segment", Text),
        Column("region", Text),
        Column("product", Text),
        Column("lead_type", Text),
        Column("team", Text),
        Column("commitment_id", Text),
        Column("parties", Text),
        Column("agreement", Text),
        Column("items", BigInt, nullable=False),
        Column("met", BigInt, nullable=False),
        Column("breached", BigInt, nullable=False),
        Column("excused", BigInt, nullable=False),
        Column("void", BigInt, nullable=False),
        Column("running", BigInt, nullable=False),
        Column("paused", BigInt, nullable=False),
        Column("unserved", BigInt, nullable=False),
        Column("retracted", BigInt, nullable=False),
        Column("met_original", BigInt, nullable=False),
        Column("warned", BigInt, nullable=False),
        Column("warned_met", BigInt, nullable=False),
        Column("elapsed", BigInt, nullable=False),
        sqlite_with_rowid=False,
    )
    _tables()
    _indexes()
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )


def _tables() -> None:
    op.create_table(
        "payout_due",
        Column("payout", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("parties", Text, nullable=False),
        Column("percent", BigInt, nullable=False),
        Column("due_time", BigInt, nullable=False),
    )
    op.create_table(
        "opportunity_stages",
        Column("tenant", Text, primary_key=True),
        Column("stages", Text, nullable=False),
    )


def _indexes() -> None:
    op.create_index("payout_due_by_time", "payout_due", ["tenant", "due_time"])
    op.create_index("opportunity_fact_by_proposal", "opportunity_fact", ["tenant", "proposal_time"])
    op.create_index("opportunity_step_by_close_day", "opportunity_step", ["tenant", "close_day"])
    for name, table, columns, where in (
        ("opportunity_fact_to_close", "opportunity_fact", ["tenant", "close_day"], "state = 'open'"),
        ("clock_fact_moved", "clock_fact", ["tenant", "due_time"], "due_time != original_due_time"),
    ):
        op.create_index(name, table, columns, sqlite_where=text(where), postgresql_where=text(where))
