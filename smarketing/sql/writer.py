"""The one way to write: units of work that wait together share one transaction and one fsync.

    event loop                                   writer thread
    run(unit, requests) ──► gathered until ──► takes all that waits ──► BEGIN
         ▲                  the loop turns                              unit(connection, requests, now) …
         └────────── one wake-up of the loop for the transaction ◄──── COMMIT

While one transaction reaches the disk the next one gathers, so batches grow by themselves
with the load, and a lone request waits for nobody. PostgreSQL joins by several such threads
(lanes) and a small linger, both inside this class; callers see no difference.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Generic, Literal, Protocol, Self, TypeAlias, TypeVar, cast

import structlog
from sqlalchemy import Connection

from smarketing.sql.engine import Database
from smarketing.sql.errors import (
    ReadersBusy,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnavailable,
    UnitBroken,
    WriterBusy,
    WriterClosed,
    storage_error_of,
)

_log = structlog.get_logger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")

Unit: TypeAlias = Callable[[Connection, Sequence[Q], datetime], Sequence[A]]
"""One unit of work: gives an answer to each request, in order, reading and writing by the connection alone.

An answer that is an exception refuses its request: the unit wrote nothing for it.
A unit may be given the requests of several callers at once, and may be run again after a rollback.
"""

_EXIT_SOFTWARE: Final = 70


class StorageObserver(Protocol):
    """Is told what the writer and the readers do. Called from their threads: be quick, never raise."""

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:
        """A transaction ended, by commit or rollback, after serving so many requests."""

    def transaction_retried(self, reason: str) -> None:
        """A transaction failed for a passing fault: `busy` or `disconnect`."""


class Unobserved:
    """Notes nothing."""

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:
        """Do nothing."""

    def transaction_retried(self, reason: str) -> None:
        """Do nothing."""


def end_process(error: BaseException) -> None:
    """End this process at once: without its writer thread it could only pretend to serve."""
    _log.critical("writer_thread_died", exc_info=error)
    os._exit(_EXIT_SOFTWARE)


class _Job(Generic[Q, A]):
    """The requests of one `run`, and the future its caller waits on."""

    __slots__ = ("future", "requests", "result", "unit")

    def __init__(self, unit: Unit[Q, A], requests: Sequence[Q], future: asyncio.Future[list[A]]) -> None:
        self.unit = unit
        self.requests = requests
        self.future = future
        self.result: list[A] | BaseException = WriterClosed()


_AnyJob: TypeAlias = _Job[Any, Any]


class Writer:
    """Runs units of work one transaction at a time, on a thread of its own, and queries on a few others.

    Belongs to the event loop that first calls it. `max_waiting` bounds the requests taken on and
    not yet answered; `max_batch` those of one transaction (a single larger `run` goes alone).
    `on_death` is called, on the writer's thread, when that thread cannot go on.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        max_waiting: int = 2048,
        max_batch: int = 1024,
        max_reading: int = 512,
        observer: StorageObserver | None = None,
        on_death: Callable[[BaseException], None] = end_process,
    ) -> None:
        self._database = database
        self._now = now
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._max_reading = max_reading
        self._observer: StorageObserver = observer or Unobserved()
        self._on_death = on_death
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gathered: list[_AnyJob] = []
        self._inbox: SimpleQueue[list[_AnyJob] | None] = SimpleQueue()
        self._waiting = 0
        self._reading = 0
        self._closed = False
        self._abandoned = False
        self._committed: dict[object, Callable[[], None]] = {}
        self._ended = threading.Event()
        self._readers = ThreadPoolExecutor(database.reader_count, thread_name_prefix="reader")
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests taken on and not yet answered."""
        return self._waiting

    @property
    def reading(self) -> int:
        """Queries taken on and not yet answered."""
        return self._reading

    @property
    def database(self) -> Database:
        """The database that is written."""
        return self._database

    async def run(self, unit: Unit[Q, A], requests: Sequence[Q]) -> list[A]:
        """Return the unit's answer to each request, after the commit that makes them durable.

        All requests of one call are in one transaction. Calls that wait together with an equal
        `unit` reach it as one sequence. An answer may be an exception: that request was refused.
        Cancelling the caller does not cancel the write.

        Raises:
            WriterBusy: when too many requests wait; nothing was taken on.
            WriterClosed: when the writer is closed, or closed before it began; nothing was written.
            StorageFull, StorageUnavailable, StorageCorrupt: when storage is at fault; nothing was
                written, except that a fault *during* a commit leaves the outcome unknown.
            Exception: whatever the unit itself raised; nothing was written.
        """
        loop = self._bind_loop()
        if self._closed:
            raise WriterClosed
        if not requests:
            return []
        if self._waiting and self._waiting + len(requests) > self._max_waiting:
            raise WriterBusy(self._waiting)
        future: asyncio.Future[list[A]] = loop.create_future()
        self._waiting += len(requests)
        if not self._gathered:
            # Whoever else is ready in this turn of the loop joins the same batch, and the same wake-up.
            loop.call_soon(self._hand_over)
        self._gathered.append(_Job(unit, requests, future))
        return await future

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Return what the query finds, in one read transaction on a reader's thread.

        Raises:
            ReadersBusy: when too many queries wait.
            StorageError: when storage is at fault.
        """
        if self._closed:
            raise WriterClosed
        if self._reading >= self._max_reading:
            raise ReadersBusy(self._reading)
        self._reading += 1
        try:
            running = self._bind_loop().run_in_executor(self._readers, self._query, query)
        except BaseException:
            self._reading -= 1
            raise
        running.add_done_callback(self._read_ended)
        return await running

    def when_committed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on the event loop after every commit, before its callers are answered.

        Returns:
            A function that ends this.
        """
        key = object()
        self._committed[key] = callback
        return lambda: cast("None", self._committed.pop(key, None))

    async def close(self, *, patience_seconds: float = 10.0) -> None:
        """Take on nothing more, finish what waits, and end the threads.

        What the writer could not begin within `patience_seconds` is refused with `WriterClosed`.
        """
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._inbox.put(None)
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, self._ended.wait, patience_seconds):
            self._abandoned = True
            await loop.run_in_executor(None, self._ended.wait)
        # The last answers were scheduled on the loop before the thread ended: let them through.
        await asyncio.sleep(0)
        await loop.run_in_executor(None, self._readers.shutdown)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # On the event loop.

    def _bind_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("a writer belongs to one event loop")
            self._loop = loop
        return loop

    def _hand_over(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._inbox.put(gathered)
        if self._ended.is_set():
            # The thread died between: it looks into the inbox after it has ended, and so do we.
            self._answer(self._left_in_inbox(), committed=False)

    def _left_in_inbox(self) -> list[_AnyJob]:
        left: list[_AnyJob] = []
        while True:
            try:
                left += self._inbox.get_nowait() or ()
            except Empty:
                return left

    def _answer(self, jobs: Sequence[_AnyJob], committed: bool) -> None:
        self._waiting -= sum(len(job.requests) for job in jobs)
        if committed:
            for callback in tuple(self._committed.values()):
                # Scheduled ahead of the callers below; one that fails harms nobody else.
                self._schedule(callback)
        for job in jobs:
            future = job.future
            if future.done():  # its caller was cancelled meanwhile
                continue
            if isinstance(job.result, BaseException):
                future.set_exception(job.result)
            else:
                future.set_result(job.result)

    def _schedule(self, callback: Callable[[], None]) -> None:
        if self._loop is not None:
            self._loop.call_soon(callback)

    def _read_ended(self, _future: object) -> None:
        self._reading -= 1

    # On a reader's thread.

    def _query(self, query: Callable[[Connection], T]) -> T:
        began = time.perf_counter()
        try:
            with self._database.reading() as connection:
                return query(connection)
        finally:
            self._observer.transaction_ended("read", time.perf_counter() - began, 1)

    # On the writer's thread.

    def _work(self) -> None:
        backlog: deque[_AnyJob] = deque()
        batch: list[_AnyJob] = []
        try:
            while self._gather(backlog):
                batch = self._next_batch(backlog)
                committed = not self._abandoned and self._write(batch)
                self._hand_back(batch, committed=committed)
                batch = []
        except BaseException as error:  # noqa: BLE001 -- the thread's death must be told, whatever killed it
            self._closed = True
            self._ended.set()
            for job in batch:  # begun, perhaps even committed: nobody knows
                job.result = StorageUnavailable(StorageFault.UNREACHABLE)
            self._hand_back([*batch, *backlog, *self._left_in_inbox()], committed=False)
            self._on_death(error)
        finally:
            self._ended.set()

    def _gather(self, backlog: deque[_AnyJob]) -> bool:
        """Take on what waits; block only when there is nothing to do. False at the end."""
        while not backlog or not self._inbox.empty():
            gathered = self._inbox.get()
            if gathered is None:
                # Nothing follows: `run` refuses once closed. Ask for the end again after the backlog.
                self._inbox.put(None)
                return bool(backlog)
            backlog.extend(gathered)
        return True

    def _next_batch(self, backlog: deque[_AnyJob]) -> list[_AnyJob]:
        batch = [backlog.popleft()]
        room = self._max_batch - len(batch[0].requests)
        while backlog and len(backlog[0].requests) <= room:
            room -= len(backlog[0].requests)
            batch.append(backlog.popleft())
        return batch

    def _write(self, batch: list[_AnyJob]) -> bool:
        """Fill in the result of every job; say whether anything was committed."""
        error = self._transact(batch)
        if error is None:
            return True
        # A full disk may still have room for the smaller ones; any other fault of storage is everybody's.
        for_all = isinstance(error, StorageError) and not isinstance(error, StorageFull)
        if len(batch) == 1 or for_all:
            for job in batch:
                job.result = error
            return False
        # Somebody's unit failed: alone, each gets what is due to it.
        committed = False
        for job in batch:
            own_error = self._transact([job])
            committed = committed or own_error is None
            if own_error is not None:
                job.result = own_error
        return committed

    def _transact(self, batch: Sequence[_AnyJob]) -> Exception | None:
        """Run the jobs in one transaction; return None after its commit, else why it was rolled back."""
        began = time.perf_counter()
        requests = sum(len(job.requests) for job in batch)
        try:
            with self._database.writer_engine.connect() as connection:
                try:
                    with connection.begin():
                        now = self._instant()
                        for unit, jobs in _by_unit(batch).items():
                            _run_unit(unit, jobs, connection, now)
                except Exception as error:  # noqa: BLE001 -- every failure is the callers' to receive
                    return self._blame(error, connection)
        except Exception as error:  # noqa: BLE001 -- connecting failed, or giving the connection back did
            return self._blame(error, None)
        finally:
            self._observer.transaction_ended("write", time.perf_counter() - began, requests)
        return None

    def _instant(self) -> datetime:
        """Return the transaction's one instant, which never lies before the last transaction's."""
        self._latest = max(self._latest, self._now())
        return self._latest

    def _blame(self, error: Exception, connection: Connection | None) -> Exception:
        fault = storage_error_of(error)
        if fault is None:
            return error
        if isinstance(fault, StorageUnavailable):
            if fault.fault is StorageFault.INPUT_OUTPUT and self._database.is_out_of_room():
                return StorageFull("the disk is full, or the file may not grow further")
            if connection is not None and fault.fault is not StorageFault.LOCKED and self._database.path:
                # A connection that met a failing device starts afresh once the device works again.
                connection.invalidate()
            self._observer.transaction_retried("busy" if fault.fault is StorageFault.LOCKED else "disconnect")
        _log.warning("transaction_refused", fault=str(fault))
        fault.__cause__ = error if fault is not error else None
        return fault

    def _hand_back(self, jobs: Sequence[_AnyJob], *, committed: bool) -> None:
        if self._loop is None or not jobs:
            return
        try:
            self._loop.call_soon_threadsafe(self._answer, jobs, committed)
        except RuntimeError:
            _log.info("answers_unclaimed", jobs=len(jobs))  # the loop is closed: nobody waits any more


def _by_unit(batch: Sequence[_AnyJob]) -> dict[Unit[Any, Any], list[_AnyJob]]:
    """Return the jobs of each unit, units in the order of their first job."""
    jobs_of: dict[Unit[Any, Any], list[_AnyJob]] = {}
    for job in batch:
        jobs_of.setdefault(job.unit, []).append(job)
    return jobs_of


def _run_unit(unit: Unit[Any, Any], jobs: Sequence[_AnyJob], connection: Connection, now: datetime) -> None:
    requests = jobs[0].requests if len(jobs) == 1 else [request for job in jobs for request in job.requests]
    answers = unit(connection, requests, now)
    if len(answers) != len(requests):
        raise UnitBroken(unit, requests=len(requests), answers=len(answers))
    first = 0
    for job in jobs:
        behind = first + len(job.requests)
        job.result = list(answers[first:behind])
        first = behind
