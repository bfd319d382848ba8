"""Create the tables around handoffs: routing's state, intake, deliveries, rights, merges, work."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    Text,
    text,
)

from smarketing.sql.types import BigInt, MinorUnits, UtcMicros

revision = "0002"
down_revision = "0001"

_Flag = Boolean().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _around_handoffs()
    _intake()
    _deliveries()
    _privacy()
    _disputes_and_takeovers()
    _identity()
    _field_work()


def _around_handoffs() -> None:
    """Keep turns in routing, what the sla service says, and totals."""
    op.create_table(
        "routing_pool",
        Column("tenant", Text, primary_key=True),
        Column("rule_id", Text, primary_key=True),
        Column("balances", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "open_work",
        Column("tenant", Text, primary_key=True),
        Column("person", Text, primary_key=True),
        Column("handoffs", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "routing_calendar",
        Column("tenant", Text, primary_key=True),
        Column("calendar", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("calendar_version", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leave",
        Column("tenant", Text, primary_key=True),
        Column("leave", Text, primary_key=True),
        Column("person", Text, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("end_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("leave_by_end", "leave", ["tenant", "end_time"])
    op.create_table(
        "clock_due",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("clock", Text, primary_key=True),
        Column("due_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "business_total",
        Column("tenant", Text, primary_key=True),
        Column("total", Text, primary_key=True),
        Column("label", Text, primary_key=True),
        Column("amount", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _privacy() -> None:
    """Keep who was forgotten, what was agreed to, and how long people are kept."""
    op.create_table(
        "erasure",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("cause", BigInt, nullable=False),
        Column("erase_time", UtcMicros, nullable=False),
        Column("finish_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "erasure_unfinished",
        "erasure",
        ["erase_time"],
        sqlite_where=text("finish_time IS NULL"),
        postgresql_where=text("finish_time IS NULL"),
    )
    op.create_table(
        "consent",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("consent", Text, primary_key=True),
        Column("purpose", Text, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("lawful_basis", BigInt, nullable=False),
        Column("source", Text, nullable=False),
        Column("sealed_note", LargeBinary),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "privacy_setting",
        Column("tenant", Text, primary_key=True),
        Column("retention_micros", BigInt),
        Column("on_return", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _intake() -> None:
    """Keep who sends webhooks, what of them was set aside, and each tenant's rules."""
    op.create_table(
        "intake_source",
        Column("tenant", Text, primary_key=True),
        Column("source", Text, primary_key=True),
        Column("system", Text, nullable=False),
        Column("mapping", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("public_url", Text, nullable=False),
        Column("api_url", Text, nullable=False),
        Column("people", Text, nullable=False),
        Column("sealed_secrets", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("delete_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("intake_source_by_id", "intake_source", ["source"], unique=True)
    op.create_table(
        "set_aside",
        Column("tenant", Text, primary_key=True),
        Column("source", Text, primary_key=True),
        Column("item", Text, primary_key=True),
        Column("type", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("attempts", BigInt, nullable=False),
        Column("wrapped_key", LargeBinary, nullable=False),
        Column("sealed_body", LargeBinary, nullable=False),
        Column("next_attempt_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("set_aside_by_time", "set_aside", ["tenant", "source", "create_time", "item"])
    op.create_index(
        "set_aside_due",
        "set_aside",
        ["next_attempt_time"],
        sqlite_where=text("next_attempt_time IS NOT NULL"),
        postgresql_where=text("next_attempt_time IS NOT NULL"),
    )
    op.create_index("set_aside_by_age", "set_aside", ["create_time"])
    op.create_table(
        "set_aside_subject",
        Column("tenant", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("source", Text, primary_key=True),
        Column("item", Text, primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("set_aside_subject_by_item", "set_aside_subject", ["tenant", "source", "item"])
    op.create_table(
        "behaviour",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "intake_rules",
        Column("tenant", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("rules", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _deliveries() -> None:
    """Keep who is told what became of leads, and what waits to be told."""
    op.create_table(
        "write_back",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        Column("endpoint_id", Text, primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "webhook_endpoint",
        Column("tenant", Text, primary_key=True),
        Column("endpoint_id", Text, primary_key=True),
        Column("url", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("sealed_secret", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("delete_time", UtcMicros),
        Column("disable_time", UtcMicros),
        Column("last_success_time", UtcMicros),
        sqlite_strict=True,
    )
    op.create_table(
        "webhook_message",
        Column("tenant", Text, primary_key=True),
        Column("endpoint_id", Text, primary_key=True),
        Column("message_id", Text, primary_key=True),
        Column("event_type", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", BigInt, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("next_attempt_time", UtcMicros),
        Column("settle_time", UtcMicros),
        Column("last_problem", Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index(
        "webhook_message_due",
        "webhook_message",
        ["next_attempt_time"],
        sqlite_where=text("next_attempt_time IS NOT NULL"),
        postgresql_where=text("next_attempt_time IS NOT NULL"),
    )
    op.create_index("webhook_message_state", "webhook_message", ["tenant", "endpoint_id", "state"])


def _disputes_and_takeovers() -> None:
    """Keep how a tenant works its handoffs, and who fell out over them."""
    op.create_table(
        "playbook",
        Column("tenant", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("content", LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dispute",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("version", BigInt, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("reason_code", Text, nullable=False),
        Column("accountable_party", Text),
        Column("person", Text, nullable=False),
        Column("evidence", Text, nullable=False),
        Column("rejecting_team", Text, nullable=False),
        Column("dispute_time", UtcMicros, nullable=False),
        Column("answer_due_time", UtcMicros, nullable=False),
        Column("resolver", Text, nullable=False),
        Column("resolve_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("dispute_by_due", "dispute", ["tenant", "state", "answer_due_time"])
    op.create_table(
        "takeover",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("clock", Text, primary_key=True),
        Column("cycle", BigInt, primary_key=True, autoincrement=False),
        Column("rung_id", Text, primary_key=True),
        Column("taken", _Flag, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _identity() -> None:
    """Keep who was merged with whom, the way back, and who may be one person."""
    op.create_table(
        "lead_merge",
        Column("tenant", Text, primary_key=True),
        Column("merged_lead", Text, primary_key=True),
        Column("merge", Text, primary_key=True),
        Column("lead", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("merge_time", UtcMicros, nullable=False),
        Column("unmerge_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "merged_handoff",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("merge", Text, primary_key=True),
        Column("before", Text, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "possible_duplicate",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("other_lead", Text, primary_key=True),
        Column("confidence", BigInt, nullable=False),
        Column("rule_id", Text, nullable=False),
        Column("signals", Text, nullable=False),
        Column("detect_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "possible_duplicate_by_confidence",
        "possible_duplicate",
        ["tenant", text("confidence DESC"), text("lead DESC"), text("other_lead DESC")],
    )
    op.create_index("possible_duplicate_by_other_lead", "possible_duplicate", ["tenant", "other_lead"])


def _field_work() -> None:
    """Keep replies, what comes next, how opportunities moved, and what the field heard."""
    op.create_table(
        "reply",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("reply", Text, primary_key=True),
        Column("channel", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("contact", _Flag, nullable=False),
        Column("external_id", Text, nullable=False),
        Column("follow_up_count", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "reply_by_external_id",
        "reply",
        ["tenant", "lead", "number", "external_id"],
        unique=True,
        sqlite_where=text("external_id <> ''"),
        postgresql_where=text("external_id <> ''"),
    )
    op.create_table(
        "next_action",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("action", BigInt, nullable=False),
        Column("due_time", UtcMicros, nullable=False),
        Column("channel", BigInt),
        Column("person", Text, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("follow_up_count", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "opportunity_change",
        Column("tenant", Text, primary_key=True),
        Column("opportunity", Text, primary_key=True),
        Column("change", BigInt, primary_key=True, autoincrement=False),
        Column("lead", Text, nullable=False),
        Column("kind", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("person", Text, nullable=False),
        Column("stage", Text, nullable=False),
        Column("amount_currency_code", Text),
        Column("amount_minor_units", MinorUnits),
        Column("probability_percent", BigInt),
        Column("expected_close_date", Text),
        Column("external_id", Text, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feedback",
        Column("tenant", Text, primary_key=True),
        Column("feedback", Text, primary_key=True),
        Column("lead", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("version", BigInt, nullable=False),
        Column("type", BigInt, nullable=False),
        Column("theme", Text, nullable=False),
        Column("competitor", Text, nullable=False),
        Column("price_currency_code", Text),
        Column("price_minor_units", MinorUnits),
        Column("person", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("status", BigInt, nullable=False),
        Column("status_person", Text, nullable=False),
        Column("sealed_verbatim", LargeBinary),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("feedback_by_lead", "feedback", ["tenant", "lead"])
