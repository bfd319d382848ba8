"""Create every table as the first build knew it: written out, because what it did never changes."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)

from smarketing.sql.types import BigInt, UtcMicros

revision = "0001"
down_revision = None

_Flag = Boolean().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _event_log()
    _commands()
    _directory_mirror()
    _delivery()
    _agreements()
    _handoffs()
    _clocks()
    _alerts()


def _event_log() -> None:
    """Keep the log, who it is, and how far this service follows others."""
    op.create_table(
        "event_log",
        Column("position", BigInt, primary_key=True, autoincrement=False),
        Column("tenant", Text, nullable=False),
        Column("tenant_position", BigInt, nullable=False),
        Column("subject", Text, nullable=False),
        Column("subject_version", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("actor", Text, nullable=False),
        Column("traceparent", Text, nullable=False),
        Column("cause_log_id", Text),
        Column("cause_position", BigInt),
        Column("cause_tenant_position", BigInt),
        Column("skippable", _Flag, nullable=False),
        Column("payload_type", Text, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        UniqueConstraint("tenant", "tenant_position"),
        UniqueConstraint("tenant", "subject", "subject_version"),
        sqlite_strict=True,
    )
    op.create_table(
        "log_head",
        Column("view", Text, primary_key=True),
        Column("position", BigInt, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "log_identity",
        Column("log_id", Text, primary_key=True),
        sqlite_strict=True,
    )
    op.create_table(
        "consumer_checkpoint",
        Column("consumer", Text, primary_key=True),
        Column("log_id", Text, nullable=False),
        Column("position", BigInt, nullable=False),
        Column("progress_time", UtcMicros, nullable=False),
        Column("attempts", BigInt, nullable=False),
        Column("record_time", UtcMicros),
        sqlite_strict=True,
    )


def _commands() -> None:
    """Keep what was answered, and the chain of who did what."""
    op.create_table(
        "idempotency_record",
        Column("tenant", Text, primary_key=True),
        Column("request_id", Text, primary_key=True),
        Column("principal", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("fingerprint", LargeBinary(32), nullable=False),
        Column("response", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
    )
    op.create_index("idempotency_record_by_age", "idempotency_record", ["create_time"])
    op.create_table(
        "audit_entry",
        Column("tenant", Text, primary_key=True),
        Column("sequence", BigInt, primary_key=True, autoincrement=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("principal", Text, nullable=False),
        Column("on_behalf_of", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("outcome", BigInt, nullable=False),
        Column("reason", Text, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("previous_hash", LargeBinary(32), nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
    )
    op.create_table(
        "audit_head",
        Column("tenant", Text, primary_key=True),
        Column("sequence", BigInt, nullable=False),
        Column("hash", LargeBinary(32), nullable=False),
    )


def _directory_mirror() -> None:
    """Keep what every service knows of the directory."""
    op.create_table(
        "directory_principal",
        Column("tenant", Text, primary_key=True),
        Column("principal", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("roles", Text, nullable=False),
        Column("party", Text, nullable=False),
        Column("teams", Text, nullable=False),
        Column("active", Boolean, nullable=False),
    )
    op.create_table(
        "directory_token",
        Column("tenant", Text, primary_key=True),
        Column("token_id", Text, primary_key=True),
        Column("principal", Text, nullable=False),
        Column("secret_hash", LargeBinary(32), nullable=False),
        Column("expire_time", UtcMicros),
        Column("revoked", Boolean, nullable=False),
    )
    op.create_table(
        "directory_team",
        Column("tenant", Text, primary_key=True),
        Column("team", Text, primary_key=True),
        Column("party", Text, nullable=False),
        Column("manager", Text, nullable=False),
    )


def _delivery() -> None:
    """Keep outgoing messages and where they go."""
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


def _agreements() -> None:
    op.create_table(
        "agreement_version",
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("terms", LargeBinary, nullable=False),
        Column("propose_time", UtcMicros, nullable=False),
        Column("activate_time", UtcMicros),
        Column("effective_time", UtcMicros),
        Column("retire_time", UtcMicros),
        sqlite_strict=True,
    )
    op.create_table(
        "agreement_acceptance",
        Column("tenant", Text, primary_key=True),
        Column("agreement", Text, primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("party", Text, primary_key=True),
        Column("principal", Text, nullable=False),
        Column("accept_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "calendar_version",
        Column("tenant", Text, primary_key=True),
        Column("calendar", Text, primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("content", LargeBinary, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("tzdata_version", Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "holiday_review",
        Column("tenant", Text, primary_key=True),
        Column("calendar", Text, primary_key=True),
        Column("year", Integer, primary_key=True),
        Column("content", LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "calendar_assignment",
        Column("tenant", Text, primary_key=True),
        Column("holder", Text, primary_key=True),
        Column("effective_time", UtcMicros, primary_key=True),
        Column("calendar_version", Text, nullable=False),
        Column("principal", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "leave",
        Column("tenant", Text, primary_key=True),
        Column("person", Text, primary_key=True),
        Column("leave", Text, primary_key=True),
        Column("start_time", UtcMicros, nullable=False),
        Column("end_time", UtcMicros, nullable=False),
        Column("cancel_time", UtcMicros),
        sqlite_strict=True,
    )
    op.create_index("leave_by_end", "leave", ["tenant", "end_time"])


def _handoffs() -> None:
    op.create_table(
        "queue",
        Column("tenant", Text, primary_key=True),
        Column("queue", Text, primary_key=True),
        Column("team", Text, nullable=False),
        Column("manager", Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "fact",
        Column("handoff", Text, primary_key=True),
        Column("position", BigInt, primary_key=True, autoincrement=False),
        Column("kind", Text, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("person", Text),
        Column("team", Text),
        Column("assignee", Text),
        Column("grade", Text),
        Column("reason", Text),
        Column("attributes", Text),
        Column("is_history", Integer, nullable=False),
        Column("is_archived", Integer, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _clocks() -> None:
    op.create_table(
        "clock",
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("agreement", Text, nullable=False),
        Column("agreement_version", Text, nullable=False),
        Column("calendar_version", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("basis", Text, nullable=False),
        Column("parties", Text, nullable=False),
        Column("generation", BigInt, nullable=False),
        Column("cycle", Integer, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("target", BigInt, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("original_due_time", UtcMicros, nullable=False),
        Column("due_time", UtcMicros, nullable=False),
        Column("stop_time", UtcMicros),
        Column("end_time", UtcMicros),
        Column("breach_time", UtcMicros),
        Column("detect_time", UtcMicros),
        Column("elapsed", BigInt, nullable=False),
        Column("paused", BigInt, nullable=False),
        Column("owner", Text, nullable=False),
        Column("team", Text, nullable=False),
        Column("fired", Text, nullable=False),
        Column("paused_at", Text, nullable=False),
        Column("open_pauses", Text, nullable=False),
        Column("historical", Integer, nullable=False),
        Column("silent", Integer, nullable=False),
        Column("void_reason", Text, nullable=False),
        Column("retractions", Integer, nullable=False),
        Column("next_time", UtcMicros),
        Column("attempts", Integer, nullable=False),
        Column("quarantine_time", UtcMicros),
        sqlite_strict=True,
    )
    op.create_index("clock_by_due", "clock", ["tenant", "due_time", "id"])
    op.create_index("clock_by_handoff", "clock", ["handoff", "agreement", "commitment_id"], unique=True)
    op.create_index("clock_by_owner", "clock", ["tenant", "owner", "due_time"])
    op.create_index(
        "clock_due",
        "clock",
        ["next_time"],
        sqlite_where=text("next_time IS NOT NULL"),
        postgresql_where=text("next_time IS NOT NULL"),
    )
    op.create_index(
        "clock_open",
        "clock",
        ["tenant", "commitment_id"],
        sqlite_where=text("end_time IS NULL"),
        postgresql_where=text("end_time IS NULL"),
    )
    op.create_table(
        "clock_said",
        Column("clock", Text, primary_key=True),
        Column("cycle", Integer, primary_key=True),
        Column("what", Text, primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tally",
        Column("tenant", Text, primary_key=True),
        Column("what", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        Column("team", Text, primary_key=True),
        Column("label", Text, primary_key=True),
        Column("count", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _alerts() -> None:
    op.create_table(
        "alert",
        Column("tenant", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("state", Text, nullable=False),
        Column("clock", Text, nullable=False),
        Column("cycle", Integer, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("commitment_id", Text, nullable=False),
        Column("commitment_title", Text, nullable=False),
        Column("rung_id", Text, nullable=False),
        Column("missed", Integer, nullable=False),
        Column("due_time", UtcMicros, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("owner", Text, nullable=False),
        Column("team", Text, nullable=False),
        Column("recipients", Text, nullable=False),
        Column("acknowledged_by", Text, nullable=False),
        Column("acknowledge_time", UtcMicros),
        Column("resolved_by", Text, nullable=False),
        Column("resolve_time", UtcMicros),
        Column("resolve_reason", Text),
        Column("snooze_until_time", UtcMicros),
        Column("snoozed_by", Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("alert_by_clock", "alert", ["clock"])
    op.create_index("alert_newest", "alert", ["tenant", "create_time", "id"])
    op.create_table(
        "alert_channel",
        Column("tenant", Text, primary_key=True),
        Column("person", Text, primary_key=True),
        Column("way", Text, primary_key=True),
        Column("endpoint_id", Text, nullable=False),
        Column("language", Text, nullable=False),
        Column("calendar", Text, nullable=False),
        Column("cover", Text, nullable=False),
        Column("update_time", UtcMicros, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "alert_notice",
        Column("tenant", Text, primary_key=True),
        Column("person", Text, primary_key=True),
        Column("way", Text, primary_key=True),
        Column("alert", Text, primary_key=True),
        Column("round", Integer, nullable=False),
        Column("instead_of", Text, nullable=False),
        Column("ready_time", UtcMicros, nullable=False),
        Column("is_urgent", Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("alert_notice_ready", "alert_notice", ["ready_time"])
    op.create_index("alert_notice_by_alert", "alert_notice", ["tenant", "alert"])
    op.create_table(
        "replay",
        Column("tenant", Text, primary_key=True),
        Column("after_handoff", Text, nullable=False),
        sqlite_strict=True,
    )
