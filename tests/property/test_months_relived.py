"""Whatever a month brought: the same agreement, lived through once more, gives back what is on record."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from services.demo.first_start import MONTH, make_month
from services.sla.domain.recorded import Clock
from services.sla.domain.relive import is_same_course
from services.sla.store import schema
from services.sla.store.rows import CLOCK_COLUMNS, clock_of
from smarketing.sql import Database, open_database
from tests.builders.sla_month import a_month, relived

PROVE = int(os.environ.get("PROVE", "1"))
END = datetime(2026, 11, 20, 15, tzinfo=UTC)


def recorded(database: Database) -> dict[str, Clock]:
    query = select(*(schema.clock.columns[name] for name in CLOCK_COLUMNS))
    with database.reading() as connection:
        return {clock.id: clock for clock in map(clock_of, map(tuple, connection.execute(query)))}


def differing(database: Database, now: datetime) -> tuple[int, list[str]]:
    """Return how many clocks there are, and which of them do not come out as recorded."""
    known = recorded(database)
    again = {clock.id: clock for life in relived(database, now=now).values() for clock in life.clocks}
    wrong = known.keys() ^ again.keys()
    wrong |= {name for name in known.keys() & again.keys() if not is_same_course(known[name], again[name])}
    return len(known), sorted(wrong)


@pytest.mark.parametrize("seed", range(100, 100 + PROVE))
def test_every_clock_of_any_month_comes_out_as_recorded(seed: int) -> None:
    engine = a_month(20, seed=seed)
    count, wrong = differing(engine.database, engine.now)

    print(f"months relived: seed {seed}, {count} clocks, {len(wrong)} differ")  # noqa: T201 - figures of a proof
    assert count > 0
    assert wrong == []


@pytest.mark.skipif(PROVE == 1, reason="a whole month of the company takes half a minute: make prove")
def test_every_clock_of_the_companys_month_comes_out_as_recorded(tmp_path: Path) -> None:
    make_month(tmp_path / "month", seed=20, end=END, said=lambda _share: None, length=MONTH)
    with open_database(f"sqlite:///{tmp_path / 'month' / 'sla.db'}") as database:
        count, wrong = differing(database, END)

    print(f"the company's month: {count} clocks, {len(wrong)} differ")  # noqa: T201 - figures of a proof
    assert count > 1_000
    assert wrong == []
