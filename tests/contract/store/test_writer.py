"""Rules of the one writer, on every database."""

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import Connection, text

from smarketing.sql import (
    Database,
    StorageFault,
    StorageUnavailable,
    UnitBroken,
    Writer,
    WriterBusy,
    WriterClosed,
)
from smarketing.sql.transacting import AnyJob, Decided, Transactor, Unobserved


class Refused(Exception):
    """A request said no to."""


class Ledger:
    """A unit that keeps numbers, remembers how it was called, and fails when told to."""

    def __init__(self, database: Database) -> None:
        self.calls: list[list[int]] = []
        self.instants: list[datetime] = []
        self.threads: list[str] = []
        with database.writer_engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept (number INTEGER PRIMARY KEY, unit TEXT)"))

    def keep(self, connection: Connection, numbers: Sequence[int], now: datetime) -> list[int | Refused]:
        """Keep the numbers; refuse negative ones, and fail at 13."""
        self.calls.append(list(numbers))
        self.instants.append(now)
        self.threads.append(threading.current_thread().name)
        answers: list[int | Refused] = []
        for number in numbers:
            if number == 13:
                raise ZeroDivisionError
            if number < 0:
                answers.append(Refused(number))
                continue
            connection.execute(text("INSERT INTO kept VALUES (:number, 'keep')"), {"number": number})
            answers.append(number * 10)
        return answers

    def tag(self, connection: Connection, numbers: Sequence[int], now: datetime) -> list[int]:  # noqa: ARG002 -- a unit's shape
        """Count what an earlier unit of the transaction kept."""
        kept = connection.execute(text("SELECT count(*) FROM kept")).scalar_one()
        return [kept for _ in numbers]


