"""Who of several replicas does what only one has to, and what each hears of the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, MetaData

from smarketing.sql import Database, Writer, open_database
from smarketing.sql.leases import Lease, LeaseLost, define_leases
from smarketing.sql.others import Others
from tests.builders import postgres
from tests.contract.store.conftest import Clock

LENGTH = timedelta(seconds=10)


class Monotonic:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def url() -> Iterator[str]:
    metadata = MetaData()
    define_leases(metadata)
    with postgres.database() as url:
        with open_database(url) as database, database.writer_engine.begin() as connection:
            metadata.create_all(connection)
        yield url


@asynccontextmanager
async def replicas(url: str, count: int = 2) -> AsyncIterator[list[Writer]]:
    """Give writers of as many processes, each with the test's own idea of the time."""
    clock = Clock()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Writer(stack.enter_context(open_database(url)), now=lambda: clock.instant)
            )
            for _ in range(count)
        ]


def a_lease(writer: Writer, holder: str, monotonic: Monotonic) -> Lease:
    return Lease(writer, "work", holder=holder, monotonic=monotonic, length=LENGTH)


def clock_of(times: dict[str, datetime], name: str) -> Callable[[], datetime]:
    return lambda: times[name]


async def test_of_two_that_ask_one_has_it_and_keeps_it_while_it_asks_on(url: str) -> None:
    monotonic = Monotonic()
    async with replicas(url) as (one, two):
        first, second = a_lease(one, "one", monotonic), a_lease(two, "two", monotonic)
        asked = await asyncio.gather(first.ask(), second.ask())
        again = await asyncio.gather(first.ask(), second.ask())

    assert sorted(asked) == [False, True]
    assert again == asked


async def test_who_is_not_heard_of_loses_it_and_the_next_one_has_a_higher_token(url: str) -> None:
    monotonic, now = Monotonic(), datetime(2026, 5, 4, 12, tzinfo=UTC)
    times = {"one": now, "two": now}
    async with AsyncExitStack() as stack:
        writers = {
            name: await stack.enter_async_context(
                Writer(stack.enter_context(open_database(url)), now=clock_of(times, name))
            )
            for name in times
        }
        first, second = (a_lease(writers[name], name, monotonic) for name in times)
        assert await first.ask()
        times["two"] = now + timedelta(seconds=9)
        assert not await second.ask()
        times["two"] = now + timedelta(seconds=10)
        assert await second.ask()

        def late(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
            first.check(connection)
            return requests

        def current(connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
            second.check(connection)
            return requests

        # By its own clock it would still trust it; the token tells.
        assert first.held()
        with pytest.raises(LeaseLost):
            await writers["one"].run(late, [None])
        assert await writers["two"].run(current, [None]) == [None]
        assert not await first.ask()
        assert not first.held()


async def test_an_answer_that_was_long_on_its_way_lengthens_no_trust(url: str) -> None:
    monotonic = Monotonic()
    async with replicas(url, 1) as (writer,):
        lease = a_lease(writer, "one", monotonic)
        slow = Slow(writer, monotonic, seconds=LENGTH.total_seconds())
        lease._writer = slow  # type: ignore[assignment] # what is asked is asked of the real one

        assert not await lease.ask()
        assert not lease.held()
        slow.seconds = 1.0
        assert await lease.ask()
        monotonic.seconds += 6.4
        assert lease.held()
        monotonic.seconds += 0.2
        assert not lease.held(), "trusted three quarters of its length, from before it was asked"


class Slow:
    """A writer whose answers take their time."""

    def __init__(self, writer: Writer, monotonic: Monotonic, *, seconds: float) -> None:
        self._writer = writer
        self._monotonic = monotonic
        self.seconds = seconds

    async def run(self, *given: object) -> object:
        answers: object = await self._writer.run(*given)  # type: ignore[arg-type] # passed on as it came
        self._monotonic.seconds += self.seconds
        return answers


async def test_work_runs_while_the_lease_is_held_and_is_ended_when_it_is_lost(url: str) -> None:
    monotonic = Monotonic()
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with replicas(url, 1) as (writer,):
        lease = Lease(writer, "work", holder="one", monotonic=monotonic, length=timedelta(seconds=0.2))
        doing = asyncio.create_task(lease.while_held(work))
        await asyncio.sleep(0)
        assert not began.is_set()
        await lease.ask()
        async with asyncio.timeout(10):
            await began.wait()
            monotonic.seconds += 1
            await ended.wait()
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def test_whoever_ends_in_order_gives_it_to_the_next_at_once(url: str) -> None:
    monotonic = Monotonic()
    async with replicas(url) as (one, two):
        first, second = a_lease(one, "one", monotonic), a_lease(two, "two", monotonic)
        running = asyncio.create_task(first.run())
        committed = asyncio.Event()
        one.when_committed(committed.set)
        async with asyncio.timeout(10):
            await committed.wait()
        assert not await second.ask()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert await second.ask()


async def test_where_one_process_owns_the_database_it_always_holds_it() -> None:
    with Database.in_memory() as database:
        async with Writer(database, now=Clock()) as writer:
            lease = a_lease(writer, "one", Monotonic())

            assert lease.held()


async def test_a_commit_of_another_process_is_heard_of_and_a_look_is_not(url: str) -> None:
    async with replicas(url) as (one, two):
        heard = asyncio.Event()
        one.when_committed(heard.set)
        listening = asyncio.create_task(Others(one, every_seconds=0.01).run())
        async with asyncio.timeout(10):
            await heard.wait()  # it cannot know what happened before it began
            heard.clear()
            for _ in range(3):
                await two.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())
            await asyncio.sleep(0.1)
            assert not heard.is_set()
            await a_lease(two, "two", Monotonic()).ask()
            await heard.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
