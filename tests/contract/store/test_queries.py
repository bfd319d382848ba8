"""Rules of the queries beside the one writer, on every database."""

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Connection

from smarketing.sql import Database, ReadersBusy, Writer


async def test_a_failing_query_fails_its_caller_alone(writer: Writer) -> None:
    def failing(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await writer.read(failing)
    assert await writer.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one()) == 1
    assert writer.reading == 0


async def test_queries_beyond_the_bound_are_refused(
    database: Database, clock: Callable[[], datetime]
) -> None:
    opened = threading.Event()
    async with Writer(database, now=clock, max_reading=2) as writer:
        slow = [asyncio.ensure_future(writer.read(lambda _connection: opened.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(ReadersBusy):
            await writer.read(lambda _connection: None)

        opened.set()
        assert await asyncio.gather(*slow) == [True, True]
