"""Every table of `leads`. The tenant leads every key; personal data stands in `lead_person` alone, sealed."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from services.leads.store import directory as directory_store
from services.leads.store.directory_schema import define_tables as define_directory_tables
from services.leads.store.identity_schema import IdentityTables
from services.leads.store.identity_schema import define_tables as define_identity_tables
from services.leads.store.intake_schema import IntakeTables
from services.leads.store.intake_schema import define_tables as define_intake_tables
from services.leads.store.list_indexes import define_list_indexes
from services.leads.store.privacy_schema import PrivacyTables
from services.leads.store.privacy_schema import define_tables as define_privacy_tables
from services.leads.store.routing_schema import RoutingTables
from services.leads.store.routing_schema import define_tables as define_routing_tables
from services.leads.store.scoring_schema import ScoringTables
from services.leads.store.scoring_schema import define_tables as define_scoring_tables
from services.leads.store.work_schema import WorkTables
from services.leads.store.work_schema import define_tables as define_work_tables
from smarketing.eventlog.tables import EventLogTables
from smarketing.eventlog.tables import define_tables as define_log_tables
from smarketing.server.commands import CommandTables, define_commands
from smarketing.server.directory import define_directory
from smarketing.sql import BigInt, MinorUnits, UtcMicros
from smarketing.sql.leases import define_leases

__all__ = ["NOBODYS", "SCHEMA", "UNROUTED", "LeadTables", "Schema"]

_Flag: Final = Boolean().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True)
class LeadTables:
    """What the handoff consists of."""

    lead_person: Table
    lead_match: Table
    submission: Table
    handoff: Table
    follow_up: Table
    opportunity: Table
    leave: Table
    clock_due: Table
    business_total: Table


@dataclass(frozen=True, slots=True)
class Schema:
    """The whole database."""

    metadata: MetaData
    leads: LeadTables
    work: WorkTables
    directory: directory_store.Tables
    identity: IdentityTables
    privacy: PrivacyTables
    routing: RoutingTables
    scoring: ScoringTables
    commands: CommandTables
    event_log: EventLogTables
    intake: IntakeTables


def _table(metadata: MetaData, name: str, *parts: Column[Any] | Index) -> Table:
    """Declare a table that lies in the order of its key."""
    return Table(name, metadata, *parts, sqlite_strict=True, sqlite_with_rowid=False)


def _lead_person(metadata: MetaData) -> Table:
    return _table(
        metadata,
        "lead_person",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("version", BigInt, nullable=False),
        Column("create_time", UtcMicros, nullable=False),
        # Absent once erased: without its key the rest is noise, in every backup too.
        Column("wrapped_key", LargeBinary),
        Column("sealed_contact", LargeBinary),
        Column("erase_time", UtcMicros),
    )


def _lead_match(metadata: MetaData) -> Table:
    """Say by what a lead is recognised: keyed digests, of which nobody can learn the address."""
    return _table(
        metadata,
        "lead_match",
        Column("tenant", Text, primary_key=True),
        Column("digest", LargeBinary, primary_key=True),
        # Several leads may share a switchboard's number, or an address for a while, and be told apart again.
        Column("lead", Text, primary_key=True),
        Column("record_time", UtcMicros, nullable=False),
        Index("lead_match_by_lead", "tenant", "lead"),
    )


def _submission(metadata: MetaData) -> Table:
    """Keep every submission's own key for ever, so that none ever counts twice."""
    return _table(
        metadata,
        "submission",
        Column("tenant", Text, primary_key=True),
        Column("source_system", Text, primary_key=True),
        # Senders use people's addresses as ids: what they said is sealed with the lead's key.
        Column("external_digest", LargeBinary, primary_key=True),
        Column("revision", BigInt, primary_key=True),
        Column("lead", Text, nullable=False),
        Column("number", BigInt, nullable=False),
        Column("record_time", UtcMicros, nullable=False),
        Column("sealed_external_id", LargeBinary),
        Index("submission_by_lead", "tenant", "lead"),
    )


