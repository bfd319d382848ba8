"""Rules of a log that replicas divide among them, into one PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, MetaData, text

from smarketing import wallclock
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.eventlog.checkpoints import find_place, list_group
from smarketing.eventlog.consumer import Apply, Consumer, ConsumerStopped
from smarketing.eventlog.feed import Feed
from smarketing.eventlog.group import ConsumerGroup, folding_writer
from smarketing.eventlog.outbox import NewEvent, append, begin_log
from smarketing.eventlog.partitions import Partition, partitions
from smarketing.eventlog.reading import ensure_identity, last_record_time, read
from smarketing.eventlog.tables import define_tables
from smarketing.server.listening import StartRefused
from smarketing.server.replicas import Replicas
from smarketing.sql import Database, Unobserved, Writer, open_database
from smarketing.sql.leases import define_leases
from tests.builders import postgres
from tests.contract.bus.served_log import KNOWN, NOON, OTHER_LOG_ID, ServedLog

pytestmark = pytest.mark.timeout(60)

TENANTS = [f"t{number}" for number in range(12)]


class Replica:
    """A process of a service that follows a log in so many parts, as far as that goes."""

    def __init__(self, writer: Writer, folding: Writer, channel: grpc.aio.Channel, count: int) -> None:
        self.database, self.applied = writer.database, list[int]()
        self._channel, self._folding = channel, folding
        self.group = ConsumerGroup("reports.leads", self._made, writer=writer, count=count)
        self._replicas = Replicas(
            writer, holder=wallclock.new_uuid(), monotonic=wallclock.monotonic, partitions=count
        )
        self._tasks: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """Take part."""
        tasks = [*self._replicas.tasks(), self._replicas.following("leads", self.group)]
        self._tasks = [asyncio.ensure_future(task.run()) for task in tasks]

    async def stop(self) -> None:
        """End in order: leases are given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _made(self, partition: Partition) -> Consumer:
        return Consumer(
            "reports.leads",
            feed=Feed(self._channel, name=partition.member_of("reports.leads")),
            writer=self._folding,
            apply=self._apply,
            payload_types=[KNOWN],
            now=wallclock.utc_now,
            partition=partition,
        )

    def _apply(self, connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        self.applied += [event.position for event in events]
        _keep(connection, events)


def _keep(connection: Connection, events: Sequence[eventlogpb.Event]) -> None:
    rows = [
        {
            "position": event.position,
            "tenant": event.tenant,
            "content": StringValue.FromString(event.payload.value).value,
        }
        for event in events
    ]
    connection.execute(
        text("INSERT INTO seen (position, tenant, content) VALUES (:position, :tenant, :content)"), rows
    )


@pytest.fixture
async def a_replica(channel: grpc.aio.Channel) -> AsyncIterator[Callable[[int], Any]]:
    """Give replicas that share one database."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        with open_database(url) as first:
            _prepare(first)

        async def make(count: int) -> Replica:
            database = stack.enter_context(open_database(url))
            writer, folding = await _writers(stack, database, count)
            replica = Replica(writer, folding, channel, count)
            stack.push_async_callback(replica.stop)
            return replica

        yield make


def _prepare(database: Database) -> None:
    metadata = MetaData()
    define_tables(metadata)
    define_leases(metadata)
    with database.migrating() as connection:
        metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE seen (number bigserial PRIMARY KEY, position bigint, content text, tenant text)"
        )
        ensure_identity(connection, new_log_id=lambda: OTHER_LOG_ID)


async def _writers(stack: AsyncExitStack, database: Database, count: int) -> tuple[Writer, Writer]:
    now = wallclock.utc_now
    writer = await stack.enter_async_context(Writer(database, now=now))
    folding = await folding_writer(
        stack, writer, count, now=now, observer=Unobserved(), not_before=last_record_time
    )
    return writer, folding


def seen(database: Database) -> list[tuple[int, str]]:
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT position, content FROM seen ORDER BY position").all()
    return [(row[0], row[1]) for row in rows]


def places(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return {each.consumer: each.position for each in list_group(connection, "reports.leads")}


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 -- nothing tells of it
            await asyncio.sleep(0.02)


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
    await until(lambda: one._replicas.shared_count == two._replicas.shared_count == 2)
    await _record(log, 1, 60)
    await asyncio.gather(one.group.wait_until(60), two.group.wait_until(60))

    assert seen(one.database) == _all(60)
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

    assert seen(two.database) == _all(48)
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
    assert seen(three.database) == _all(45)
    assert set(places(three.database)) == {part.member_of("reports.leads") for part in partitions(3)}
    await three.stop()

    whole = await a_replica(1)
    whole.start()
    await _record(log, 46, 5)
    await whole.group.wait_until(50)
    assert seen(whole.database) == _all(50)
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
    assert seen(two.database) == _all(8)


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
    assert seen(two.database) == _all(3)


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
    await until(lambda: old._replicas.shared_count == 2)
    new.start()
    await until(lambda: new._replicas.shared_count == 3)
    await _record(log, 1, 24)
    await old.group.wait_until(24)
    assert old._replicas.shared_count == 2

    # The last of the old number goes, and with it the lease by which the log is divided.
    await old.stop()
    await _record(log, 25, 6)
    await new.group.wait_until(30)
    assert seen(new.database) == _all(30)


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

    def apply(connection: Connection, events: Sequence[eventlogpb.Event], _now: datetime) -> None:
        if failing[0]:
            raise ValueError("cannot")
        _keep(connection, events)

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
    assert seen(three.database) == _all(2)


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

    assert seen(one.database) == _all(80)


async def test_a_log_is_divided_on_postgresql_only(log: ServedLog) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(StartRefused, match="SMARKETING_PARTITIONS"):
            await _writers(stack, log.database, 2)


@asynccontextmanager
async def sharing(count: int) -> AsyncIterator[tuple[Writer, list[Writer]]]:
    """Give a writer that has its turns alone, and some that share theirs, each as of another process."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        databases = [stack.enter_context(open_database(url)) for _ in range(count + 1)]
        _prepare(databases[0])
        alone = await stack.enter_async_context(Writer(databases[0], now=wallclock.utc_now))
        beside = [
            await stack.enter_async_context(Writer(database, now=wallclock.utc_now, sharing=True))
            for database in databases[1:]
        ]
        yield alone, beside


async def test_transactions_that_share_their_turn_overlap() -> None:
    met = threading.Barrier(2, timeout=20)

    def meeting(_connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        met.wait()
        return requests

    async with sharing(2) as (_, (one, two)):
        await asyncio.gather(one.run(meeting, [None]), two.run(meeting, [None]))


@pytest.mark.parametrize("first", ["alone", "shared"])
async def test_nothing_is_written_beside_a_transaction_that_has_its_turn_alone(first: str) -> None:
    order, began, may_end = list[str](), threading.Event(), threading.Event()

    def slowly(_connection: Connection, requests: Sequence[str], _now: datetime) -> Sequence[str]:
        began.set()
        assert may_end.wait(20)
        order.extend(requests)
        return requests

    def at_once(_connection: Connection, requests: Sequence[str], _now: datetime) -> Sequence[str]:
        order.extend(requests)
        return requests

    async with sharing(1) as (alone, (beside,)):
        writers = {"alone": alone, "shared": beside}
        slow = asyncio.create_task(writers.pop(first).run(slowly, ["first"]))
        await asyncio.to_thread(began.wait, 20)
        [other] = writers.values()
        quick = asyncio.create_task(other.run(at_once, ["second"]))
        await asyncio.wait([quick], timeout=0.3)
        may_end.set()
        await asyncio.gather(slow, quick)

    assert order == ["first", "second"]


async def test_positions_are_counted_in_the_order_of_commits_also_where_turns_are_shared() -> None:
    written, may_end = threading.Event(), threading.Event()

    def slowly(connection: Connection, requests: Sequence[str], now: datetime) -> Sequence[str]:
        append(connection, [_event(each) for each in requests], now=now)
        written.set()
        assert may_end.wait(20)
        return requests

    def at_once(connection: Connection, requests: Sequence[str], now: datetime) -> Sequence[str]:
        append(connection, [_event(each) for each in requests], now=now)
        return requests

    async with sharing(2) as (alone, (one, two)):
        await alone.run(_begun, [None])
        slow = asyncio.create_task(one.run(slowly, ["a", "b"]))
        await asyncio.to_thread(written.wait, 20)
        quick = asyncio.create_task(two.run(at_once, ["c"]))
        done, _ = await asyncio.wait([quick], timeout=0.3)
        assert not done, "it would count from a head that is not committed yet"
        may_end.set()
        await asyncio.gather(slow, quick)
        page = await alone.read(lambda connection: read(connection, "tenants/-", after=0, limit=10))

    assert [event.position for event in page.events] == [1, 2, 3]
    assert [event.tenant for event in page.events] == ["tenants/a", "tenants/b", "tenants/c"]
    times = [event.record_time.ToMicroseconds() for event in page.events]
    assert times == sorted(times)


def _begun(connection: Connection, requests: Sequence[None], now: datetime) -> Sequence[None]:
    begin_log(connection, now=now)
    return requests


def _event(tenant: str) -> NewEvent:
    return NewEvent(
        tenant=f"tenants/{tenant}",
        subject=f"tenants/{tenant}/leads/1",
        occur_time=NOON - timedelta(minutes=1),
        actor="people/kim",
        payload=StringValue(value=tenant),
    )
