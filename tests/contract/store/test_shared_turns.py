"""Rules of transactions that write beside others of their kind, on PostgreSQL, and beside nothing else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection

from smarketing import wallclock
from smarketing.eventlog.outbox import NewEvent, append, begin_log
from smarketing.eventlog.reading import read
from smarketing.sql import Writer, open_database
from tests.builders import postgres
from tests.contract.bus.replicas import prepare, writers_of
from tests.contract.bus.served_log import NOON

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def sharing(count: int) -> AsyncIterator[tuple[Writer, list[Writer]]]:
    """Give a writer that has its turns alone, and some that share theirs, each as of another process."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        databases = [stack.enter_context(open_database(url)) for _ in range(count + 1)]
        prepare(databases[0])
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


async def test_what_one_member_has_locked_waits_for_no_other_members_fold() -> None:
    began, may_end = threading.Event(), threading.Event()

    def says(connection: Connection, requests: Sequence[str], now: datetime) -> Sequence[str]:
        append(connection, [_event(each) for each in requests], now=now)
        return requests

    def folds_long(_connection: Connection, requests: Sequence[str], _now: datetime) -> Sequence[str]:
        began.set()
        assert may_end.wait(20)
        return requests

    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.database())
        databases = [stack.enter_context(open_database(url)) for _ in range(2)]
        prepare(databases[0])
        (alone, one), (_, two) = [await writers_of(stack, database, 2) for database in databases]
        await alone.run(_begun, [None])
        both = [asyncio.create_task(one.run(says, ["a"])), asyncio.create_task(one.run(folds_long, ["long"]))]
        await asyncio.to_thread(began.wait, 20)
        try:
            async with asyncio.timeout(5):
                await two.run(says, ["b"])
        finally:
            may_end.set()
            await asyncio.gather(*both)
