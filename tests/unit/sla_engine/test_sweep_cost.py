"""What a sweep costs, counted in the steps of the database's own machine: the same on any computer."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from services.sla.store.due import DUE, due_clocks, next_due
from services.sla.usecases.sweep import sweep_batch
from smarketing.sql import Database
from tests.builders.many_clocks import counting_steps, put_copies, put_first
from tests.builders.sla_engine import AN_HOUR_AFTER, AT_DUE, MONDAY_NINE, Engine, a_promise, some_terms

SECOND = timedelta(seconds=1)
DUE_NOW = 20
"""With the first of all, which the others are copies of."""


def an_engine(open_clocks: int) -> Engine:
    """Return an engine with so many open clocks, of which twenty are due now."""
    engine = Engine(database=Database.in_memory())
    engine.agree(some_terms(a_promise(steps=(AT_DUE, AN_HOUR_AFTER))))
    put_first(engine)
    with engine.database.writer_engine.begin() as connection:
        put_copies(connection, 1, DUE_NOW - 1, later=timedelta(), spacing=timedelta())
        put_copies(connection, DUE_NOW, open_clocks - 1, later=timedelta(days=1), spacing=SECOND)
    engine.now = MONDAY_NINE + timedelta(hours=4) + SECOND
    return engine


@pytest.fixture(scope="module")
def few_and_many() -> tuple[Engine, Engine]:
    return an_engine(1_000), an_engine(20_000)


def _steps(engine: Engine) -> int:
    with engine.database.writer_engine.connect() as connection:
        with counting_steps(connection) as steps:
            swept = sweep_batch(connection, engine.archive, 256, now=engine.now)
        connection.rollback()
    assert swept == DUE_NOW
    return steps[0]


def test_a_sweep_takes_as_many_steps_among_twenty_thousand_open_clocks_as_among_a_thousand(
    few_and_many: tuple[Engine, Engine],
) -> None:
    few, many = map(_steps, few_and_many)

    # Counted in hundreds for each statement, and the trees of the indexes may be a page deeper.
    assert many <= few * 1.1 + 200


def test_to_look_for_what_is_due_takes_as_many_steps_whatever_is_open(
    few_and_many: tuple[Engine, Engine],
) -> None:
    seen = []
    for engine in few_and_many:
        with engine.database.reading() as connection, counting_steps(connection) as steps:
            for _ in range(100):
                next_due(connection)
                due_clocks(connection, now=engine.now, limit=256)
        seen.append(steps[0])

    assert seen[0] > 0
    assert seen[1] <= seen[0] * 1.1


def test_what_is_due_is_found_in_the_partial_index_without_sorting(
    few_and_many: tuple[Engine, Engine],
) -> None:
    with few_and_many[1].database.reading() as connection:
        sql = str(DUE.compile(dialect=connection.dialect)).replace("?", "1")
        plan = [row[3] for row in connection.execute(text("EXPLAIN QUERY PLAN " + sql))]
        index = connection.execute(text("SELECT sql FROM sqlite_master WHERE name = 'clock_due'"))
        definition = index.scalar_one()

    assert len(plan) == 1
    assert plan[0].startswith("SEARCH clock USING INDEX clock_due (next_time")
    assert definition.endswith("WHERE next_time IS NOT NULL")
