"""What is told apart of what drivers say."""

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from smarketing.sql.engine import sqlite_driver
from smarketing.sql.errors import StorageCorrupt, storage_error_of
from smarketing.sql.postgres import refusal_in


def test_a_text_that_is_none_is_damage() -> None:
    connection = sqlite_driver().connect(":memory:")
    try:
        with pytest.raises(sqlite_driver().OperationalError) as told:
            connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchall()
    finally:
        connection.close()

    assert isinstance(storage_error_of(told.value), StorageCorrupt)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (
            'connection failed: FATAL:  permission denied for database "x"\nDETAIL:  No CONNECT privilege.',
            'permission denied for database "x"',
        ),
        ("connection failed: Connection refused\n\tIs the server running there?", ""),
    ],
)
def test_a_refusal_is_found_in_whatever_line_it_stands(said: str, refused: str) -> None:
    error: DBAPIError = OperationalError("connect", {}, psycopg.OperationalError(said))

    assert refusal_in(error) == refused
