"""Rules of the read model of `reports` where the logs are divided among replicas."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData

from services.reports.domain.periods import micros_of
from services.reports.store.fold import Folded, ReadModel
from services.reports.store.queries import Queries
from services.reports.store.schema import define_tables as define_reports
from services.reports.store.snapshots import places_in
from smarketing import wallclock
from smarketing.eventlog.checkpoints import Checkpoint, put_checkpoint
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.group import ConsumerGroup
from smarketing.eventlog.partitions import Partition
from smarketing.eventlog.tables import define_tables
from smarketing.sql import Writer, open_database
from tests.builders import postgres

pytestmark = pytest.mark.timeout(60)

META = MetaData()
TABLES = define_reports(META)
define_tables(META)
THEN = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    async with AsyncExitStack() as stack:
        database = stack.enter_context(open_database(stack.enter_context(postgres.database())))
        with database.migrating() as connection:
            META.create_all(connection)
        yield await stack.enter_async_context(Writer(database, now=wallclock.utc_now))


def a_group(writer: Writer, count: int) -> ConsumerGroup:
    """Return the consumers of the leads log, which follow nothing here."""
    model = ReadModel(TABLES)

    def divided(connection: Connection, at: Checkpoint) -> None:
        assert at.record_time is not None
        model.divided_at(
            connection, Folded("leads", at.log_id, at.position, micros_of(at.record_time)), "leads"
        )

    def make(partition: Partition) -> Consumer:
        feed: Any = None
        return Consumer(
            "reports.leads",
            feed=feed,
            writer=writer,
            apply=lambda _connection, _events, _now: None,
            payload_types=[],
            now=wallclock.utc_now,
            partition=partition,
        )

    return ConsumerGroup("reports.leads", make, writer=writer, count=count, divided=divided)


async def stands_at(writer: Writer, member: str, position: int) -> None:
    """Let a member have folded in what is up to a position, of which the last event was its own."""

    def there(connection: Connection, requests: Sequence[None], now: datetime) -> Sequence[None]:
        put_checkpoint(
            connection,
            Checkpoint(
                consumer=f"reports.{member}",
                log_id="log",
                position=position,
                progress_time=now,
                attempts=0,
                record_time=THEN,
            ),
        )
        ReadModel(TABLES).note_progress(connection, Folded(member, "log", position, micros_of(THEN)))
        return requests

    await writer.run(there, [None])


async def folded(writer: Writer) -> list[tuple[str, int]]:
    """Return how far the logs are folded in, as answers say, and as a copy made now would."""
    said = await writer.read(Queries(TABLES).folded)
    return [(each.service, each.position) for each in said]


async def test_a_divided_log_is_folded_in_as_far_as_by_the_member_that_is_furthest_behind(
    writer: Writer,
) -> None:
    await stands_at(writer, "leads", 100)
    await a_group(writer, 2).divide()
    assert await folded(writer) == [("leads", 100)]
    await stands_at(writer, "leads.1of2", 500)
    assert await folded(writer) == [("leads", 100)]
    await stands_at(writer, "leads.0of2", 400)
    assert await folded(writer) == [("leads", 400)]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_log_that_is_divided_anew_is_folded_in_no_less_far(writer: Writer, count: int) -> None:
    await stands_at(writer, "leads", 100)
    await a_group(writer, 2).divide()
    for number in range(2):
        await stands_at(writer, f"leads.{number}of2", 500)
    await a_group(writer, count).divide()

    assert await folded(writer) == [("leads", 500)]
    logs, _ = await writer.read(lambda connection: places_in(connection, TABLES))
    assert logs["leads"].position == 500


async def test_of_a_log_that_is_divided_from_its_beginning_nothing_is_said_to_be_folded_in(
    writer: Writer,
) -> None:
    for member in ("leads", "leads.0of2", "sla"):
        await stands_at(writer, member, 100)

    def divided(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        ReadModel(TABLES).divided_at(connection, None, "leads")
        return requests

    await writer.run(divided, [None])
    assert await folded(writer) == [("sla", 100)]
