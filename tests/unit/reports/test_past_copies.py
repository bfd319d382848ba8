"""Which copies of the read model are made and kept, and that a copy holds what was copied."""

import itertools
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, inspect, select

from services.reports.domain.as_of import REACH_DAYS, Place, kept_of
from services.reports.domain.clocks import ClockChange
from services.reports.store.fold import Folded, FoldedTenant
from services.reports.store.snapshots import Snapshots
from services.reports.usecases.snapshot_keeping import SnapshotPace
from smarketing.sql import StorageError, open_database
from tests.builders.reports import TENANT, Ledger, a_ledger, at, clock_event, submitted

_DAY = 86_400_000_000
_PACE = SnapshotPace(timedelta(days=1), 100)


def _kept_after(days: int) -> set[int]:
    """Return the copies that are left when one was made, and all thinned, on each of so many days."""
    kept: set[int] = set()
    for day in range(days):
        kept = kept_of(kept | {at(days=day)}, at(days=day))
    return kept


def test_two_years_of_daily_copies_leave_a_few_that_reach_over_thirteen_months() -> None:
    now = at(days=730)
    kept = sorted(_kept_after(731))

    assert len(kept) <= 27
    assert kept[0] <= now - REACH_DAYS * _DAY
    assert max(later - earlier for earlier, later in itertools.pairwise(kept)) <= 62 * _DAY


def test_a_copy_of_the_last_week_is_at_most_a_day_before_any_instant_of_it() -> None:
    recent = [time for time in sorted(_kept_after(100)) if time > at(days=92)]

    assert [later - earlier for earlier, later in itertools.pairwise(recent)] == [_DAY] * 6


@pytest.mark.parametrize(
    ("position", "record_time", "due"),
    [(10, at(hours=1), False), (10, at(days=1), True), (110, at(hours=1), True), (0, at(days=9), False)],
)
def test_a_copy_is_due_after_a_day_of_the_log_or_after_so_many_events(
    position: int, record_time: int, due: bool
) -> None:
    last = {"leads": Place("log", 0 if position == 0 else 5, at())}
    present = {"leads": Place("log", position, record_time)}

    assert _PACE.is_due(present, last) is due


def _tell(ledger: Ledger) -> None:
    ledger.leads(submitted(1), submitted(2, source=None))
    ledger.sla(clock_event(ClockChange.STARTED, at()))
    with ledger.database.writer_engine.begin() as connection:
        ledger.model.note_progress(
            connection, Folded("leads", "log", 2, at()), [FoldedTenant("leads", TENANT, "view", 2, at())]
        )


def test_a_copy_holds_every_row_and_every_index_of_the_read_model(tmp_path: Path) -> None:
    copies = Snapshots(tmp_path / "copies", schema="1", most_bytes=10**9)
    with a_ledger() as ledger:
        _tell(ledger)
        made = copies.make(ledger.database)
        expected = ledger.content()
        with ledger.database.reading() as connection:
            indexes = _indexes(connection, ledger.tables.read_model)
    assert made is not None
    assert copies.all() == [made]

    with copies.restore(made, tmp_path / "past.db") as database, database.reading() as connection:
        tables = ledger.tables.read_model
        found = {
            table.name: [
                tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in tables
        }
        assert found == expected
        assert _indexes(connection, tables) == indexes != set()


def _indexes(connection: Connection, tables: Iterable[Table]) -> set[str | None]:
    return {index["name"] for table in tables for index in inspect(connection).get_indexes(table.name)}


def test_a_copy_of_a_file_is_that_of_the_same_tables_in_memory(tmp_path: Path) -> None:
    copies = [Snapshots(tmp_path / name, schema="1", most_bytes=10**9) for name in ("memory", "file")]
    with a_ledger() as ledger, open_database(f"sqlite:///{tmp_path / 'live.db'}", check=False) as file:
        with file.writer_engine.begin() as connection:
            ledger.tables.metadata.create_all(connection)
        of_file = Ledger(file, ledger.tables, ledger.model)
        for each in (ledger, of_file):
            _tell(each)
        made = [copies[0].make(ledger.database), copies[1].make(file)]
        for number, snapshot in enumerate(made):
            assert snapshot is not None
            with copies[number].restore(snapshot, tmp_path / f"past{number}.db") as past:
                assert Ledger(past, ledger.tables, ledger.model).content() == ledger.content()


def test_copies_of_another_schema_are_not_seen_and_removed_when_others_are_thinned(tmp_path: Path) -> None:
    with a_ledger() as ledger:
        _tell(ledger)
        Snapshots(tmp_path, schema="1", most_bytes=10**9).make(ledger.database)
    newer = Snapshots(tmp_path, schema="2", most_bytes=10**9)

    assert newer.all() == []
    assert newer.thin(at(days=1)) == []
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_copies_go_first_where_they_take_too_much_room(tmp_path: Path) -> None:
    with a_ledger() as ledger:
        _tell(ledger)
        copies = Snapshots(tmp_path, schema="1", most_bytes=1)
        for day in (1, 2, 3):
            with ledger.database.writer_engine.begin() as connection:
                ledger.model.note_progress(connection, Folded("leads", "log", 2 + day, at(days=day)))
            copies.make(ledger.database)

    assert [each.time for each in copies.thin(at(days=3))] == [at(days=3)]


def test_a_database_that_cannot_be_copied_is_told_as_storage_that_fails(tmp_path: Path) -> None:
    copies = Snapshots(tmp_path / "copies", schema="1", most_bytes=10**9)
    path = tmp_path / "live.db"
    with (
        a_ledger() as ledger,
        open_database(f"sqlite:///{path}", check=False) as file,
        file.writer_engine.begin() as connection,
    ):
        ledger.tables.metadata.create_all(connection)
    path.write_bytes(b"no database" * 10_000)

    with pytest.raises(StorageError):
        copies.make(file)
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("in_file", [True, False])
def test_a_copy_that_is_given_up_leaves_nothing_behind(tmp_path: Path, in_file: bool) -> None:
    copies = Snapshots(tmp_path / "copies", schema="1", most_bytes=10**9)
    copies.give_up()
    with a_ledger() as ledger, open_database(f"sqlite:///{tmp_path / 'live.db'}", check=False) as file:
        with file.writer_engine.begin() as connection:
            ledger.tables.metadata.create_all(connection)
        told = Ledger(file, ledger.tables, ledger.model) if in_file else ledger
        _tell(told)
        with pytest.raises(InterruptedError):
            copies.make(told.database)

    assert copies.all() == []
    assert list((tmp_path / "copies").glob("*.gz")) == []
