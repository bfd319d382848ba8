"""What a question reads: what is not done, missed or packed in buckets, never every clock or handoff."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from services.reports.domain.clocks import ClockChange
from services.reports.domain.periods import Period
from services.reports.domain.responses import Measure
from services.reports.store.figures import Figures
from services.reports.store.fold import LeadWord
from services.reports.store.listings import Listings
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, submitted

_NOW = at(days=30)
_MARCH = Period.month(2026, 3)


def _question() -> Question:
    return Question(tenant=TENANT, period=_MARCH, now=_NOW)


def _overdue(ledger: Ledger, connection: Connection) -> None:
    Listings(ledger.tables).overdue(connection, TENANT, now=_NOW, party="", limit=10)


def _due_next(ledger: Ledger, connection: Connection) -> None:
    Listings(ledger.tables).due_next(connection, TENANT, now=_NOW, party="", limit=10)


def _late_by(ledger: Ledger, connection: Connection) -> None:
    Figures(Queries(ledger.tables)).query(connection, "S26", _question(), None)


def _backlog_age(ledger: Ledger, connection: Connection) -> None:
    Figures(Queries(ledger.tables)).query(connection, "S22", _question(), None)


def _waits(ledger: Ledger, connection: Connection) -> None:
    many = ResponseQueries(Queries(ledger.tables), most_single_items=-1)
    many.items(connection, _question(), Measure.BUYER_FIRST_FOLLOW_UP)


def _plans(asked: Callable[[Ledger, Connection], None], *words: LeadWord) -> str:
    """Return how SQLite goes about all that a question asks, once the words are folded in."""
    found: list[str] = []
    with a_ledger() as ledger:
        ledger.leads(*words)
        found += _plans_in(ledger, asked)
    return "\n".join(found)


def _plans_in(ledger: Ledger, asked: Callable[[Ledger, Connection], None]) -> list[str]:
    found: list[str] = []
    with ledger.database.reading() as connection:

        def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.extend(row[3] for row in cursor.fetchall())

        event.listen(connection, "before_cursor_execute", explain)
        asked(ledger, connection)
    return found


@pytest.mark.usefixtures("on_sqlite")
@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (_overdue, "clock_fact_undone"),
        (_due_next, "clock_fact_undone"),
        (_late_by, "clock_fact_missed"),
    ],
)
def test_a_list_walks_the_index_of_what_it_lists_alone(
    asked: Callable[[Ledger, Connection], None], index: str
) -> None:
    plans = _plans(asked)

    assert index in plans
    assert "SCAN" not in plans
    assert "TEMP B-TREE" not in plans


@pytest.mark.usefixtures("on_sqlite")
def test_the_age_of_a_backlog_is_read_from_sums_and_from_the_open_handoffs_of_a_day() -> None:
    plans = _plans(_backlog_age, submitted())

    assert "tally_rollup USING PRIMARY KEY" in plans
    assert "handoff_fact_open (tenant=? AND open_since>? AND open_since<?)" in plans
    assert "SCAN" not in plans


@pytest.mark.usefixtures("on_sqlite")
def test_opportunities_of_void_handoffs_are_found_by_an_index_of_these_alone() -> None:
    def asked(ledger: Ledger, connection: Connection) -> None:
        Figures(Queries(ledger.tables)).query(connection, "P2", _question(), None)

    assert "handoff_fact_void_deals (tenant=? AND void_time>?)" in _plans(asked)


@pytest.mark.usefixtures("on_sqlite")
def test_opportunities_with_a_touchpoint_are_found_by_their_names() -> None:
    def asked(ledger: Ledger, connection: Connection) -> None:
        Figures(Queries(ledger.tables)).query(connection, "P15.influenced", _question(), None)

    assert "SEARCH opportunity_fact USING INDEX sqlite_autoindex_opportunity_fact_1" in _plans(asked)


def test_of_many_handoffs_only_buckets_are_read() -> None:
    plans = _plans(_waits)

    assert "waiting_rollup" in plans
    assert "handoff_fact" not in plans


def test_a_thousand_waits_of_one_length_are_one_row_a_day_and_one_a_month() -> None:
    with a_ledger() as ledger:
        ledger.leads(*(submitted(number, inquire_time=at(hours=-1)) for number in range(1, 1001)))
        rows = [row for row in ledger.content()["waiting_rollup"] if row[1] == Measure.FRESHNESS.value]

    assert len(rows) == 2


def test_a_clock_that_a_merge_made_void_runs_on_after_its_way_back() -> None:
    with a_ledger() as ledger:
        ledger.sla(
            clock_event(ClockChange.STARTED, at()),
            clock_event(ClockChange.VOIDED, at(hours=1)),
            clock_event(ClockChange.REOPENED, at(hours=2)),
        )
        with ledger.database.reading() as connection:
            listed = Listings(ledger.tables).overdue(connection, TENANT, now=_NOW, party="", limit=10)

    assert len(listed) == 1
