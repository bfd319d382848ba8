"""Looking through many clocks costs what is found, not what there is."""

from datetime import timedelta

import pytest

from services.sla.store.clocks import ClockFilter, page_of_clocks
from services.sla.store.forecasts import DueQuarter, due_quarters
from services.sla.store.moves import CalendarMove, clocks_behind
from smarketing.sql import to_micros
from tests.builders.many_clocks import FIRST, counting_steps, put_copies, put_first
from tests.builders.sla_engine import OTHER_REP, Engine

QUARTER = timedelta(minutes=15)


def test_clocks_of_one_quarter_of_an_hour_are_one_row_however_many_they_are() -> None:
    engine = Engine()
    engine.agree()
    put_first(engine)
    due = engine.clock().due_time
    engine.advance(hours=5)
    engine.sweep()
    with engine.database.writer_engine.begin() as connection:
        # With the first one, 900 in one quarter: the last is due in its last second.
        put_copies(connection, 1, 899, later=timedelta(seconds=1), spacing=timedelta(seconds=1))
        put_copies(connection, 900, 904, later=QUARTER, spacing=timedelta(minutes=1))

        found = due_quarters(connection, "default", due, due + timedelta(days=1))

    def quarter(number: int, clocks: int) -> DueQuarter:
        return DueQuarter(
            agreement="main",
            commitment_id="first-follow-up",
            start=due + number * QUARTER,
            due=clocks,
            missed=clocks,
        )

    assert sorted(found, key=lambda each: each.start) == [quarter(0, 900), quarter(1, 5)]


def test_a_year_moves_its_clocks_without_looking_at_those_before_its_place() -> None:
    before, behind = 5_000, 3
    engine = Engine()
    engine.agree()
    put_first(engine)
    place = engine.clock().due_time + timedelta(days=1)
    with engine.database.writer_engine.begin() as connection:
        put_copies(connection, 1, before, later=timedelta(), spacing=timedelta(seconds=1))
        put_copies(
            connection,
            before + 1,
            before + behind,
            later=timedelta(days=1, seconds=1),
            spacing=timedelta(seconds=1),
        )
        move = CalendarMove(
            tenant="default",
            calendar="office",
            year=place.year,
            calendar_version="",
            principal="",
            after_due_time=place,
        )
        with counting_steps(connection) as steps:
            found = clocks_behind(connection, move, limit=10)

    assert len(found) == behind
    # Each clock that is only passed over takes the database a step at least.
    assert steps[0] < before


def test_a_page_far_behind_is_found_without_looking_at_those_in_front_of_it() -> None:
    before, page = 5_000, 3
    engine = Engine()
    engine.agree()
    put_first(engine)
    last_seen = engine.clock().due_time + timedelta(seconds=before)
    with engine.database.writer_engine.begin() as connection:
        put_copies(connection, 1, before + page, later=timedelta(seconds=1), spacing=timedelta(seconds=1))
        # Behind every id, so that what is due at that very instant was seen as well.
        after = [to_micros(last_seen), "\U0010ffff"]

        with counting_steps(connection) as steps:
            found = page_of_clocks(connection, "default", ClockFilter(), limit=10, after=after)

    assert [each.due_time for each in found] == [
        last_seen + timedelta(seconds=number) for number in range(1, page + 1)
    ]
    assert steps[0] < before


@pytest.mark.parametrize("wanted", [ClockFilter(handoff=FIRST), ClockFilter(owner=OTHER_REP)])
def test_the_clocks_of_one_handoff_or_owner_are_found_without_looking_at_all_others(
    wanted: ClockFilter,
) -> None:
    others = 5_000
    engine = Engine()
    engine.agree()
    put_first(engine)
    with engine.database.writer_engine.begin() as connection:
        put_copies(connection, 1, others, later=timedelta(seconds=-others), spacing=timedelta(seconds=1))
    engine.assign(FIRST, to=OTHER_REP)

    with engine.database.reading() as connection, counting_steps(connection) as steps:
        found = page_of_clocks(connection, "default", wanted, limit=10, after=None)

    assert [clock.handoff for clock in found] == [FIRST]
    assert steps[0] < others
