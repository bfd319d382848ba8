"""The tables of reports once more, folded from both logs from their beginning."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from services.reports.consumers.lead_events import PAYLOAD_TYPES as LEADS_TYPES
from services.reports.consumers.lead_events import LeadEvents
from services.reports.consumers.sla_events import PAYLOAD_TYPES as SLA_TYPES
from services.reports.consumers.sla_events import SlaEvents
from services.reports.store.database import SCHEMA
from services.reports.store.fold import ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from services.sla.store import schema
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import Checkpoint, find_place, list_group
from smarketing.eventlog.partitions import partitions
from smarketing.eventlog.reading import read
from smarketing.sql import Database, migrate, open_database
from tests.faults.harness.evidence import Log, Unsent

_MIGRATIONS: Final = "services.reports.store.migrations"
_BATCH: Final = 1_000

_Apply = Callable[[Connection, Sequence[eventlogpb.Event], datetime], None]
_Rows = dict[str, set[tuple[Any, ...]]]


def unlike_rebuilt(url: str, leads: Log, sla: Log) -> list[str]:
    """Return how the rows of reports, of which nothing runs, differ from a rebuild up to its positions."""
    with open_database(url) as database:
        kept = _rows(database)
        with database.reading() as connection:
            upto = {log: _reached(list_group(connection, f"reports.{log}")) for log in ("leads", "sla")}
    with Database.in_memory() as database:
        migrate(database, _MIGRATIONS)
        model = ReadModel(SCHEMA.reports)
        of_leads = LeadEvents(model, lambda _connection, _events: None)
        of_sla = SlaEvents(model, MarketingQuotas(SCHEMA.reports))
        _fold(database, of_leads.apply, list(filter(upto["leads"], leads.events)), LEADS_TYPES)
        _fold(database, of_sla.apply, list(filter(upto["sla"], sla.events)), SLA_TYPES)
        made = _rows(database)
    return list(_differences(kept, made))


def place_of(url: str, service: str, log: str) -> tuple[str, int] | None:
    """Return log id and position up to which a service, of which nothing runs, has followed a log."""
    # `leads` calls its consumer by the log alone.
    name = log if service == "leads" else f"{service}.{log}"
    with open_database(url, check=True) as database, database.reading() as connection:
        place = find_place(connection, name)
    return None if place is None else (place.log_id, place.position)


def _reached(members: Sequence[Checkpoint]) -> Callable[[eventlogpb.Event], bool]:
    """Return whether an event is among those that the consumer of its partition had behind it."""
    positions = {member.consumer: member.position for member in members}
    count = len(members)
    by_number = [
        positions[next(name for name in positions if name.endswith(f".{number}of{count}"))]
        for number in (range(count) if count > 1 else ())
    ] or list(positions.values())

    def is_behind(event: eventlogpb.Event) -> bool:
        number = next(part.number for part in partitions(count) if part.has(event.tenant))
        return event.position <= by_number[number]

    return is_behind


def stored_log(url: str) -> Log:
    """Read the log of a service of which nothing runs, from its rows."""
    events: list[eventlogpb.Event] = []
    with open_database(url) as database, database.reading() as connection:
        while True:
            page = read(connection, "tenants/-", after=len(events), limit=5_000)
            if not page.events:
                return Log(page.log_id, page.head_position, events)
            events += page.events


def unsent(url: str) -> list[Unsent]:
    """Return the messages that `sla`, of which nothing runs, has not settled."""
    message = schema.delivery_tables.message
    query = select(message).where(message.c.next_attempt_time.is_not(None))
    with open_database(url) as database, database.reading() as connection:
        rows: list[Any] = list(connection.execute(query))
    return [
        Unsent(
            alert=str(orjson.loads(row.payload).get("alert", "")),
            attempts=row.attempts,
            next_attempt_time=row.next_attempt_time,
            problem=row.last_problem,
        )
        for row in rows
    ]


def _fold(
    database: Database, apply: _Apply, events: Sequence[eventlogpb.Event], known: Collection[str]
) -> None:
    kinds = frozenset(known)
    for first in range(0, len(events), _BATCH):
        batch = events[first : first + _BATCH]
        told = [event for event in batch if event.payload.type_url.rpartition("/")[2] in kinds]
        if told:
            with database.writer_engine.begin() as connection:
                apply(connection, told, batch[-1].record_time.ToDatetime())


def _rows(database: Database) -> _Rows:
    # How far it is folded is in the checkpoints, and differs by events that say nothing to reports.
    progress = {SCHEMA.reports.folded_log, SCHEMA.reports.folded_tenant}
    with database.reading() as connection:
        return {
            table.name: {tuple(row) for row in connection.execute(select(table))}
            for table in SCHEMA.reports.read_model
            if table not in progress
        }


def _differences(kept: _Rows, made: _Rows) -> Iterator[str]:
    for name, rows in made.items():
        missing, extra = rows - kept[name], kept[name] - rows
        if missing or extra:
            example = next(iter(missing or extra))
            yield f"{name}: {len(missing)} rows missing, {len(extra)} too many, such as {example!r}"[:600]
