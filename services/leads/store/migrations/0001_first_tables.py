"""Create the log, the directory, leads and handoffs: written out, because what it did never changes."""

from alembic import op
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)

from smarketing.sql.types import BigInt, MinorUnits, UtcMicros

revision = "0001"
down_revision = None

_Flag = Boolean().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _event_log()
    _commands()
    _directory_mirror()
    _directory()
    _routing_versions()
    _leads()
    _handoffs()
    _handoff_lists()
    _work()


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


def _directory() -> None:
    """Keep tenants, who there is in them and the tokens."""
    op.create_table(
        "tenant",
        Column("tenant", Text, primary_key=True),
        Column("time_zone", Text, nullable=False),
        Column("region_code", Text, nullable=False),
        Column("currency_code", Text, nullable=False),
        Column("routing_version", BigInt, nullable=False),
        Column("identity", LargeBinary, nullable=False),
        Column("etag", Text, nullable=False),
        Column("calls_per_second", BigInt, nullable=False),
        Column("leads_per_day", BigInt, nullable=False),
        Column("streams", BigInt, nullable=False),
    )
    op.create_table(
        "team",
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("party", Text, nullable=False),
        Column("manager", Text, nullable=False),
        Column("parent_team", Text, nullable=False),
        Column("inactive", Boolean, nullable=False),
        Column("skills", Text, nullable=False),
        Column("territories", Text, nullable=False),
        Column("languages", Text, nullable=False),
        Column("capacity", Integer, nullable=False),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )
    op.create_index("team_by_tenant", "team", ["tenant"])
    op.create_table(
        "person",
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("roles", Text, nullable=False),
        Column("team", Text, nullable=False),
        Column("inactive", Boolean, nullable=False),
        Column("skills", Text, nullable=False),
        Column("territories", Text, nullable=False),
        Column("languages", Text, nullable=False),
        Column("capacity", Integer, nullable=False),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )
    op.create_index("person_by_tenant", "person", ["tenant"])
    op.create_table(
        "system",
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("roles", Text, nullable=False),
        Column("teams", Text, nullable=False),
        Column("inactive", Boolean, nullable=False),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )
    op.create_index("system_by_tenant", "system", ["tenant"])
    op.create_table(
        "queue",
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("team", Text, nullable=False),
        Column("manager", Text, nullable=False),
        Column("inactive", Boolean, nullable=False),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )
    op.create_index("queue_by_tenant", "queue", ["tenant"])
    op.create_table(
        "token",
        Column("name", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("principal", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("expire_time", UtcMicros),
        Column("revoke_time", UtcMicros),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )
    op.create_index("token_by_principal", "token", ["principal", "name"])


def _routing_versions() -> None:
    """Keep by which rules handoffs are offered, and were."""
    op.create_table(
        "routing_version",
        Column("tenant", Text, primary_key=True),
        Column("version", BigInt, primary_key=True, autoincrement=False),
        Column("routing", LargeBinary, nullable=False),
        ForeignKeyConstraint(["tenant"], ["tenant.tenant"]),
    )


def _leads() -> None:
    """Keep people, by what they are recognised, and every submission's key."""
    op.create_table(
        "lead_person",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("wrapped_key", LargeBinary),
        Column("sealed_contact", LargeBinary),
        Column("erase_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "lead_match",
        Column("tenant", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("record_time", UtcMicros, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("lead_match_by_lead", "lead_match", ["tenant", "lead"])
    op.create_table(
        "submission",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        Column("external_digest", LargeBinary, primary_key=True),
        Column("revision", BigInt, primary_key=True),
        Column("lead", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("sealed_external_id", LargeBinary),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _handoffs() -> None:
    op.create_table(
        "handoff",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("version", BigInt, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("source_system", Text, nullable=False),
        Column("external_digest", LargeBinary, nullable=False),
        Column("account", LargeBinary),
        Column("revision", BigInt, nullable=False),
        Column("submit_time", UtcMicros, nullable=False),
        Column("update_time", UtcMicros, nullable=False),
        Column("owner", Text, nullable=False),
        Column("queue", Text, nullable=False),
        Column("tried", Text, nullable=False),
        Column("archived", _Flag, nullable=False),
        Column("historical", _Flag, nullable=False),
        Column("follow_up_count", BigInt, nullable=False),
        Column("accept_time", UtcMicros),
        Column("first_follow_up_time", UtcMicros),
        Column("close_time", UtcMicros),
        Column("recycle_until_time", UtcMicros),
        Column("reason_code", Text, nullable=False),
        Column("accountable_party", Text),
        Column("evidence", Text, nullable=False),
        Column("opportunity", Text, nullable=False),
        Column("kept_lead", Text, nullable=False),
        Column("kept_number", BigInt, nullable=False),
        Column("previous_number", BigInt, nullable=False),
        Column("source", Text),
        Column("source_channel", BigInt, nullable=False),
        Column("campaign", Text, nullable=False),
        Column("landing_page", Text, nullable=False),
        Column("segment", Text, nullable=False),
        Column("region", Text, nullable=False),
        Column("product", Text, nullable=False),
        Column("lead_type", Text, nullable=False),
        Column("definition", Text, nullable=False),
        Column("language", Text, nullable=False),
        Column("score", BigInt),
        Column("value_currency_code", Text),
        Column("value_minor_units", MinorUnits),
        Column("inquire_time", UtcMicros),
        Column("qualify_time", UtcMicros),
        Column("offer_number", BigInt, nullable=False),
        Column("offer_assignee", Text, nullable=False),
        Column("offer_state", BigInt),
        Column("offer_time", UtcMicros),
        Column("offer_expire_time", UtcMicros),
        Column("offer_end_time", UtcMicros),
        Column("routing_version", BigInt, nullable=False),
        Column("rule_id", Text, nullable=False),
        Column("passed_over", Text, nullable=False),
        Column("claim_advance", BigInt, nullable=False),
        Column("claim_value", BigInt, nullable=False),
        Column("claim_score", BigInt, nullable=False),
        Column("claim_time", UtcMicros, nullable=False),
        Column("next_due_time", UtcMicros),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "handoff_by_kept_lead",
        "handoff",
        ["tenant", "kept_lead"],
        sqlite_where=text("kept_lead <> ''"),
        postgresql_where=text("kept_lead <> ''"),
    )
    op.create_index(
        "handoff_by_account",
        "handoff",
        ["tenant", "account", "state"],
        sqlite_where=text("account IS NOT NULL AND owner <> '' AND state BETWEEN 3 AND 7"),
        postgresql_where=text("account IS NOT NULL AND owner <> '' AND state BETWEEN 3 AND 7"),
    )
    op.create_index(
        "handoff_leased",
        "handoff",
        ["offer_expire_time"],
        sqlite_where=text("offer_state = 1 AND offer_expire_time IS NOT NULL"),
        postgresql_where=text("offer_state = 1 AND offer_expire_time IS NOT NULL"),
    )
    op.create_index(
        "handoff_offered",
        "handoff",
        [
            "tenant",
            "offer_assignee",
            "claim_time",
            text("claim_value DESC"),
            text("claim_score DESC"),
            "submit_time",
        ],
        sqlite_where=text("offer_state = 1"),
        postgresql_where=text("offer_state = 1"),
    )
    nobodys = text(
        "archived = false AND ((state = 2 AND coalesce(offer_state, 0) <> 1)"
        " OR (state IN (3, 4, 5, 6) AND owner = ''))"
    )
    op.create_index("handoff_nobodys", "handoff", ["tenant"], sqlite_where=nobodys, postgresql_where=nobodys)
    op.create_index(
        "handoff_unrouted",
        "handoff",
        ["submit_time"],
        sqlite_where=text("state = 1 AND archived = false"),
        postgresql_where=text("state = 1 AND archived = false"),
    )


def _handoff_lists() -> None:
    """Keep handoffs in the orders in which they are listed."""
    newest = ["submit_time", "lead", "number"]
    owned, queued = text("owner <> ''"), text("queue <> ''")
    offered, due = text("offer_state = 1"), text("next_due_time IS NOT NULL")
    op.create_index("handoff_by_time", "handoff", ["tenant", *newest])
    op.create_index("handoff_by_state", "handoff", ["tenant", "state", "archived", *newest])
    for name, columns, where in (
        ("handoff_by_owner", ["owner", "state", *newest], owned),
        ("handoff_by_queue", ["queue", *newest], queued),
        ("handoff_by_due", ["next_due_time", "lead", "number"], due),
        ("handoff_by_owner_due", ["owner", "next_due_time", "lead", "number"], due),
        ("handoff_by_expiry", ["offer_expire_time", "lead", "number"], offered),
        ("handoff_by_assignee", ["offer_assignee", "offer_expire_time", "lead", "number"], offered),
    ):
        op.create_index(name, "handoff", ["tenant", *columns], sqlite_where=where, postgresql_where=where)


def _work() -> None:
    """Keep what was done on a handoff and what came of it."""
    op.create_table(
        "follow_up",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("follow_up", Text, primary_key=True),
        Column("person", Text, nullable=False),
        Column("channel", BigInt, nullable=False),
        Column("occur_time", UtcMicros, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("grade", BigInt, nullable=False),
        Column("contact", _Flag, nullable=False),
        Column("external_id", Text, nullable=False),
        Column("outcome", BigInt, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "follow_up_by_external_id",
        "follow_up",
        ["tenant", "lead", "number", "external_id"],
        unique=True,
        sqlite_where=text("external_id <> ''"),
        postgresql_where=text("external_id <> ''"),
    )
    op.create_index("follow_up_by_time", "follow_up", ["tenant", "lead", "number", "occur_time", "follow_up"])
    op.create_table(
        "opportunity",
        Column("tenant", Text, primary_key=True),
        Column("opportunity", Text, primary_key=True),
        Column("lead", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("version", BigInt, nullable=False),
        Column("state", BigInt, nullable=False),
        Column("owner", Text, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        Column("close_time", UtcMicros),
        Column("amount_currency_code", Text),
        Column("amount_minor_units", MinorUnits),
        Column("probability_percent", BigInt),
        Column("expected_close_date", Text),
        Column("reason_code", Text, nullable=False),
        Column("external_id", Text, nullable=False),
        Column("stage", Text, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("opportunity_by_handoff", "opportunity", ["tenant", "lead", "number"])
