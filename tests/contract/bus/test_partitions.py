"""Rules of a log that replicas divide among them, into one PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Any

import grpc
import pytest
from sqlalchemy import Connection, MetaData

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1.events_pb2 import PersonChanged
from smarketing.eventlog.checkpoints import find_place, reset_checkpoint
from smarketing.eventlog.consumer import Apply, Consumer, ConsumerStopped
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.group import ConsumerGroup
from smarketing.eventlog.partitions import Partition, partitions
from smarketing.server.auth import Authenticator
from smarketing.server.directory import define_directory
from smarketing.server.listening import StartRefused
from smarketing.sql import open_database
from tests.builders import postgres
from tests.contract.bus.followers import Noted, running
from tests.contract.bus.replicas import Replica, keep, places, prepare, until, writers_of
from tests.contract.bus.served_log import KNOWN, LOG_ID, NOON, ServedLog, seen

pytestmark = pytest.mark.timeout(60)

TENANTS = [f"t{number}" for number in range(12)]


@pytest.fixture
async def a_replica(channel: grpc.aio.Channel) -> AsyncIterator[Callable[[int], Any]]:
    """Give replicas that share one database."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        with open_database(url) as first:
            prepare(first)

        async def make(count: int) -> Replica:
            database = stack.enter_context(open_database(url))
            writer, folding = await writers_of(stack, database, count)
            replica = Replica(writer, folding, channel, count)
            stack.push_async_callback(replica.stop)
            return replica

        yield make


async def _record(log: ServedLog, first: int, count: int) -> None:
    """Record events of all tenants by turns; each says its own position."""
    for number in range(first, first + count):
        await log.record(str(number), tenant=TENANTS[number % len(TENANTS)])


def _tenants_of(partition: Partition) -> list[str]:
    return [tenant for tenant in TENANTS if partition.has(f"tenants/{tenant}")]


def _all(count: int) -> list[tuple[int, str]]:
    return [(number, str(number)) for number in range(1, count + 1)]


