"""A follower misses nothing of what several replicas record at once (F32, F9; traps T1, T2, T4).

Two connections, each step told when to happen: the cases in which readers of other logs lost events.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic
from typing import Final

import psycopg
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import Connection, MetaData, text

from smarketing.eventlog.outbox import NewEvent, append
from smarketing.eventlog.reading import ensure_identity, read
from smarketing.eventlog.tables import define_tables
from smarketing.sql import Database, open_database
from tests.builders import postgres

NOON: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WHOLE: Final = "tenants/-"
OTHERS_WAIT: Final = timedelta(seconds=30)


def an_event(name: str, *, tenant: str = "acme", subject: str = "") -> NewEvent:
    return NewEvent(
        tenant=f"tenants/{tenant}",
        subject=f"tenants/{tenant}/leads/{subject or name}",
        occur_time=NOON,
        actor="people/kim",
        payload=StringValue(value=name),
    )


@dataclass
class Follower:
    """Reads behind its cursor, and takes only the position after its last."""

    database: Database
    view: str = WHOLE
    seen: list[str] = field(default_factory=list)

    def catch_up(self) -> list[str]:
        """Return all that was seen so far."""
        with self.database.reading() as connection:
            page = read(connection, self.view, after=len(self.seen), limit=1000)
        for event in page.events:
            assert event.position == len(self.seen) + 1
            self.seen.append(StringValue.FromString(event.payload.value).value)
        assert page.head_position == len(self.seen)
        return self.seen


class Replica:
    """A writer of its own, whose transactions are begun and ended when the test says."""

    def __init__(self, url: str) -> None:
        self.database = open_database(url, busy_timeout=OTHERS_WAIT)
        self._thread = ThreadPoolExecutor(1)
        self._open: list[Connection] = []

    def begins(self, *names: str) -> "Future[None]":
        """Begin a transaction that records the events, and leave it open."""

        def begin() -> None:
            connection = self.database.writer_engine.connect()
            connection.begin()
            append(connection, [an_event(name) for name in names], now=NOON)
            self._open.append(connection)

        return self._thread.submit(begin)

    def records(self, *names: str) -> "Future[None]":
        """Record the events in a transaction of their own."""
        self.begins(*names)
        return self._thread.submit(self._end, Connection.commit)

    def commits(self) -> None:
        """Commit what is open."""
        self._thread.submit(self._end, Connection.commit).result(30)

    def rolls_back(self) -> None:
        """Give up what is open."""
        self._thread.submit(self._end, Connection.rollback).result(30)

    def close(self) -> None:
        """End all of it."""
        self._thread.shutdown()
        self.database.close()

    def _end(self, how: Callable[[Connection], None]) -> None:
        with self._open.pop() as connection:
            how(connection)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url, open_database(url) as database:
        metadata = MetaData()
        define_tables(metadata)
        with database.writer_engine.begin() as connection:
            metadata.create_all(connection)
            ensure_identity(connection, new_log_id=lambda: "6f1f6c62-3a54-4a5e-9b5f-2f6d0d9f7c11")
            connection.execute(text("CREATE TABLE other (number BIGINT)"))
        yield url


@pytest.fixture
def pair(url: str) -> Iterator[tuple[Replica, Replica, Follower]]:
    one, other = Replica(url), Replica(url)
    yield one, other, Follower(one.database)
    one.close()
    other.close()


def waits_for_a_lock(url: str) -> bool:
    """Whether somebody stands still behind somebody else, once it is so."""
    ends = monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while monotonic() < ends:
            found = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if found != (0,):
                return True
    return False


def test_nothing_newer_shows_before_what_an_older_transaction_records(
    pair: tuple[Replica, Replica, Follower], url: str
) -> None:
    slow, fast, follower = pair
    slow.begins("a").result(30)
    later = fast.records("b")

    assert waits_for_a_lock(url)
    assert follower.catch_up() == []
    slow.commits()
    later.result(30)
    assert follower.catch_up() == ["a", "b"]


def test_a_slow_transaction_that_began_before_a_faster_one_is_not_passed_over(
    pair: tuple[Replica, Replica, Follower], url: str
) -> None:
    slow, fast, follower = pair
    fast.records("first").result(30)
    assert follower.catch_up() == ["first"]
    slow.begins("slow").result(30)
    later = fast.records("fast")
    assert waits_for_a_lock(url)
    assert follower.catch_up() == ["first"]
    slow.commits()
    later.result(30)

    assert follower.catch_up() == ["first", "slow", "fast"]


def test_events_of_one_transaction_stay_together_whoever_else_records(
    pair: tuple[Replica, Replica, Follower], url: str
) -> None:
    slow, fast, follower = pair
    slow.begins("a1", "a2").result(30)
    later = fast.records("b1", "b2", "b3")
    assert waits_for_a_lock(url)
    slow.commits()
    later.result(30)

    assert follower.catch_up() == ["a1", "a2", "b1", "b2", "b3"]


def test_what_was_rolled_back_leaves_neither_hole_nor_wait(
    pair: tuple[Replica, Replica, Follower], url: str
) -> None:
    slow, fast, follower = pair
    slow.begins("never").result(30)
    later = fast.records("b")
    assert waits_for_a_lock(url)
    slow.rolls_back()
    later.result(30)
    slow.records("c").result(30)

    assert follower.catch_up() == ["b", "c"]


def test_a_foreign_transaction_that_stays_open_holds_up_nobody(
    pair: tuple[Replica, Replica, Follower], url: str
) -> None:
    one, other, follower = pair
    with psycopg.connect(url) as foreign:
        foreign.execute("INSERT INTO other VALUES (1)")
        one.records("a").result(30)
        other.records("b").result(30)

        assert follower.catch_up() == ["a", "b"]


def test_many_at_once_some_of_whom_fail_are_read_once_each_and_without_hole(url: str) -> None:
    with _several(url, 4) as replicas:
        follower = Follower(replicas[0].database)
        of_acme = Follower(replicas[0].database, "tenants/acme")
        with ThreadPoolExecutor(5) as threads:
            busy = [threads.submit(_record_some, each, n) for n, each in enumerate(replicas)]
            while not all(each.done() for each in busy):
                follower.catch_up()
            recorded = [name for each in busy for name in each.result()]

        assert sorted(follower.catch_up()) == sorted(recorded)
        assert sorted(of_acme.catch_up()) == sorted(name for name in recorded if name.startswith("acme"))


@contextmanager
def _several(url: str, count: int) -> Iterator[Sequence[Replica]]:
    replicas = [Replica(url) for _ in range(count)]
    yield replicas
    for each in replicas:
        each.close()


def _record_some(replica: Replica, seed: int) -> list[str]:
    """Record some thirty events of two tenants, and fail now and then at the end of a transaction."""
    chance = Random(seed)
    recorded: list[str] = []
    for number in range(20):
        names = [
            f"{chance.choice(('acme', 'blue'))}-{seed}-{number}-{part}"
            for part in range(chance.randint(1, 2))
        ]
        events = [an_event(name, tenant=name[:4], subject=str(number % 3)) for name in names]
        with replica.database.writer_engine.connect() as connection:
            transaction = connection.begin()
            append(connection, events, now=NOON)
            if chance.random() < 0.15:
                transaction.rollback()
                continue
            transaction.commit()
        recorded += names
    return recorded