_WAITING: Final = text("queue <> '' AND offer_state = 1")
_LEASED: Final = text("offer_state = 1 AND offer_expire_time IS NOT NULL")
UNROUTED: Final = text("state = 1 AND archived = false")
"""Nobody was offered it yet. Queries say it in the words of its index, and PostgreSQL knows no flag `0`."""
_KEPT: Final = text("kept_lead <> ''")
_ACCOUNT_OWNED: Final = text("account IS NOT NULL AND owner <> '' AND state BETWEEN 3 AND 7")
NOBODYS: Final = text(
    "archived = false AND ((state = 2 AND coalesce(offer_state, 0) <> 1)"
    " OR (state IN (3, 4, 5, 6) AND owner = ''))"
)
"""Open, not archived, and with nobody: offered to none, or worked by none."""


def _handoff(metadata: MetaData) -> Table:
    return _table(
        metadata,
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
        # A reference, which may name a person all the same: sealed with the lead's key.
        Column("sealed_evidence", LargeBinary),
        Column("opportunity", Text, nullable=False),
        Column("kept_lead", Text, nullable=False),
        Column("kept_number", BigInt, nullable=False),
        # Of the same lead; 0 when it follows none.
        Column("previous_number", BigInt, nullable=False),
        *_qualification_columns(),
        *_offer_columns(),
        *_claim_columns(),
        Column("next_due_time", UtcMicros),
        # Who is known as another lead by now.
        Index(
            "handoff_by_kept_lead",
            "tenant",
            "kept_lead",
            "kept_number",
            sqlite_where=_KEPT,
            postgresql_where=_KEPT,
        ),
        # Who has, or last won, something at a company.
        Index(
            "handoff_by_account",
            "tenant",
            "account",
            "state",
            sqlite_where=_ACCOUNT_OWNED,
            postgresql_where=_ACCOUNT_OWNED,
        ),
        *define_list_indexes(),
        # In the order in which a queue is taken from; what a person is offered does not wait in one.
        Index(
            "handoff_waiting",
            "tenant",
            "queue",
            "claim_time",
            text("claim_value DESC"),
            text("claim_score DESC"),
            "submit_time",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index("handoff_leased", "offer_expire_time", sqlite_where=_LEASED, postgresql_where=_LEASED),
        Index("handoff_unrouted", "submit_time", sqlite_where=UNROUTED, postgresql_where=UNROUTED),
        # Holds nothing as long as all is well: to look is to look into an empty index.
        Index("handoff_nobodys", "tenant", sqlite_where=NOBODYS, postgresql_where=NOBODYS),
    )


def _qualification_columns() -> list[Column[Any]]:
    texts = (
        "campaign",
        "landing_page",
        "segment",
        "region",
        "product",
        "lead_type",
        "definition",
        "language",
    )
    columns: list[Column[Any]] = [Column("source", Text), Column("source_channel", BigInt, nullable=False)]
    columns += [Column(name, Text, nullable=False) for name in texts]
    return [
        *columns,
        Column("score", BigInt),
        Column("value_currency_code", Text),
        Column("value_minor_units", MinorUnits),
        Column("inquire_time", UtcMicros),
        Column("qualify_time", UtcMicros),
        # By the tenant's own model; absent where none rated it.
        Column("rating_score", BigInt),
        Column("rating_band", Text),
        Column("rating_version", BigInt),
    ]


def _offer_columns() -> list[Column[Any]]:
    """Hold the open offer, or the last one; those before are in the log."""
    return [
        Column("offer_number", BigInt, nullable=False),
        Column("offer_assignee", Text, nullable=False),
        Column("offer_state", BigInt),
        Column("offer_time", UtcMicros),
        Column("offer_expire_time", UtcMicros),
        Column("offer_end_time", UtcMicros),
        Column("routing_version", BigInt, nullable=False),
        Column("rule_id", Text, nullable=False),
        Column("passed_over", Text, nullable=False),
    ]


def _claim_columns() -> list[Column[Any]]:
    """Hold by what a queue is ordered; nothing is absent, so that every database sorts them alike."""
    return [
        # How much sooner than it is due it is taken, for its value and score.
        Column("claim_advance", BigInt, nullable=False),
        Column("claim_value", BigInt, nullable=False),
        Column("claim_score", BigInt, nullable=False),
        # When it is next due, less the advance; the end of time when `sla` has said nothing.
        Column("claim_time", UtcMicros, nullable=False),
    ]


def _follow_up(metadata: MetaData) -> Table:
    given = text("external_digest IS NOT NULL")
    return _table(
        metadata,
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
        Column("external_digest", LargeBinary),
        Column("sealed_external_id", LargeBinary),
        Column("outcome", BigInt, nullable=False),
        Index("follow_up_by_time", "tenant", "lead", "number", "occur_time", "follow_up"),
        Index(
            "follow_up_by_external_id",
            "tenant",
            "lead",
            "number",
            "external_digest",
            unique=True,
            sqlite_where=given,
            postgresql_where=given,
        ),
    )


def _opportunity(metadata: MetaData) -> Table:
    return _table(
        metadata,
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
        Column("sealed_external_id", LargeBinary),
        Column("stage", Text, nullable=False),
        Index("opportunity_by_handoff", "tenant", "lead", "number"),
    )


def _leave(metadata: MetaData) -> Table:
    """Keep who is away, as the service `sla` says."""
    return _table(
        metadata,
        "leave",
        Column("tenant", Text, primary_key=True),
        Column("leave", Text, primary_key=True),
        Column("person", Text, nullable=False),
        Column("start_time", UtcMicros, nullable=False),
        Column("end_time", UtcMicros, nullable=False),
        Index("leave_by_end", "tenant", "end_time"),
    )


def _clock_due(metadata: MetaData) -> Table:
    """Keep when each running clock is due, as the service `sla` says."""
    return _table(
        metadata,
        "clock_due",
        Column("tenant", Text, primary_key=True),
        Column("lead", Text, primary_key=True),
        Column("number", BigInt, primary_key=True, autoincrement=False),
        Column("clock", Text, primary_key=True),
        Column("due_time", UtcMicros, nullable=False),
    )


def _business_total(metadata: MetaData) -> Table:
    """Count what happened, in the transaction in which it happened: totals that never fall."""
    return _table(
        metadata,
        "business_total",
        Column("tenant", Text, primary_key=True),
        Column("total", Text, primary_key=True),
        Column("label", Text, primary_key=True),
        Column("amount", BigInt, nullable=False),
    )


def _define() -> Schema:
    metadata = MetaData()
    commands = define_commands(metadata)
    define_leases(metadata)
    return Schema(
        metadata=metadata,
        routing=define_routing_tables(metadata),
        scoring=define_scoring_tables(metadata),
        privacy=define_privacy_tables(metadata),
        identity=define_identity_tables(metadata),
        commands=commands,
        event_log=define_log_tables(metadata),
        intake=define_intake_tables(metadata),
        work=define_work_tables(metadata),
        directory=directory_store.Tables(
            directory=define_directory_tables(metadata),
            mirror=define_directory(metadata),
            commands=commands,
        ),
        leads=LeadTables(
            lead_person=_lead_person(metadata),
            lead_match=_lead_match(metadata),
            submission=_submission(metadata),
            handoff=_handoff(metadata),
            follow_up=_follow_up(metadata),
            opportunity=_opportunity(metadata),
            leave=_leave(metadata),
            clock_due=_clock_due(metadata),
            business_total=_business_total(metadata),
        ),
    )


SCHEMA: Final = _define()