async def test_replicas_share_the_tenants_of_a_log_and_each_event_is_applied_once(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    one, two = await a_replica(4), await a_replica(4)
    for replica in (one, two):
        replica.start()
    # Until both know of one another, one of them follows it all.
    await until(lambda: one.held == two.held == 2)
    await _record(log, 1, 60)
    await asyncio.gather(one.group.wait_until(60), two.group.wait_until(60))

    assert sorted(seen(one.database)) == _all(60)
    assert one.applied
    assert two.applied
    assert not set(one.applied) & set(two.applied)
    tenants_of = [{TENANTS[position % len(TENANTS)] for position in each.applied} for each in (one, two)]
    assert not tenants_of[0] & tenants_of[1]


async def test_what_a_replica_leaves_behind_is_followed_on_by_the_others(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    one, two = await a_replica(3), await a_replica(3)
    for replica in (one, two):
        replica.start()
    await _record(log, 1, 24)
    await two.group.wait_until(24)
    await one.stop()
    await _record(log, 25, 24)
    await two.group.wait_until(48)

    assert sorted(seen(two.database)) == _all(48)
    assert two.group.caught_up
    assert two.group.position == two.group.head_position == 48


async def test_a_log_that_is_divided_anew_is_followed_on_from_one_place_however_far_its_parts_were(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    await _record(log, 1, 20)
    whole = await a_replica(1)
    whole.start()
    await whole.group.wait_until(20)
    await whole.stop()

    # One of four parts goes on alone, as when the others' replicas were away.
    four = await a_replica(4)
    await four.group.divide()
    await _record(log, 21, 20)
    alone = asyncio.create_task(four.group.members[2].run())
    await four.group.members[2].wait_until(40)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    assert len(seen(four.database)) < 40
    assert set(places(four.database)) == {part.member_of("reports.leads") for part in partitions(4)}

    three = await a_replica(3)
    three.start()
    await _record(log, 41, 5)
    await three.group.wait_until(45)
    assert sorted(seen(three.database)) == _all(45)
    assert set(places(three.database)) == {part.member_of("reports.leads") for part in partitions(3)}
    await three.stop()

    whole = await a_replica(1)
    whole.start()
    await _record(log, 46, 5)
    await whole.group.wait_until(50)
    assert sorted(seen(whole.database)) == _all(50)
    assert places(whole.database) == {"reports.leads": 50}


async def test_who_follows_a_part_that_there_is_no_more_stops(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    await _record(log, 1, 8)
    two, three = await a_replica(2), await a_replica(3)
    await two.group.divide()
    following = [asyncio.create_task(member.run()) for member in two.group.members]
    await two.group.wait_until(8)
    await until(lambda: set(places(two.database).values()) == {8})

    await three.group.divide()
    await _record(log, 9, 24)

    for task in following:
        with pytest.raises(ConsumerStopped, match="its place is gone"):
            async with asyncio.timeout(20):
                await task
    assert sorted(seen(two.database)) == _all(8)


async def test_who_follows_the_whole_of_a_log_that_was_divided_meanwhile_stops(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    await _record(log, 1, 3)
    whole, two = await a_replica(1), await a_replica(2)
    await whole.group.divide()
    following = asyncio.create_task(whole.group.run())
    await whole.group.wait_until(3)
    await two.group.divide()
    await _record(log, 4, 3)

    with pytest.raises(ConsumerStopped, match="its place is gone"):
        async with asyncio.timeout(20):
            await following
    assert sorted(seen(two.database)) == _all(3)


async def test_events_of_other_parts_are_passed_over_and_that_is_stored_soon(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    replica = await a_replica(2)
    await replica.group.divide()
    mine = _tenants_of(Partition(0, 2))[0]
    await log.record("1", "2", "3", tenant=mine)
    other = asyncio.create_task(replica.group.members[1].run())
    await replica.group.members[1].wait_until(3)
    await until(lambda: places(replica.database)["reports.leads.1of2"] == 3)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)

    assert seen(replica.database) == []
    with replica.database.reading() as connection:
        place = find_place(connection, "reports.leads")
    assert place is not None
    assert place.position == 0, "the other part has not begun"
    assert replica.group.position == 0


async def test_who_only_passes_over_notices_that_its_part_is_no_more(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    two, three = await a_replica(2), await a_replica(3)
    await two.group.divide()
    following = asyncio.create_task(two.group.members[0].run())
    await until(lambda: two.group.members[0].caught_up)
    await three.group.divide()
    for tenant in _tenants_of(Partition(1, 2)):
        await log.record("1", tenant=tenant)

    with pytest.raises(ConsumerStopped, match="its place is gone"):
        async with asyncio.timeout(20):
            await following


async def test_who_divides_otherwise_takes_no_part_from_those_who_follow(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    old, new = await a_replica(2), await a_replica(3)
    old.start()
    await until(lambda: old.held == 2)
    new.start()
    await until(lambda: new.held == 3)
    await _record(log, 1, 24)
    await old.group.wait_until(24)
    assert old.held == 2

    # The last of the old number goes, and with it the lease by which the log is divided.
    await old.stop()
    await _record(log, 25, 6)
    await new.group.wait_until(30)
    assert sorted(seen(new.database)) == _all(30)


async def test_two_logs_of_one_tenant_are_never_folded_beside_one_another(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    """As while one log is divided anew already and the other is not yet, and by whom each was divided."""
    tenant = TENANTS[0]
    met, beside = threading.Barrier(2, timeout=2), list[str]()

    def apply(_connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        try:
            met.wait()
        except threading.BrokenBarrierError:
            return
        beside.extend(event.tenant for event in events)

    followers = []
    for name, count in (("reports.leads", 3), ("reports.sla", 2)):
        replica = await a_replica(count)
        replica._apply = apply
        group = ConsumerGroup(
            name, partial(_made, replica, name, apply), writer=replica.group._writer, count=count
        )
        await group.divide()
        [part] = [each for each in partitions(count) if each.has(f"tenants/{tenant}")]
        followers.append(group.members[part.number])
    await log.record("1", tenant=tenant)
    following = [asyncio.create_task(each.run()) for each in followers]
    await asyncio.gather(*(each.wait_until(1) for each in followers))
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)

    assert beside == []


def _made(replica: Replica, name: str, apply: Apply, partition: Partition) -> Consumer:
    return Consumer(
        name,
        feed=Feed(replica._channel, name=partition.member_of(name)),
        writer=replica._folding,
        apply=apply,
        payload_types=[KNOWN],
        now=wallclock.utc_now,
        partition=partition,
    )


async def test_what_cannot_be_taken_in_ends_no_process_while_a_log_is_divided(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    two, three = await a_replica(2), await a_replica(3)
    await two.group.divide()
    for number in range(2):
        await log.record(str(number + 1), tenant=_tenants_of(Partition(number, 2))[0])
    ahead = asyncio.create_task(two.group.members[1].run())
    await until(lambda: places(two.database)["reports.leads.1of2"] == 2)
    ahead.cancel()
    await asyncio.gather(ahead, return_exceptions=True)
    failing = [True]

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], now: datetime) -> None:
        if failing[0]:
            raise ValueError("cannot")
        keep(connection, events, now)

    group = ConsumerGroup(
        "reports.leads",
        lambda part: Consumer(
            "reports.leads",
            feed=Feed(three._channel, name="levels"),
            writer=three._folding,
            apply=apply,
            payload_types=[KNOWN],
            now=wallclock.utc_now,
            partition=part,
            max_attempts=2,
        ),
        writer=three.group._writer,
        count=3,
        rest_seconds=0.05,
    )
    dividing = asyncio.create_task(group.divide())
    # Long enough for several rests.
    done, _ = await asyncio.wait([dividing], timeout=3)
    assert not done
    failing[0] = False
    await dividing
    assert sorted(seen(three.database)) == _all(2)


async def test_two_that_follow_one_part_at_once_apply_its_events_once(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    one, two = await a_replica(2), await a_replica(2)
    await one.group.divide()
    tasks = [asyncio.create_task(member.run()) for each in (one, two) for member in each.group.members]
    await _record(log, 1, 80)
    await asyncio.gather(one.group.wait_until(80), two.group.wait_until(80))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert sorted(seen(one.database)) == _all(80)


async def test_a_log_is_divided_on_postgresql_only(log: ServedLog) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(StartRefused, match="SMARKETING_PARTITIONS"):
            await writers_of(stack, log.database, 2)


async def test_events_of_other_parts_are_told_apart_from_those_applied_also_within_a_batch(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    replica, noted = await a_replica(2), Noted()
    await replica.group.divide()
    mine, others = (_tenants_of(Partition(number, 2))[0] for number in (0, 1))
    for tenant in (others, mine, others, others, mine):
        await log.record("x", tenant=tenant)
    member = Consumer(
        "reports.leads",
        feed=Feed(replica._channel, name="noted"),
        writer=replica._folding,
        apply=keep,
        payload_types=[KNOWN],
        now=wallclock.utc_now,
        observer=noted,
        partition=Partition(0, 2),
    )
    async with running(member):
        await member.wait_until(5)

    assert noted.handled == {"applied": 2, "passed_over": 3}


async def test_a_directory_is_fresh_once_every_part_has_passed_what_was_folded(
    log: ServedLog, a_replica: Callable[[int], Any]
) -> None:
    replica = await a_replica(2)
    tables = define_directory(metadata := MetaData())
    with replica.database.migrating() as connection:
        metadata.create_all(connection)
    await replica.group.divide()
    mine = _tenants_of(Partition(0, 2))[0]
    authenticator = Authenticator(now=wallclock.utc_now)
    keeper = DirectoryKeeper(tables, replica.group._writer, authenticator, consumer="reports.leads")
    await log.tell(PersonChanged(person=f"tenants/{mine}/people/kim"), tenant=mine)

    def member(number: int, apply: Apply) -> Consumer:
        return Consumer(
            "reports.leads",
            feed=Feed(replica._channel, name=f"member {number}"),
            writer=replica._folding,
            apply=apply,
            payload_types=[PersonChanged.DESCRIPTOR.full_name],
            now=wallclock.utc_now,
            partition=Partition(number, 2),
        )

    loading = asyncio.create_task(keeper.run())
    first = member(0, lambda connection, events, _now: keeper.fold(connection, events))
    async with running(first):
        # What was folded is loaded, and nothing that comes afterwards changes it.
        await until(lambda: authenticator.ready)
        assert not keeper.fresh
        async with running(member(1, keep)):
            await until(lambda: keeper.fresh)
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)


async def test_the_place_of_a_group_that_divides_its_log_is_set_by_nobody(
    a_replica: Callable[[int], Any],
) -> None:
    replica = await a_replica(2)
    await replica.group.divide()
    with (
        replica.database.writer_engine.begin() as connection,
        pytest.raises(ValueError, match="divides its log"),
    ):
        reset_checkpoint(connection, "reports.leads", log_id=LOG_ID, position=7, now=NOON)
    assert set(places(replica.database).values()) == {0}
