"""Rules of events that cannot be handled: none is lost, none is passed over (F24 to F28)."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from sqlalchemy import Connection

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.consumer import (
    PoisonEvent,
    UnknownPayload,
)
from smarketing.sql import Database, StorageFault, StorageUnavailable
from tests.contract.bus.carriers import BOTH
from tests.contract.bus.followers import Make, checkpoint, running, told_the_head
from tests.contract.bus.served_log import ServedLog, keep, seen

pytestmark = [pytest.mark.timeout(40), BOTH]


async def test_an_unknown_event_that_may_be_skipped_is_passed_over(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    await log.record(1, 2, skippable=True)
    await log.record("b")
    await log.record(3, skippable=True)
    async with running(make()) as consumer:
        await consumer.wait_until(5)

    assert seen(follower) == [(1, "a"), (4, "b")]


async def test_an_unknown_event_that_may_not_be_skipped_stops_the_consumer_behind_the_last_known_one(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a", "b", 1, "c")

    consumer = make()
    with pytest.raises(UnknownPayload) as stop:
        await consumer.run()

    assert (stop.value.position, seen(follower)) == (2, [(1, "a"), (2, "b")])
    with pytest.raises(UnknownPayload):
        await consumer.wait_until(3)


def failing(times: int, at: str) -> Callable[[Connection, Sequence[eventlogpb.Event], datetime], None]:
    left = times

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        nonlocal left
        keep(connection, events, now)
        if left and any(at.encode() in event.payload.value for event in events):
            left -= 1
            raise ZeroDivisionError

    return apply


async def test_an_event_that_fails_for_a_while_is_applied_once_when_it_no_longer_does(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*"abcd")
    async with running(make(failing(3, "c"))) as consumer:
        await consumer.wait_until(4)

    assert [content for _, content in seen(follower)] == list("abcd")


async def test_an_event_that_always_fails_stops_the_consumer_right_before_it(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*"abcd")

    with pytest.raises(PoisonEvent) as stop:
        await make(failing(-1, "c"), max_attempts=4).run()

    assert (stop.value.position, [content for _, content in seen(follower)]) == (2, ["a", "b"])
    # The process survived, so with the handling mended the next one goes on by itself.
    async with running(make()) as consumer:
        await consumer.wait_until(4)
    assert [content for _, content in seen(follower)] == list("abcd")


async def test_a_service_outlives_an_event_that_it_cannot_take_in_and_goes_on_once_it_can(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record(*"abcd")
    broken, mended = failing(-1, "c"), False

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        (keep if mended else broken)(connection, events, now)

    stopped = make(apply, max_attempts=4, rest_seconds=0.05)
    async with running(stopped):
        with pytest.raises(PoisonEvent):
            await stopped.wait_until(4)
        before = [content for _, content in seen(follower)]
        mended = True
        while stopped.position < 4:  # noqa: ASYNC110 -- who waited was told that it stopped
            await asyncio.sleep(0.01)

    assert (before, [content for _, content in seen(follower)]) == (["a", "b"], list("abcd"))


async def test_an_event_that_ends_the_process_each_time_is_not_handled_for_ever(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    handled, begun = 0, asyncio.Event()
    loop = asyncio.get_running_loop()

    def deadly(_connection: Connection, _events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        nonlocal handled
        handled += 1
        loop.call_soon_threadsafe(begun.set)
        # No answer ever comes, as from a process that died.
        raise StorageUnavailable(StorageFault.INPUT_OUTPUT)

    for _ in range(3):
        begun.clear()
        async with running(make(deadly, max_attempts=3)):
            await begun.wait()
    count = handled
    with pytest.raises(PoisonEvent):
        await make(deadly, max_attempts=3).run()

    assert handled == count
    found = checkpoint(follower)
    assert found is not None
    assert (found.position, found.attempts) == (0, 4)


async def test_restarting_an_idle_consumer_is_no_attempt_at_anything(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    async with running(make()) as consumer:
        await consumer.wait_until(1)
    for _ in range(5):
        async with running(make(max_attempts=2)) as consumer:
            await told_the_head(consumer)

    found = checkpoint(follower)
    assert found is not None
    assert found.attempts == 0


async def test_a_storage_fault_is_waited_out_and_is_not_the_events_fault(
    log: ServedLog, follower: Database, make: Make
) -> None:
    await log.record("a")
    faults = iter([True] * 4)

    def refused(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        if next(faults, False):
            raise StorageUnavailable(StorageFault.INPUT_OUTPUT)
        keep(connection, events, now)

    async with running(make(refused, max_attempts=2)) as consumer:
        await consumer.wait_until(1)

    assert seen(follower) == [(1, "a")]
