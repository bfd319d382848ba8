"""Rules of following a log: every event once, in order, whatever fails (F24 to F28, promises P3 and P4)."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime

import pytest
from sqlalchemy import Connection

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import Checkpoint, list_checkpoints
from smarketing.eventlog.consumer import (
    ConsumerStopped,
)
from smarketing.sql import Database
from tests.contract.bus.carriers import BOTH
from tests.contract.bus.followers import Make, Noted, checkpoint, running
from tests.contract.bus.served_log import LOG_ID, NOON, ServedLog, keep, seen

pytestmark = [pytest.mark.timeout(40), BOTH]


async def test_every_event_is_applied_once_in_order_and_the_checkpoint_says_so(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
        await log.record("c")
        await consumer.wait_until(3)

        assert seen(follower) == [(1, "a"), (2, "b"), (3, "c")]
        assert (consumer.position, consumer.log_id, consumer.head_position) == (3, LOG_ID, 3)
        expected = Checkpoint(
            consumer="reports.leads",
            log_id=LOG_ID,
            position=3,
            progress_time=NOON,
            attempts=0,
            record_time=NOON,
        )
        assert checkpoint(follower) == expected
        with follower.reading() as connection:
            assert list_checkpoints(connection) == [expected]


async def test_a_new_process_goes_on_where_the_last_one_was(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
    await log.record("b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)

    assert seen(follower) == [(1, "a"), (2, "b")]


async def test_a_consumer_has_caught_up_when_it_applied_what_the_log_first_held(
    log: ServedLog, make: Make
) -> None:
    await log.record("a", "b", "c")
    caught_up_at: list[tuple[int, bool]] = []

    def look(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        keep(connection, events, now)
        caught_up_at.append((consumer.position, consumer.caught_up))

    async with running(consumer := make(look, batch_events=1)):
        assert not consumer.caught_up
        await consumer.wait_until(3)

        assert consumer.caught_up
        assert caught_up_at == [(0, False), (1, False), (2, False)]


async def test_a_long_log_is_caught_up_with_in_bounded_batches(
    log: ServedLog, follower: Database, make: Make
) -> None:
    for first in range(0, 3000, 1000):
        await log.record(*(str(number) for number in range(first, first + 1000)))
    sizes: list[int] = []

    def counting(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        sizes.append(len(events))
        keep(connection, events, now)

    observer = Noted()
    async with running(make(counting, batch_events=100, observer=observer)) as consumer:
        await consumer.wait_until(3000)

    assert [content for _, content in seen(follower)] == [str(number) for number in range(3000)]
    assert max(sizes) == 100
    assert (observer.handled, observer.gaps) == ({"applied": 3000}, 0)


async def test_a_consumer_that_is_told_to_stop_says_so_to_whoever_waits(log: ServedLog, make: Make) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
        waiting: Awaitable[None] = asyncio.ensure_future(consumer.wait_until(2))
        await asyncio.sleep(0)  # no wait: the loop turns once, and then it is waited for

    with pytest.raises(ConsumerStopped):
        await waiting


async def test_the_delay_of_an_event_runs_from_its_recording(log: ServedLog, make: Make) -> None:
    await log.record("a")
    observer = Noted()
    async with running(make(observer=observer)) as consumer:
        await consumer.wait_until(1)

    assert observer.delays == [0.0]
