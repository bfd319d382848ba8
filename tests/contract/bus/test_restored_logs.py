"""Rules of following a log that was restored or replaced: the consumer stops and says so."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest
from sqlalchemy import Connection

from smarketing.eventlog.checkpoints import reset_checkpoint
from smarketing.eventlog.feed import Feed, FeedBatch
from smarketing.eventlog.reading import LogRegressed
from smarketing.sql import Database, Writer
from tests.contract.bus.carriers import BOTH
from tests.contract.bus.followers import Make, Noted, Scripted, deliveries, running
from tests.contract.bus.served_log import LOG_ID, NOON, OTHER_LOG_ID, ServedLog, seen

pytestmark = [pytest.mark.timeout(40), BOTH]


async def test_a_restored_log_stops_the_consumer_until_an_operator_resets_it(
    log: ServedLog, follower: Database, follower_writer: Writer, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
    await log.stop()
    restored = ServedLog(tmp_path, log_id="8f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c33")
    restored.port = log.port
    await restored.start()
    await restored.record("x", "y", "z")
    observer = Noted()

    stopped = make(observer=observer)
    with pytest.raises(LogRegressed):
        await stopped.run()
    with pytest.raises(LogRegressed):
        await stopped.wait_until(3)
    assert (seen(follower), observer.regressions) == ([(1, "a"), (2, "b")], 1)

    def reset(connection: Connection, positions: Sequence[int], now: datetime) -> Sequence[int]:
        log_id = "8f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c33"
        reset_checkpoint(connection, "reports.leads", log_id=log_id, position=positions[0], now=now)
        return positions

    await follower_writer.run(reset, [2])
    async with running(make()) as consumer:
        await consumer.wait_until(3)
    assert seen(follower)[2:] == [(3, "z")]
    await restored.close()


async def test_a_log_that_lost_its_end_stops_the_consumer(
    log: ServedLog, follower: Database, follower_writer: Writer, make: Make
) -> None:
    await log.record("a")

    def ahead(connection: Connection, positions: Sequence[int], now: datetime) -> Sequence[int]:
        reset_checkpoint(connection, "reports.leads", log_id=LOG_ID, position=positions[0], now=now)
        return positions

    await follower_writer.run(ahead, [5])
    with pytest.raises(LogRegressed):
        await make().run()
    assert seen(follower) == []


async def test_a_log_restored_from_an_older_copy_is_told_though_it_has_grown_beyond_the_consumer_again(
    log: ServedLog, follower: Database, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    async with running(make()) as consumer:
        await consumer.wait_until(2)
    await log.stop()
    restored = ServedLog(tmp_path / "restored", now=NOON + timedelta(hours=1))
    restored.port = log.port
    await restored.start()
    await restored.record("a", "x", "y")

    with pytest.raises(LogRegressed):
        await make().run()
    assert seen(follower) == [(1, "a"), (2, "b")]
    await restored.close()


async def test_a_log_restored_from_an_older_copy_is_told_by_who_follows_it_meanwhile(
    log: ServedLog, follower: Database, make: Make, tmp_path: Path
) -> None:
    await log.record("a", "b")
    consumer = make()
    following = asyncio.create_task(consumer.run())
    await consumer.wait_until(2)
    restored = ServedLog(tmp_path / "restored", now=NOON + timedelta(hours=1))
    await restored.record("a", "x", "y")
    await log.stop()
    restored.port = log.port
    await restored.start()

    with pytest.raises(LogRegressed):
        async with asyncio.timeout(20):
            await following
    assert seen(follower) == [(1, "a"), (2, "b")]
    await restored.close()


async def test_another_log_delivered_midway_stops_the_consumer(
    log: ServedLog, channel: grpc.aio.Channel, make: Make
) -> None:
    await log.record("a", "b")
    feed = Feed(channel, name="swap")
    events = await deliveries(feed)
    source = Scripted(feed, FeedBatch(LOG_ID, events[:1], 1), FeedBatch(OTHER_LOG_ID, events[1:], 2))

    consumer = make(feed=source)
    with pytest.raises(LogRegressed):
        await consumer.run()
    assert consumer.position == 1
