"""The tables of the sla service, with those of the library that live in the same database."""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy import text as sql_text

from services.sla.store.period_schema import define_periods
from services.sla.store.promise_schema import define_promises
from smarketing.delivery import define_tables as define_delivery
from smarketing.eventlog.tables import define_tables as define_eventlog
from smarketing.server.commands import define_commands
from smarketing.server.directory import define_directory
from smarketing.sql import BigInt, UtcMicros
from smarketing.sql.leases import define_leases

metadata: Final = MetaData()
eventlog_tables: Final = define_eventlog(metadata)
command_tables: Final = define_commands(metadata)
directory_tables: Final = define_directory(metadata)
delivery_tables: Final = define_delivery(metadata)
lease: Final = define_leases(metadata)
promise_tables: Final = define_promises(metadata)
period_tables: Final = define_periods(metadata)

agreement_version: Final = Table(
    "agreement_version",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("agreement", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    # The terms as proposed; written once.
    Column("terms", LargeBinary, nullable=False),
    Column("propose_time", UtcMicros, nullable=False),
    Column("activate_time", UtcMicros),
    Column("effective_time", UtcMicros),
    Column("retire_time", UtcMicros),
    sqlite_strict=True,
)

agreement_acceptance: Final = Table(
    "agreement_acceptance",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("agreement", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("party", Text, primary_key=True),
    Column("principal", Text, nullable=False),
    Column("accept_time", UtcMicros, nullable=False),
    sqlite_strict=True,
)

calendar_version: Final = Table(
    "calendar_version",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("calendar", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("create_time", UtcMicros, nullable=False),
    Column("tzdata_version", Text, nullable=False),
    sqlite_strict=True,
)

leave: Final = Table(
    "leave",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("leave", Text, primary_key=True),
    Column("start_time", UtcMicros, nullable=False),
    Column("end_time", UtcMicros, nullable=False),
    Column("cancel_time", UtcMicros),
    sqlite_strict=True,
)
Index("leave_by_end", leave.c.tenant, leave.c.end_time)

# Lists of holidays, drawn up and looked through; the dates that count stand in the calendar versions.
holiday_review: Final = Table(
    "holiday_review",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("calendar", Text, primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_strict=True,
)

# Calendars of teams' and people's own; an empty version means none from then on.
calendar_assignment: Final = Table(
    "calendar_assignment",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("holder", Text, primary_key=True),
    Column("effective_time", UtcMicros, primary_key=True),
    Column("calendar_version", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("create_time", UtcMicros, nullable=False),
    sqlite_strict=True,
)

# Who answers for a queue; people and teams are in the directory's own tables.
queue: Final = Table(
    "queue",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("manager", Text, nullable=False),
    sqlite_strict=True,
)

# Versions of the MQL definition that were ever in force, as the leads log says.
mql_definition: Final = Table(
    "mql_definition",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("definition", Text, primary_key=True),
    Column("title", Text, nullable=False),
    sqlite_strict=True,
)

# What happened to each handoff. Its rows lie side by side, because they are only ever read together.
fact: Final = Table(
    "fact",
    metadata,
    Column("handoff", Text, primary_key=True),
    Column("position", BigInt, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("occur_time", UtcMicros, nullable=False),
    Column("record_time", UtcMicros, nullable=False),
    Column("person", Text),
    Column("team", Text),
    # The person or queue that has the handoff from then on.
    Column("assignee", Text),
    Column("grade", Text),
    Column("reason", Text),
    Column("attributes", Text),
    Column("is_history", Integer, nullable=False),
    Column("is_archived", Integer, nullable=False),
    Column("channel", Text),
    Column("is_contact", Integer, nullable=False, server_default=sql_text("0")),
    Column("until_time", UtcMicros),
    # The handoff on which it happened, where that is another one that this goes on for.
    Column("source", Text),
    # Of a pause: the commitment, and which of its clocks.
    Column("commitment_id", Text),
    Column("about", BigInt),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

clock: Final = Table(
    "clock",
    metadata,
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
    # NULL when nothing will happen by itself, and while quarantined.
    Column("next_time", UtcMicros),
    # Which of the handoff's clocks of the commitment; 0 where there can be one only.
    Column("origin", BigInt, nullable=False, server_default=sql_text("0")),
    Column("attempts", Integer, nullable=False),
    Column("quarantine_time", UtcMicros),
    sqlite_strict=True,
)
# Only clocks that will still do something by themselves: looking for what is due costs what is due.
Index(
    "clock_due",
    clock.c.next_time,
    sqlite_where=sql_text("next_time IS NOT NULL"),
    postgresql_where=sql_text("next_time IS NOT NULL"),
)
Index(
    "clock_by_handoff",
    clock.c.handoff,
    clock.c.agreement,
    clock.c.commitment_id,
    clock.c.origin,
    unique=True,
)
Index("clock_by_due", clock.c.tenant, clock.c.due_time, clock.c.id)
Index("clock_by_owner", clock.c.tenant, clock.c.owner, clock.c.due_time)
# What the gauges count: open clocks only, few beside all there ever were.
Index(
    "clock_open",
    clock.c.tenant,
    clock.c.commitment_id,
    sqlite_where=sql_text("end_time IS NULL"),
    postgresql_where=sql_text("end_time IS NULL"),
)

# What can be said of a clock once in a cycle, said: the last guard behind the generation.
clock_said: Final = Table(
    "clock_said",
    metadata,
    Column("clock", Text, primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("what", Text, primary_key=True),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Totals that metrics show: kept with the events they count, so they neither fall nor start anew.
tally: Final = Table(
    "tally",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("commitment_id", Text, primary_key=True),
    Column("team", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("count", BigInt, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

alert: Final = Table(
    "alert",
    metadata,
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
    # What it is of, where it is of no clock, and by which version it was found.
    Column("topic", Text, nullable=False, server_default=sql_text("''")),
    Column("agreement_version", Text, nullable=False, server_default=sql_text("''")),
    sqlite_strict=True,
)
Index("alert_by_clock", alert.c.clock)
Index(
    "alert_of_topic",
    alert.c.tenant,
    alert.c.topic,
    alert.c.commitment_id,
    sqlite_where=sql_text("topic <> ''"),
    postgresql_where=sql_text("topic <> ''"),
)
Index("alert_newest", alert.c.tenant, alert.c.create_time, alert.c.id)

# By which way a person is told. The address itself is sealed, beside those of webhooks.
alert_channel: Final = Table(
    "alert_channel",
    metadata,
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

# Whom an alert is still to reach; gone once their message is in the queue, so it holds only what waits.
alert_notice: Final = Table(
    "alert_notice",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("way", Text, primary_key=True),
    Column("alert", Text, primary_key=True),
    # The alert's revision: a reminder is another message than the first.
    Column("round", Integer, nullable=False),
    # The person whose place it is, where somebody covers.
    Column("instead_of", Text, nullable=False),
    Column("ready_time", UtcMicros, nullable=False),
    Column("is_urgent", Integer, nullable=False),
    sqlite_strict=True,
)
Index("alert_notice_ready", alert_notice.c.ready_time)
Index("alert_notice_by_alert", alert_notice.c.tenant, alert_notice.c.alert)

# Handoffs still to be looked at because a version took effect in the past: a cursor, so a restart goes on.
replay: Final = Table(
    "replay",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("after_handoff", Text, nullable=False),
    sqlite_strict=True,
)
