"""What reports lets the database count, and copies of its tables, are the same on every database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from services.reports.domain.agreements import AgreementKnown, CalendarKnown, TenantSet
from services.reports.domain.clocks import ClockChange
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.kpis import KPIS
from services.reports.domain.labels import Dimension
from services.reports.domain.periods import Period
from services.reports.domain.responses import Measure
from services.reports.domain.words import Accepted, Closed, Offered, Rejected
from services.reports.store.figures import Figures
from services.reports.store.fold import Folded
from services.reports.store.late_clocks import LateClocks
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from services.reports.store.snapshots import Snapshots
from smarketing.businesstime import Calendar
from smarketing.businesstime.calendar import Window
from smarketing.sql import Database
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, handoff, submitted

_MARCH = Period.month(2026, 3)
_NOW = at(days=40)
_HOUR = 3_600_000_000
_GROUPS: tuple[tuple[Dimension, ...], ...] = (
    (),
    (Dimension.TEAM,),
    (Dimension.MONTH,),
    (Dimension.SOURCE, Dimension.MONTH),
)


def _tell(ledger: Ledger) -> None:
    ledger.leads(TenantSet(TENANT, "Asia/Seoul", "EUR"))
    ledger.sla(
        CalendarKnown("calendars/1", Calendar(zone="Etc/UTC", hours=((Window(0, 43_200),),) * 7)),
        AgreementKnown(TENANT, f"{TENANT}/agreements/main/versions/1", "active", "calendars/1", at(), ()),
    )
    for number in range(1, 13):
        start = at(hours=5 * number)
        ledger.leads(submitted(number, start, source=("expo", None)[number % 2], inquire_time=start - _HOUR))
        ledger.leads(Offered(TENANT, handoff(number), start + _HOUR, f"o{number}", "kim", ""))
        ledger.sla(*_clock_of(number, start))
        ledger.leads(*_end_of(number, start))
    with ledger.database.writer_engine.begin() as connection:
        ledger.model.note_progress(connection, Folded("leads", "log", 30, at(days=4)))


def _clock_of(number: int, start: int) -> Iterator[Any]:
    told = {"start_time": start, "due_time": start + 8 * _HOUR, "team": f"{TENANT}/teams/{number % 3}"}
    yield clock_event(ClockChange.STARTED, start, number, **told)
    if number % 4 == 1:
        yield clock_event(ClockChange.VOIDED, start + _HOUR, number, **told)
    if number % 4 == 2:
        yield clock_event(ClockChange.BREACHED, start + 8 * _HOUR, number, **told)
    if number % 8 == 2:
        yield clock_event(ClockChange.STOPPED_LATE, start + number * _HOUR, number, elapsed=_HOUR, **told)
    if number % 4 == 3:
        yield clock_event(ClockChange.PAUSED, start + 2 * _HOUR, number, **told)


def _end_of(number: int, start: int) -> Iterator[Any]:
    if number % 3:
        yield Accepted(TENANT, handoff(number), start + 2 * _HOUR, f"o{number}", "kim", "")
    if number % 5 == 0:
        yield Rejected(TENANT, handoff(number), start + 3 * _HOUR, "", "no", "sales")
    if number % 5 == 1:
        yield Closed(TENANT, handoff(number), start + 90 * _HOUR, True, "EUR", 900, "price", "")


def _answers(connection: Connection, queries: Queries) -> dict[str, Any]:
    found: dict[str, Any] = {}
    many = ResponseQueries(queries, most_single_items=-1)
    late = LateClocks(queries, most_single=-1)
    figures = Figures(queries, many)
    for group_by in _GROUPS:
        question = Question(tenant=TENANT, period=_MARCH, now=_NOW, group_by=group_by)
        for measure in Measure:
            items = many.items(connection, question, measure)
            found[f"{measure} {group_by}"] = {
                group: (sorted(each.items), sorted(each.counted), each.invalid_count)
                for group, each in items.items()
            }
    for group_by in ((), (Dimension.TEAM,)):
        question = Question(tenant=TENANT, period=_MARCH, now=_NOW, group_by=group_by)
        found[f"late {group_by}"] = sorted(late.late_by(connection, question))
        found[f"never {group_by}"] = sorted(late.never_served(connection, question))
    whole = Question(tenant=TENANT, period=_MARCH, now=_NOW)
    for kpi in KPIS.values():
        bases: tuple[Basis | None, ...] = kpi.bases or (None,)
        found[kpi.kpi_id] = [figures.query(connection, kpi.kpi_id, whole, basis) for basis in bases]
    found["scores"] = figures.scores(connection, whole)
    return found


@pytest.fixture
def told(database: Database) -> Ledger:
    with a_ledger() as like:
        ledger = Ledger(database, like.tables, like.model)
    with database.writer_engine.begin() as connection:
        ledger.tables.metadata.create_all(connection)
    _tell(ledger)
    return ledger


def test_every_figure_is_the_same_on_every_database(told: Ledger) -> None:
    with a_ledger() as ledger:
        _tell(ledger)
        with ledger.database.reading() as connection:
            expected = _answers(connection, Queries(ledger.tables))

    with told.database.reading() as connection:
        assert _answers(connection, Queries(told.tables)) == expected


def test_a_copy_is_the_same_of_every_database(told: Ledger, tmp_path: Path) -> None:
    copies = Snapshots(tmp_path / "copies", schema="1", most_bytes=10**9)
    made = copies.make(told.database)

    with copies.restore(made, tmp_path / "past.db") as past:
        assert Ledger(past, told.tables, told.model).content() == told.content()
