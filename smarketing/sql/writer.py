"""The one way to write: units of work that wait together share one transaction and one fsync.

    event loop                                              writer thread
    run(unit, requests) ──► gathered while the one before
                            is on its way to the disk
                            BEGIN, brief units … ─────────► COMMIT
                            units of any other kind ──────► BEGIN, units …, COMMIT
         ▲                                                    │
         └────────── one wake-up of the loop for all ◄────────┘

While one transaction reaches the disk the next one gathers, so batches grow by themselves
with the load, and a lone request waits for nobody. Brief units run on the event loop itself:
every statement gives up the interpreter's lock, and on a thread of its own a unit would have to
win it back from the busy loop each time, which costs more than the unit. On PostgreSQL, where every
statement is a trip over the network, all units run on the thread; callers see no difference.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Self, TypeAlias, TypeVar, cast

import structlog
from sqlalchemy import Connection

from smarketing.sql.engine import Database
from smarketing.sql.errors import ReadersBusy, StorageFault, StorageUnavailable, WriterBusy, WriterClosed
from smarketing.sql.tenancy import Scope, confined, current_scope
from smarketing.sql.transacting import (
    AnyJob,
    Decided,
    Job,
    NotBefore,
    StorageObserver,
    Transactor,
    Unit,
    Unobserved,
)

__all__ = ["StorageObserver", "Unit", "Unobserved", "Writer", "end_process"]

_log = structlog.get_logger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")

_EXIT_SOFTWARE: Final = 70
_QUIET_SECONDS: Final = 0.001
"""Callers are taken to be all there when none came for so long."""
_MOST_LOOKS: Final = 10
"""How often it is looked whether others came to join what is gathered: some ten milliseconds, or turns of a
loop that is busy with other calls for longer than that."""
_MOST_BRIEF: Final = 128
"""Requests decided on the event loop at a time: every other call waits for them, some 25 ms."""


_Work: TypeAlias = tuple[Sequence[AnyJob], Decided | BaseException | None]
"""Jobs to bring to their end, and how far they are."""


def end_process(error: BaseException) -> None:
    """End this process at once: without its writer thread it could only pretend to serve."""
    _log.critical("writer_thread_died", exc_info=error)
    os._exit(_EXIT_SOFTWARE)


class Writer:
    """Runs units of work one transaction at a time, and queries on a few threads.

    Belongs to the event loop that first calls it. `max_waiting` bounds the requests taken on and
    not yet answered; `max_batch` those of one transaction (a single larger `run` goes alone).
    `on_death` is called, on the writer's thread, when that thread cannot go on.
    `not_before` finds the latest instant that the database remembers: no transaction's `now` lies before
    it, whichever process wrote it.

    With `sharing`, where a server holds the database, its transactions have their turn together with those
    of other writers that share theirs: no two of these may touch the same rows, but for what they lock.
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
        not_before: NotBefore | None = None,
        sharing: bool = False,
    ) -> None:
        self._database = database
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._max_reading = max_reading
        self._observer: StorageObserver = observer or Unobserved()
        self._on_death = on_death
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._transactor = Transactor(
            database, now=now, observer=self._observer, not_before=not_before, sharing=sharing
        )
        self._gathered: deque[AnyJob] = deque()
        self._inbox: SimpleQueue[_Work | None] = SimpleQueue()
        self._pacing = False
        self._under_way = False
        self._siblings = 0
        self._waiting = 0
        self._reading = 0
        self._closed = False
        self._stopping = False
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

    async def run(self, unit: Unit[Q, A], requests: Sequence[Q], *, brief: bool = False) -> list[A]:
        """Return the unit's answer to each request, after the commit that makes them durable.

        All requests of one call are in one transaction. Calls that wait together with an equal
        `unit` reach it as one sequence. An answer may be an exception: that request was refused.
        Cancelling the caller does not cancel the write. A `brief` unit spends well under a millisecond
        on a request and touches only the connection: it may run on the event loop itself.

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
        self._gathered.append(Job(unit, requests, future, brief=brief, scope=current_scope()))
        self._pace()
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
            running = self._bind_loop().run_in_executor(self._readers, self._query, query, current_scope())
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

    def announce(self) -> None:
        """Call back, soon, whoever listens for commits: this writer made one, or another process did."""
        for callback in tuple(self._committed.values()):
            # Each by itself, so that one that fails harms nobody else.
            self._schedule(callback)

    async def close(self, *, patience_seconds: float = 10.0) -> None:
        """Take on nothing more, finish what waits, and end the threads.

        What the writer could not begin within `patience_seconds` is refused with `WriterClosed`.
        """
        self._closed = True
        self._stop_when_idle()
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, self._ended.wait, patience_seconds):
            self._refuse_gathered()
            self._stop_when_idle()
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
        # Asking for the running loop is a call of the system; a thread runs one loop at a time.
        if self._loop is not None and self._loop_thread == threading.get_ident() and self._loop.is_running():
            return self._loop
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise RuntimeError("a writer belongs to one event loop")
            self._loop, self._loop_thread = loop, threading.get_ident()
        return loop

    def _pace(self) -> None:
        """See to it that the next transaction begins, once none is under way and the callers are there."""
        if self._loop is None or self._pacing or self._under_way or not self._gathered:
            return
        self._pacing = True
        if self._siblings > 1:
            self._look_later(_MOST_LOOKS)
        else:
            # Whoever else is ready in this turn of the loop joins the same batch.
            self._loop.call_soon(self._begin)

    def _look_later(self, looks: int) -> None:
        if self._loop is not None:
            due = self._loop.time() + _QUIET_SECONDS
            self._loop.call_at(due, self._look_for_more, len(self._gathered), due, looks)

    def _look_for_more(self, seen: int, due: float, looks: int) -> None:
        # A loop that comes late was busy with others: who waits in its sockets could not show yet.
        is_late = self._loop is not None and self._loop.time() - due >= _QUIET_SECONDS
        if looks > 1 and (is_late or len(self._gathered) != seen):
            self._look_later(looks - 1)
        else:
            self._begin()

    def _begin(self) -> None:
        self._pacing = False
        if self._ended.is_set():
            self._refuse_gathered()
        if not self._gathered:
            return
        self._under_way = True
        batch = self._next_batch()
        decided: Decided | BaseException | None = None
        few = sum(len(job.requests) for job in batch) <= _MOST_BRIEF
        brief = few and all(job.brief for job in batch)
        if brief and self._database.is_writer_idle:
            try:
                decided = self._transactor.decide(batch)
            except BaseException as error:  # noqa: BLE001 -- the writer's thread dies of it, and tells
                decided = error
        self._siblings = len(batch) if brief else 0
        self._inbox.put((batch, decided))
        if self._ended.is_set():
            # The thread died between: it looks into the inbox after it has ended, and so do we.
            self._answer(self._left_in_inbox(), committed=False)

    def _next_batch(self) -> list[AnyJob]:
        batch = [self._gathered.popleft()]
        most = min(self._max_batch, _MOST_BRIEF) if batch[0].brief else self._max_batch
        room = most - len(batch[0].requests)
        while self._gathered and len(self._gathered[0].requests) <= room:
            room -= len(self._gathered[0].requests)
            batch.append(self._gathered.popleft())
        return batch

    def _refuse_gathered(self) -> None:
        refused = list(self._gathered)
        self._gathered.clear()
        self._settle(refused)

    def _stop_when_idle(self) -> None:
        if self._closed and not self._stopping and not self._gathered and not self._under_way:
            self._stopping = True
            self._inbox.put(None)

    def _left_in_inbox(self) -> list[AnyJob]:
        left: list[AnyJob] = []
        while True:
            try:
                work = self._inbox.get_nowait()
            except Empty:
                return left
            left += work[0] if work is not None else ()

    def _answer(self, jobs: Sequence[AnyJob], committed: bool) -> None:
        self._under_way = False
        if committed:
            # Ahead of the callers below.
            self.announce()
        self._settle(jobs)
        self._pace()
        self._stop_when_idle()

    def _settle(self, jobs: Sequence[AnyJob]) -> None:
        self._waiting -= sum(len(job.requests) for job in jobs)
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

    def _query(self, query: Callable[[Connection], T], scope: Scope) -> T:
        began = time.perf_counter()
        try:
            with confined(scope), self._database.reading() as connection:
                return query(connection)
        finally:
            self._observer.transaction_ended("read", time.perf_counter() - began, 1)

    # On the writer's thread.

    def _work(self) -> None:
        batch: Sequence[AnyJob] = ()
        try:
            while (work := self._inbox.get()) is not None:
                batch, decided = work
                if isinstance(decided, BaseException) and not isinstance(decided, Exception):
                    raise decided
                self._hand_back(batch, committed=self._transactor.settle(batch, decided))
                batch = ()
        except BaseException as error:  # noqa: BLE001 -- the thread's death must be told, whatever killed it
            self._closed = True
            self._ended.set()
            for job in batch:  # begun, perhaps even committed: nobody knows
                job.result = StorageUnavailable(StorageFault.UNREACHABLE)
            self._hand_back([*batch, *self._left_in_inbox()], committed=False)
            self._on_death(error)
        finally:
            self._ended.set()

    def _hand_back(self, jobs: Sequence[AnyJob], *, committed: bool) -> None:
        if self._loop is None or not jobs:
            return
        try:
            self._loop.call_soon_threadsafe(self._answer, jobs, committed)
        except RuntimeError:
            _log.info("answers_unclaimed", jobs=len(jobs))  # the loop is closed: nobody waits any more
