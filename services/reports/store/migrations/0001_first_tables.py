"""Create every table as the first build knew it: written out, because what it did never changes."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
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
    _facts()
    _versions()
    _rollups()


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


def _facts() -> None:
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
    )
    op.create_index("handoff_fact_by_submission", "handoff_fact", ["tenant", "submit_time"])
    op.create_index(
        "handoff_fact_unattended",
        "handoff_fact",
        ["tenant"],
        sqlite_where=text("unattended = 1"),
        postgresql_where=text("unattended = 1"),
    )
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
    )
    op.create_index("clock_fact_by_due", "clock_fact", ["tenant", "due_time"])
    op.create_index("clock_fact_by_handoff", "clock_fact", ["handoff"])
    op.create_table(
        "offer_end",
        Column("offer", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("handoff", Text, nullable=False),
        Column("team", Text),
        Column("end_time", BigInt, nullable=False),
        Column("outcome", Text, nullable=False),
    )
    op.create_index("offer_end_by_tenant", "offer_end", ["tenant"])


def _versions() -> None:
    op.create_table(
        "tenant_setting",
        Column("tenant", Text, primary_key=True),
        Column("time_zone", Text, nullable=False),
        Column("currency_code", Text, nullable=False),
    )
    op.create_table(
        "agreement_version",
        Column("agreement_version", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("calendar_version", Text, nullable=False),
        Column("effective_time", BigInt),
    )
    op.create_index("ix_agreement_version_tenant", "agreement_version", ["tenant"])
    op.create_table(
        "commitment_version",
        Column("agreement_version", Text, primary_key=True),
        Column("commitment_id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("rank", SmallInteger, nullable=False),
        Column("title", Text, nullable=False),
        Column("parties", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("objective_basis_points", SmallInteger, nullable=False),
    )
    op.create_index("ix_commitment_version_tenant", "commitment_version", ["tenant"])
    op.create_table(
        "calendar_version",
        Column("calendar_version", Text, primary_key=True),
        Column("definition", LargeBinary, nullable=False),
    )
    op.create_table(
        "folded_log",
        Column("service", Text, primary_key=True),
        Column("log_id", Text, nullable=False),
        Column("position", BigInt, nullable=False),
        Column("record_time", BigInt, nullable=False),
    )


def _rollups() -> None:
    op.create_table(
        "handoff_rollup",
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
        Column("accepted", BigInt, nullable=False),
        Column("worked", BigInt, nullable=False),
        Column("qualified", BigInt, nullable=False),
        Column("converted", BigInt, nullable=False),
        Column("won", BigInt, nullable=False),
        Column("lost", BigInt, nullable=False),
        Column("rejected", BigInt, nullable=False),
        Column("disqualified", BigInt, nullable=False),
        Column("recycled", BigInt, nullable=False),
        Column("void", BigInt, nullable=False),
        Column("archived", BigInt, nullable=False),
        Column("rejected_on_marketing", BigInt, nullable=False),
        Column("undecided", BigInt, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "amount_rollup",
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
        Column("currency", Text),
        Column("items", BigInt, nullable=False),
        Column("minor_units", BigInt, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reason_rollup",
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
        Column("outcome", Text),
        Column("reason_code", Text),
        Column("accountable_party", Text),
        Column("items", BigInt, nullable=False),
        sqlite_with_rowid=False,
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
        sqlite_with_rowid=False,
    )
    op.create_table(
        "offer_rollup",
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
        Column("accepted", BigInt, nullable=False),
        Column("rejected", BigInt, nullable=False),
        Column("declined", BigInt, nullable=False),
        Column("expired", BigInt, nullable=False),
        Column("withdrawn", BigInt, nullable=False),
        sqlite_with_rowid=False,
    )
