"""A back-test of clocks that were moved to other versions while they ran."""

from datetime import timedelta

import pytest

from services.sla.store.tx import SlaTx
from services.sla.usecases.reassess import Reassess, reassess
from smarketing.businesstime import Calendar
from tests.builders.sla_engine import MONDAY_NINE, REP, WARN_AT_HALF, Engine, a_promise, some_terms
from tests.unit.sla_engine.test_backtest import other_terms, walk_through


@pytest.fixture
def engine() -> Engine:
    return Engine()


def move_to_what_is_in_force(engine: Engine) -> None:
    request = Reassess(name=engine.clock().name, etag="", actor=REP)
    with engine.database.writer_engine.begin() as connection:
        reassess(engine.archive, SlaTx(connection, engine.archive, now=engine.now), [request], now=engine.now)


def test_a_clock_that_was_moved_to_another_version_and_calendar_is_moved_again(engine: Engine) -> None:
    engine.agree(some_terms(a_promise(steps=[WARN_AT_HALF])))
    engine.submit()
    engine.assign()
    engine.advance(hours=1)
    engine.agree(some_terms(a_promise(target=6, steps=[WARN_AT_HALF])))
    engine.make_calendar(Calendar.of("Asia/Seoul", {"mon": [["09:00", "11:00"], ["13:00", "18:00"]]}))
    move_to_what_is_in_force(engine)
    for _ in range(9):
        engine.advance(hours=1)
        engine.sweep()

    # Six hours from nine, without the two over noon.
    assert engine.clock().breach_time == MONDAY_NINE + timedelta(hours=8)
    walk, differences = walk_through(engine)
    assert (walk.totals.unreproduced, differences) == (0, [])
    # What is supposed holds for all clocks, moved or not.
    (difference,) = walk_through(engine, terms=other_terms(12, WARN_AT_HALF))[1]
    assert difference.would is not None
    assert difference.would.clock.breach_time is None
