"""Fold what the logs told and nobody kept: merges, disputes, returns, opportunities, feedback, alerts.

Every sum and fact is made anew from the logs, which hold all of it: both are read again from their beginning.
"""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import Column, Double, LargeBinary, SmallInteger, Text, text

from smarketing.sql.types import BigInt

revision = "0003"
down_revision = "0002"

_FOLDED_ANEW = (
    "offer_end",
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
)


def upgrade() -> None:
    """Make the tables, and let both logs be folded from the first event."""
    for table in ("handoff_fact", "clock_fact", "clock_rollup"):
        op.drop_table(table)
    _handoffs()
    _clocks()
    _around_handoffs()
    _sums()
    for table in _FOLDED_ANEW:
        op.execute(f"DELETE FROM {table}")  # noqa: S608 -- names of our own tables
    op.execute(
        "UPDATE consumer_checkpoint SET position = 0, attempts = 0, record_time = NULL "
        "WHERE consumer IN ('reports.leads', 'reports.sla')"
    )


def _partial(name: str, table: str, columns: Sequence[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=text(where), postgresql_where=text(where))


def _handoffs() -> None:
    """Keep more of each handoff."""
    op.create_table(
        "handoff_fact",
        Column("handoff", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("lead", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("source", Text),
        Column("source_channel", Text),
        Column("segment", Text),
        Column("region", Text),
        Column("product", Text),
        Column("lead_type", Text),
        Column("team", Text),
        Column("submit_time", BigInt, nullable=False),
        Column("inquire_time", BigInt),
        Column("historical", SmallInteger, nullable=False),
        Column("archived", SmallInteger, nullable=False),
        Column("owner", Text, nullable=False),
        Column("assignee", Text, nullable=False),
        Column("open_offer", Text, nullable=False),
        Column("offer_time", BigInt),
        Column("accept_time", BigInt),
        Column("first_follow_up_time", BigInt),
        Column("first_contact_time", BigInt),
        Column("qualify_time", BigInt),
        Column("convert_time", BigInt),
        Column("won_time", BigInt),
        Column("lost_time", BigInt),
        Column("reject_time", BigInt),
        Column("disqualify_time", BigInt),
        Column("recycle_time", BigInt),
        Column("void_time", BigInt),
        Column("reason_code", Text, nullable=False),
        Column("accountable_party", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("minor_units", BigInt, nullable=False),
        Column("follow_up_count", BigInt, nullable=False),
        Column("reassign_count", BigInt, nullable=False),
        Column("unattended", SmallInteger, nullable=False),
        Column("stage_time", BigInt, nullable=False),
        Column("open_since", BigInt),
        Column("with_evidence", SmallInteger, nullable=False),
        Column("rejection_time", BigInt),
        Column("rejection_code", Text, nullable=False),
        Column("dispute_state", Text, nullable=False),
        Column("dispute_time", BigInt),
        Column("dispute_answer_time", BigInt),
        Column("second_owner_time", BigInt),
        Column("takeover_count", BigInt, nullable=False),
        Column("previous_handoff", Text, nullable=False),
        Column("continued", SmallInteger, nullable=False),
        Column("return_time", BigInt),
        Column("merged_into", Text, nullable=False),
        Column("touches", Text, nullable=False),
        Column("borrowed_touches", Text, nullable=False),
        Column("value_currency", Text, nullable=False),
        Column("value_minor_units", BigInt, nullable=False),
        Column("behaviour_count", BigInt, nullable=False),
        Column("joined_count", BigInt, nullable=False),
        Column("conforming", SmallInteger),
        Column("required_fields", BigInt, nullable=False),
        Column("valid_fields", BigInt, nullable=False),
    )
    op.create_index("handoff_fact_by_submission", "handoff_fact", ["tenant", "submit_time"])
    _partial("handoff_fact_open", "handoff_fact", ["tenant", "open_since"], "open_since IS NOT NULL")
    _partial("handoff_fact_unattended", "handoff_fact", ["tenant"], "unattended = 1")


def _clocks() -> None:
    """Keep more of each clock, and sum clocks by agreement too."""
    op.create_table(
        "clock_fact",
        Column("clock", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("agreement_version", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("parties", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("basis", Text, nullable=False),
        Column("start_time", BigInt, nullable=False),
        Column("original_due_time", BigInt, nullable=False),
        Column("due_time", BigInt, nullable=False),
        Column("owner", Text, nullable=False),
        Column("team", Text),
        Column("historical", SmallInteger, nullable=False),
        Column("state", Text, nullable=False),
        Column("stop_time", BigInt),
        Column("pause_time", BigInt),
        Column("elapsed", BigInt),
        Column("retracted", SmallInteger, nullable=False),
        Column("late", BigInt),
        Column("warned", SmallInteger, nullable=False),
        Column("undone_due_time", BigInt),
        Column("missed_due_time", BigInt),
        Column("agreement", Text, nullable=False),
    )
    op.create_index("clock_fact_by_due", "clock_fact", ["tenant", "due_time"])
    op.create_index("clock_fact_by_handoff", "clock_fact", ["handoff"])
    _partial("clock_fact_missed", "clock_fact", ["tenant", "missed_due_time"], "missed_due_time IS NOT NULL")
    _partial("clock_fact_uncounted", "clock_fact", ["tenant", "start_time"], "elapsed IS NULL")
    _partial(
        "clock_fact_undone",
        "clock_fact",
        ["tenant", "undone_due_time", "clock"],
        "undone_due_time IS NOT NULL",
    )
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
        sqlite_with_rowid=False,
    )


def _around_handoffs() -> None:
    """Keep what hangs on a handoff or a clock and is read by itself."""
    op.create_table(
        "happening",
        Column("happening", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("time", BigInt, nullable=False),
        Column("source", Text),
        Column("source_channel", Text),
        Column("segment", Text),
        Column("region", Text),
        Column("product", Text),
        Column("lead_type", Text),
        Column("team", Text),
    )
    op.create_index("happening_by_tenant", "happening", ["tenant"])
    op.create_table(
        "opportunity_fact",
        Column("opportunity", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("create_time", BigInt, nullable=False),
        Column("stage_time", BigInt, nullable=False),
        Column("state", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("stage", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("minor_units", BigInt, nullable=False),
        Column("probability", BigInt),
        Column("close_day", BigInt),
        Column("close_time", BigInt),
        Column("reopen_count", BigInt, nullable=False),
        Column("step_count", BigInt, nullable=False),
    )
    op.create_index("opportunity_fact_by_creation", "opportunity_fact", ["tenant", "create_time"])
    op.create_index("opportunity_fact_by_state", "opportunity_fact", ["tenant", "state", "close_time"])
    op.create_table(
        "opportunity_step",
        Column("step", Text, primary_key=True),
        Column("opportunity", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("tenant", Text, nullable=False),
        Column("time", BigInt, nullable=False),
        Column("kind", Text, nullable=False),
        Column("stage", Text, nullable=False),
        Column("previous_stage", Text, nullable=False),
        Column("previous_stage_time", BigInt, nullable=False),
        Column("currency", Text, nullable=False),
        Column("minor_units", BigInt, nullable=False),
        Column("probability", BigInt),
        Column("close_day", BigInt),
    )
    op.create_index("opportunity_step_by_opportunity", "opportunity_step", ["opportunity", "number"])
    op.create_table(
        "feedback_fact",
        Column("feedback", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("theme", Text, nullable=False),
        Column("create_time", BigInt, nullable=False),
        Column("status", Text, nullable=False),
        Column("answer_time", BigInt),
        Column("done_time", BigInt),
    )
    op.create_index("feedback_fact_by_creation", "feedback_fact", ["tenant", "create_time"])
    op.create_table(
        "alert_fact",
        Column("alert", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("rung_id", Text, nullable=False),
        Column("team", Text),
        Column("state", Text, nullable=False),
        Column("create_time", BigInt, nullable=False),
        Column("acknowledge_time", BigInt),
        Column("resolve_time", BigInt),
    )
    op.create_index("alert_fact_by_creation", "alert_fact", ["tenant", "create_time"])
    op.create_table(
        "rung_fact",
        Column("clock", Text, primary_key=True),
        Column("cycle", BigInt, primary_key=True, autoincrement=False),
        Column("rung_id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("fire_time", BigInt, nullable=False),
        Column("fired_count", BigInt, nullable=False),
        Column("delivered_count", BigInt, nullable=False),
    )
    op.create_index("rung_fact_by_time", "rung_fact", ["tenant", "fire_time"])
    op.create_table(
        "budget_said",
        Column("budget", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("parties", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("settled_count", BigInt, nullable=False),
        Column("breached_count", BigInt, nullable=False),
        Column("remaining_ratio", Double),
        Column("fast_burn_rate", Double),
        Column("slow_burn_rate", Double),
        Column("exhaustion", BigInt),
        Column("as_of_time", BigInt, nullable=False),
    )


def _sums() -> None:
    """Sum what is counted beside the stages, and waiting times in buckets."""
    op.create_table(
        "tally_rollup",
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
        Column("word", Text),
        Column("other", Text),
        Column("items", BigInt, nullable=False),
        Column("number", BigInt, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "waiting_rollup",
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
        Column("items", BigInt, nullable=False),
        Column("buckets", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
