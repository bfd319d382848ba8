"""What SQLite and PostgreSQL name differently means the same on both."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Table, insert, select

from smarketing.sql import Database, UtcMicros, to_micros
from smarketing.sql.expressions import holds_bytes, in_micros

_metadata = MetaData()
_kept = Table("kept", _metadata, Column("at", UtcMicros, nullable=False), Column("said", LargeBinary))
LATE = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
INSTANTS = [datetime(2026, 3, 29, 1, 30, tzinfo=UTC) + timedelta(microseconds=123_457), LATE]


@pytest.fixture
def filled(database: Database) -> Database:
    with database.writer_engine.begin() as connection:
        _metadata.create_all(connection)
        connection.execute(insert(_kept), [{"at": at, "said": b"\x00about lead-1\xff"} for at in INSTANTS])
    return database


def test_an_instant_is_a_number_to_the_microsecond_in_a_statement_too(filled: Database) -> None:
    with filled.reading() as connection:
        found = connection.execute(select(in_micros(_kept.c.at)).order_by(_kept.c.at)).scalars().all()

    assert found == [to_micros(each) for each in INSTANTS]


@pytest.mark.parametrize(("part", "held"), [(b"lead-1\xff", True), (b"\x00about", True), (b"lead-2", False)])
def test_bytes_are_found_within_bytes(filled: Database, part: bytes, held: bool) -> None:
    with filled.reading() as connection:
        found = connection.execute(select(_kept.c.at).where(holds_bytes(_kept.c.said, part))).all()

    assert len(found) == (len(INSTANTS) if held else 0)