def _kept(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT number FROM kept ORDER BY number")).scalars())


@pytest.fixture(params=[False, True], ids=["on the thread", "on the loop"])
def brief(request: pytest.FixtureRequest) -> bool:
    """Where units are decided: no rule may depend on it."""
    return bool(request.param)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


class Door:
    """A unit that waits inside its transaction until a test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def wait(self, _connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        """Hold the writer."""
        self.entered.set()
        assert self.opened.wait(30)
        return requests


@contextmanager
def _held(writer: Writer) -> Iterator[Door]:
    door = Door()
    task = asyncio.ensure_future(writer.run(door.wait, [None]))
    try:
        yield door
    finally:
        door.opened.set()
        task.add_done_callback(lambda done: done.exception())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- set by another thread
            await asyncio.sleep(0.001)


async def test_each_request_gets_its_own_answer_in_order(writer: Writer, ledger: Ledger, brief: bool) -> None:
    assert await writer.run(ledger.keep, [3, 1, 2], brief=brief) == [30, 10, 20]


async def test_an_answered_request_is_committed(
    writer: Writer, ledger: Ledger, database: Database, brief: bool
) -> None:
    await writer.run(ledger.keep, [1], brief=brief)

    with database.reading() as connection:
        assert _kept(connection) == [1]


async def test_callers_that_wait_together_share_one_call_and_one_instant(
    writer: Writer, ledger: Ledger, brief: bool
) -> None:
    answers = await asyncio.gather(
        *(writer.run(ledger.keep, [number], brief=brief) for number in range(20, 70))
    )

    assert answers == [[number * 10] for number in range(20, 70)]
    assert ledger.calls == [list(range(20, 70))]


async def test_different_units_that_wait_together_share_one_transaction(
    writer: Writer, ledger: Ledger, brief: bool
) -> None:
    commits = 0

    def count() -> None:
        nonlocal commits
        commits += 1

    writer.when_committed(count)
    kept, seen = await asyncio.gather(
        writer.run(ledger.keep, [1, 2], brief=brief), writer.run(ledger.tag, [0], brief=brief)
    )

    assert (kept, seen, commits) == ([10, 20], [2], 1)


async def test_a_batch_takes_no_more_requests_than_it_may(
    database: Database, clock: Callable[[], datetime], brief: bool
) -> None:
    ledger = Ledger(database)
    async with Writer(database, now=clock, max_batch=4) as writer:
        await asyncio.gather(*(writer.run(ledger.keep, [n, n + 100], brief=brief) for n in range(5)))
        await writer.run(ledger.keep, list(range(200, 210)), brief=brief)

    assert [len(call) for call in ledger.calls] == [4, 4, 2, 10]


async def test_a_refused_request_undoes_nothing_of_the_others(
    writer: Writer, ledger: Ledger, database: Database, brief: bool
) -> None:
    first, refused, last = await writer.run(ledger.keep, [1, -1, 2], brief=brief)

    assert (first, last) == (10, 20)
    assert isinstance(refused, Refused)
    with database.reading() as connection:
        assert _kept(connection) == [1, 2]


async def test_only_the_guilty_caller_suffers_when_a_unit_fails(
    writer: Writer, ledger: Ledger, database: Database, brief: bool
) -> None:
    results = await asyncio.gather(
        *(writer.run(ledger.keep, numbers, brief=brief) for numbers in ([1], [2, 13], [3])),
        return_exceptions=True,
    )

    assert results[0] == [10]
    assert isinstance(results[1], ZeroDivisionError)
    assert results[2] == [30]
    with database.reading() as connection:
        assert _kept(connection) == [1, 3]


async def test_a_failing_unit_takes_no_other_unit_with_it(
    writer: Writer, ledger: Ledger, brief: bool
) -> None:
    failed, tagged = await asyncio.gather(
        writer.run(ledger.keep, [13], brief=brief),
        writer.run(ledger.tag, [0], brief=brief),
        return_exceptions=True,
    )

    assert isinstance(failed, ZeroDivisionError)
    assert tagged == [0]


async def test_garbage_is_collected_again_however_a_batch_ended(
    writer: Writer, ledger: Ledger, brief: bool
) -> None:
    collecting: list[bool] = []

    def ask(_connection: Connection, numbers: Sequence[int], _now: datetime) -> list[int]:
        collecting.append(gc.isenabled())
        return list(numbers)

    await writer.run(ask, [1], brief=brief)
    after_a_good_one = gc.isenabled()
    await asyncio.gather(writer.run(ledger.keep, [13], brief=brief), return_exceptions=True)

    assert collecting == [False]
    assert after_a_good_one
    assert gc.isenabled()


async def test_a_unit_that_answers_too_few_writes_nothing(
    writer: Writer, ledger: Ledger, database: Database, brief: bool
) -> None:
    def forgetful(connection: Connection, numbers: Sequence[int], now: datetime) -> list[int | Refused]:
        return ledger.keep(connection, numbers, now)[:-1]

    with pytest.raises(UnitBroken):
        await writer.run(forgetful, [1, 2], brief=brief)
    with database.reading() as connection:
        assert _kept(connection) == []


async def test_the_instant_of_a_transaction_never_lies_before_the_last_one(
    database: Database, ledger: Ledger, brief: bool
) -> None:
    noon = datetime.fromisoformat("2026-05-04T12:00:00+00:00")
    instants = iter([noon, noon - timedelta(hours=1), noon + timedelta(seconds=1)])
    async with Writer(database, now=lambda: next(instants)) as writer:
        for number in (1, 2, 3):
            await writer.run(ledger.keep, [number], brief=brief)

    assert ledger.instants == [noon, noon, noon + timedelta(seconds=1)]


async def test_cancelling_the_caller_does_not_cancel_the_write(
    writer: Writer, ledger: Ledger, database: Database, brief: bool
) -> None:
    caller = asyncio.ensure_future(writer.run(ledger.keep, [1], brief=brief))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    await writer.run(ledger.keep, [2], brief=brief)  # behind the first one
    with database.reading() as connection:
        assert _kept(connection) == [1, 2]
    assert writer.waiting == 0


async def test_no_request_costs_no_transaction(writer: Writer, ledger: Ledger, brief: bool) -> None:
    assert await writer.run(ledger.keep, [], brief=brief) == []
    assert ledger.calls == []


async def test_a_full_queue_refuses_at_once_and_serves_again_when_it_drained(
    database: Database, ledger: Ledger, clock: Callable[[], datetime], brief: bool
) -> None:
    async with Writer(database, now=clock, max_waiting=3) as writer:
        with _held(writer) as door:
            await _until(door.entered.is_set)
            taken = asyncio.ensure_future(writer.run(ledger.keep, [1, 2], brief=brief))
            await asyncio.sleep(0)

            with pytest.raises(WriterBusy) as refusal:
                await writer.run(ledger.keep, [3], brief=brief)

            assert (refusal.value.waiting, writer.waiting) == (3, 3)
        assert await taken == [10, 20]
        assert await writer.run(ledger.keep, [3], brief=brief) == [30]


async def test_closing_finishes_what_waits_and_refuses_what_comes(
    database: Database, ledger: Ledger, clock: Callable[[], datetime], brief: bool
) -> None:
    writer = Writer(database, now=clock)
    running = asyncio.gather(*(writer.run(ledger.keep, [number], brief=brief) for number in range(10)))
    await asyncio.sleep(0)

    await writer.close()

    assert await running == [[number * 10] for number in range(10)]
    with pytest.raises(WriterClosed):
        await writer.run(ledger.keep, [99], brief=brief)
    with pytest.raises(WriterClosed):
        await writer.read(_kept)
    await writer.close()  # a second time does nothing


async def test_what_closing_has_no_patience_for_was_never_written(
    database: Database, ledger: Ledger, clock: Callable[[], datetime], brief: bool
) -> None:
    writer = Writer(database, now=clock)
    with _held(writer) as door:
        await _until(door.entered.is_set)
        late = asyncio.ensure_future(writer.run(ledger.keep, [1], brief=brief))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(writer.close(patience_seconds=0))
        await _until(lambda: writer.waiting == 1)
    await closing

    with pytest.raises(WriterClosed):
        await late
    with database.reading() as connection:
        assert _kept(connection) == []


@pytest.mark.parametrize("when", ["inside a unit", "at the commit"])
async def test_the_death_of_the_thread_is_told_and_leaves_nobody_waiting(
    when: str, database: Database, clock: Callable[[], datetime], brief: bool
) -> None:
    deaths: list[BaseException] = []
    writer = Writer(database, now=clock, on_death=deaths.append)

    def deadly(_connection: Connection, _requests: Sequence[None], _now: datetime) -> list[None]:
        raise SystemExit

    class Interrupted(Transactor):
        def settle(self, jobs: Sequence[AnyJob], decided: Decided | Exception | None) -> bool:  # noqa: ARG002 -- overridden
            raise SystemExit

    if when == "at the commit":
        writer._transactor = Interrupted(database, now=clock, observer=Unobserved())
    results = await asyncio.gather(
        writer.run(deadly, [None], brief=brief),
        writer.run(deadly, [None], brief=brief),
        return_exceptions=True,
    )

    assert all(isinstance(result, StorageUnavailable | WriterClosed) for result in results)
    await _until(lambda: len(deaths) == 1)
    with pytest.raises(WriterClosed):
        await writer.run(deadly, [None], brief=brief)
    await writer.close()


async def test_a_commit_is_told_before_its_callers_go_on(writer: Writer, ledger: Ledger, brief: bool) -> None:
    order: list[str] = []
    forget = writer.when_committed(lambda: order.append("committed"))

    await writer.run(ledger.keep, [1], brief=brief)
    order.append("answered")
    await asyncio.gather(writer.run(ledger.keep, [13], brief=brief), return_exceptions=True)
    forget()
    await writer.run(ledger.keep, [2], brief=brief)

    assert order == ["committed", "answered"]


async def test_a_query_sees_what_was_committed_before_it_was_asked(
    writer: Writer, ledger: Ledger, brief: bool
) -> None:
    await writer.run(ledger.keep, [1], brief=brief)

    assert await writer.read(_kept) == [1]


class Observed:
    """Remembers what the writer tells."""

    def __init__(self) -> None:
        self.transactions: list[tuple[str, int]] = []
        self.retries: list[str] = []
        self.turns: list[tuple[float, float]] = []

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:
        """Note it."""
        assert seconds >= 0
        self.transactions.append((kind, requests))

    def transaction_retried(self, reason: str) -> None:
        """Note it."""
        self.retries.append(reason)

    def turn_ended(self, waited_seconds: float, held_seconds: float) -> None:
        """Note it."""
        self.turns.append((waited_seconds, held_seconds))


async def test_every_transaction_is_observed_with_its_requests(
    database: Database, ledger: Ledger, clock: Callable[[], datetime], brief: bool
) -> None:
    observed = Observed()
    async with Writer(database, now=clock, observer=observed) as writer:
        await asyncio.gather(*(writer.run(ledger.keep, [number], brief=brief) for number in range(7)))
        await writer.read(_kept)

    assert observed.transactions == [("write", 7), ("read", 1)]
    # Only where several processes write do they take turns.
    assert len(observed.turns) == database.is_remote


async def test_a_storage_fault_is_everybodys_and_passes(
    database: Database, ledger: Ledger, clock: Callable[[], datetime], brief: bool
) -> None:
    broken = True

    def faulty(connection: Connection, numbers: Sequence[int], now: datetime) -> list[int | Refused]:
        if broken:
            raise StorageUnavailable(StorageFault.INPUT_OUTPUT)
        return ledger.keep(connection, numbers, now)

    observed = Observed()
    async with Writer(database, now=clock, observer=observed) as writer:
        results = await asyncio.gather(
            writer.run(faulty, [1], brief=brief),
            writer.run(ledger.keep, [2], brief=brief),
            return_exceptions=True,
        )
        broken = False
        recovered = await writer.run(faulty, [3], brief=brief)

    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert (recovered, observed.retries) == ([30], ["disconnect"])


def place_of_brief_units(database: Database) -> str:
    """Return the thread on which brief units are decided: the loop never waits for a network."""
    return "writer" if database.is_remote else threading.main_thread().name


async def test_brief_units_are_decided_on_the_loop_and_others_are_not(
    database: Database, writer: Writer, ledger: Ledger
) -> None:
    threads: list[str] = []

    def note(_connection: Connection, requests: Sequence[None], _now: datetime) -> Sequence[None]:
        threads.append(threading.current_thread().name)
        return requests

    await writer.run(note, [None], brief=True)
    await writer.run(note, [None])
    await asyncio.gather(writer.run(note, [None], brief=True), writer.run(ledger.keep, [1]))

    assert threads == [place_of_brief_units(database), "writer", "writer"]


async def test_the_loop_decides_no_more_at_a_time_than_other_calls_can_wait_for(
    database: Database, writer: Writer, ledger: Ledger
) -> None:
    alone = list(range(1_000, 1_200))

    await asyncio.gather(
        *(writer.run(ledger.keep, [number], brief=True) for number in range(20, 220)),
        writer.run(ledger.keep, alone, brief=True),
    )

    assert [len(call) for call in ledger.calls] == [128, 72, 200]
    assert ledger.threads == [place_of_brief_units(database)] * 2 + ["writer"]


async def test_a_brief_unit_waits_for_a_busy_connection_without_holding_up_the_loop(
    database: Database, writer: Writer, ledger: Ledger
) -> None:
    with database.writer_engine.connect():
        waiting = asyncio.ensure_future(writer.run(ledger.keep, [1], brief=True))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()

    assert await waiting == [10]


async def test_whoever_could_not_show_because_the_loop_was_held_up_is_waited_for(
    writer: Writer, ledger: Ledger
) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(writer.run(ledger.keep, [number], brief=True) for number in range(5)))

    first = asyncio.ensure_future(writer.run(ledger.keep, [10], brief=True))
    await asyncio.sleep(0)
    held_up_until = loop.time() + 0.004
    while loop.time() < held_up_until:
        pass
    await asyncio.sleep(0)
    second = asyncio.ensure_future(writer.run(ledger.keep, [11], brief=True))
    await asyncio.gather(first, second)

    assert ledger.calls[-1] == [10, 11]


async def test_a_lone_caller_waits_for_nobody_and_a_crowd_shares_transactions(
    database: Database, ledger: Ledger, clock: Callable[[], datetime]
) -> None:
    crowd, calls_each = 20, 10

    async def call_on(first: int) -> None:
        for number in range(first, first + calls_each):
            await writer.run(ledger.keep, [number], brief=True)

    async with Writer(database, now=clock) as writer:
        await asyncio.gather(*(call_on(100 * caller) for caller in range(1, crowd + 1)))

    # Everybody who is answered together calls again together: nobody is left to a transaction of his own.
    assert len(ledger.calls) == calls_each
