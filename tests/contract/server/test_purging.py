"""Answers kept for repeated requests go when their time is over, however many there are."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, MetaData, func, select

from smarketing.server.idempotency import (
    RETENTION,
    IdempotencyKey,
    IdempotencyRecord,
    define_idempotency,
    keep_records,
)
from smarketing.server.purging import purge_for_ever
from smarketing.sql import Writer
from tests.builders.stores import a_database

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.usefixtures("each_store")
async def test_a_backlog_of_records_is_purged_in_one_go_and_the_young_ones_stay() -> None:
    metadata = MetaData()
    table = define_idempotency(metadata)
    now = NOON

    def keep(connection: Connection, counts: Sequence[int], at: datetime) -> Sequence[int]:
        records = [
            IdempotencyRecord(IdempotencyKey("t", "p", "/m", f"{at.isoformat()}-{number}"), b"f", b"r")
            for number in range(counts[0])
        ]
        keep_records(table, connection, records, now=at)
        return counts

    with a_database("kept_answers", metadata.create_all) as database:
        async with Writer(database, now=lambda: now) as writer:
            await writer.run(keep, [2500])
            now = NOON + RETENTION + timedelta(seconds=1)
            await writer.run(keep, [7])
            purged = asyncio.Event()
            task = asyncio.create_task(purge_for_ever(writer, table, succeeded=purged.set))
            async with asyncio.timeout(10):
                await purged.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            left = await writer.read(
                lambda connection: connection.scalar(select(func.count()).select_from(table))
            )

    assert left == 7
