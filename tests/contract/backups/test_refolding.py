"""An operator's way to make the figures anew: they are those that the consumers made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.backups.manifest import BackupFaulty
from services.backups.refolding import refold, refold_now
from services.reports.consumers.lead_events import LeadEvents
from services.reports.consumers.sla_events import SlaEvents
from services.reports.store.database import SCHEMA
from services.reports.store.fold import ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.snapshots import SNAPSHOT_FOLDER
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.sla.v1 import events_pb2 as slaeventspb
from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint, put_checkpoint
from smarketing.eventlog.directory import fold_events
from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity, read
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import Database, from_micros, migrate, open_database
from smarketing.sql.snapshots import pinned
from tests.builders.long_log import long_log
from tests.builders.reports import MONDAY, TENANT, at, handoff

_LOGS = {"leads": "6f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c11", "sla": "7f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c22"}


def _database(folder: Path, service: str) -> Database:
    database = open_database(f"sqlite:///{folder / service}.db", check=False)
    migrate(database, f"services.{service}.store.migrations")
    return database


def _told(folder: Path, service: str, events: Sequence[NewEvent]) -> list[Any]:
    """Record events in the log of a service, and return them as a reader gets them."""
    with _database(folder, service) as database:
        with database.writer_engine.begin() as connection:
            ensure_identity(connection, new_log_id=lambda: _LOGS[service])
            append(connection, events, now=MONDAY)
        with database.reading() as connection:
            return read(connection, WHOLE_LOG, after=0, limit=10_000).events


def _of_leads() -> list[NewEvent]:
    told = [each.payload for each in long_log(400)]
    return [
        _event(TENANT, getattr(leadeventspb, each.TypeName().rpartition(".")[2]).FromString(each.value))
        for each in told
    ]


def _of_sla() -> list[NewEvent]:
    clock = slaeventspb.ClockFacts(clock=f"{TENANT}/clocks/c1", handoff=handoff(1), commitment_id="first")
    clock.due_time.FromMicroseconds(at(days=1))
    started = slaeventspb.ClockStarted(clock=clock)
    breached = slaeventspb.ClockBreached(clock=clock)
    return [_event(clock.clock, started), _event(clock.clock, breached)]


def _event(subject: str, payload: Any) -> NewEvent:
    return NewEvent(
        tenant=TENANT, subject=subject, occur_time=from_micros(at()), actor="tests", payload=payload
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the data folder of an installation whose reports has read everything."""
    leads, sla = _told(tmp_path, "leads", _of_leads()), _told(tmp_path, "sla", _of_sla())
    model = ReadModel(SCHEMA.reports)
    of_leads = LeadEvents(model, lambda connection, events: fold_events(SCHEMA.directory, connection, events))
    of_sla = SlaEvents(model, MarketingQuotas(SCHEMA.reports))
    with _database(tmp_path, "reports") as database, database.writer_engine.begin() as connection:
        for name, fold, events in (("leads", of_leads, leads), ("sla", of_sla, sla)):
            fold.apply(connection, events, MONDAY)
            place = Checkpoint(
                consumer=f"reports.{name}",
                log_id=_LOGS[name],
                position=len(events),
                progress_time=MONDAY,
                attempts=0,
                record_time=MONDAY,
            )
            put_checkpoint(connection, place)
    return tmp_path


def _content(folder: Path) -> dict[str, Any]:
    with _database(folder, "reports") as database, database.reading() as connection:
        found: dict[str, Any] = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in SCHEMA.reports.read_model
        }
        return found | {log: find_checkpoint(connection, f"reports.{log}") for log in _LOGS}


def test_figures_made_anew_at_once_are_those_that_the_consumers_made(folder: Path) -> None:
    before = _content(folder)
    with _database(folder, "reports") as database, database.writer_engine.begin() as connection:
        connection.execute(SCHEMA.reports.handoff_rollup.update().values(items=7))
        connection.execute(SCHEMA.reports.clock_fact.delete())

    assert refold_now(folder) == 402

    assert _content(folder) == before
    assert list(folder.glob("reports*refold*")) == []


def test_a_database_that_somebody_reads_is_not_replaced_under_their_eyes(folder: Path) -> None:
    before = _content(folder)
    with pinned(folder / "reports.db"), pytest.raises(BackupFaulty, match="being read"):
        refold_now(folder)
    emptied = _content(folder)

    # What is there is whole, and read from the beginning when reports starts, or by asking again.
    assert [emptied[log].position for log in _LOGS] == [0, 0]
    assert list(folder.glob("reports*refold*")) == []
    assert refold_now(folder) == 402
    assert _content(folder) == before


def test_where_a_log_is_not_at_hand_nothing_is_emptied(folder: Path) -> None:
    before = _content(folder)
    (folder / "sla.db").rename(folder / "elsewhere.db")

    with pytest.raises(BackupFaulty, match=r"sla\.db"):
        refold_now(folder)

    assert _content(folder) == before


def test_what_is_emptied_alone_is_read_when_reports_starts(folder: Path) -> None:
    copies = folder / SNAPSHOT_FOLDER
    copies.mkdir()
    (copies / "of the fold before.json").touch()

    refold(folder)

    assert not copies.exists()

    content = _content(folder)
    assert [content[log].position for log in _LOGS] == [0, 0]
    assert content["handoff_fact"] == content["handoff_rollup"] == []
