"""One transaction at a time over the writing connection: jobs are decided in it, then it is committed.

Deciding and committing are apart, because they may happen on different threads: what is decided
in microseconds is decided on the event loop, while the disk is always waited for elsewhere.
Only one of the two threads is in here at any time.
"""

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

import structlog
from sqlalchemy import Connection, RootTransaction

from smarketing.failpoints import failpoint
from smarketing.sql.engine import Database
from smarketing.sql.errors import (
    CommitUnknown,
    StorageError,
    StorageFault,
    StorageFull,
    StorageUnavailable,
    UnitBroken,
    WriterClosed,
    storage_error_of,
)
from smarketing.sql.postgres import is_connection_lost
from smarketing.sql.tenancy import Scope, confined, confining_statement, together

_log = structlog.get_logger(__name__)

_LOOKS_AGAIN_SECONDS: Final = 0.005
_LOOKS_AGAIN_AT_LATEST_SECONDS: Final = 0.2

_REASONS: Final = {
    StorageFault.LOCKED: "busy",
    StorageFault.DEADLOCK: "deadlock",
    StorageFault.SERIALIZATION: "serialization",
}
_PASSING: Final = frozenset(_REASONS)
"""Faults of nobody but the others who wrote at the same time."""

Q = TypeVar("Q")
A = TypeVar("A")

Unit: TypeAlias = Callable[[Connection, Sequence[Q], datetime], Sequence[A]]
"""One unit of work: gives an answer to each request, in order, reading and writing by the connection alone.

An answer that is an exception refuses its request: the unit wrote nothing for it.
A unit may be given the requests of several callers at once, and may be run again after a rollback.
"""

NotBefore: TypeAlias = Callable[[Connection], datetime | None]
"""Finds the latest instant that the database remembers; None when it remembers none."""


class StorageObserver(Protocol):
    """Is told what the writer and the readers do. Called from their threads: be quick, never raise."""

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:
        """A transaction ended, by commit or rollback, after serving so many requests."""

    def transaction_retried(self, reason: str) -> None:
        """A transaction failed for a passing fault: `busy`, `deadlock`, `serialization` or `disconnect`."""

    def turn_ended(self, waited_seconds: float, held_seconds: float) -> None:
        """A transaction that had to take its turn was committed: how long it waited for it, and held it."""


class Unobserved:
    """Notes nothing."""

    def transaction_ended(self, kind: Literal["read", "write"], seconds: float, requests: int) -> None:
        """Do nothing."""

    def transaction_retried(self, reason: str) -> None:
        """Do nothing."""

    def turn_ended(self, waited_seconds: float, held_seconds: float) -> None:
        """Do nothing."""


class Job(Generic[Q, A]):
    """The requests of one `run`, and the future its caller waits on."""

    __slots__ = ("brief", "future", "requests", "result", "scope", "unit")

    def __init__(
        self,
        unit: Unit[Q, A],
        requests: Sequence[Q],
        future: asyncio.Future[list[A]],
        *,
        brief: bool,
        scope: Scope = None,
    ) -> None:
        self.unit = unit
        self.requests = requests
        self.future = future
        self.brief = brief
        self.scope = scope
        self.result: list[A] | BaseException = WriterClosed()


AnyJob: TypeAlias = Job[Any, Any]


class Decided:
    """Jobs that were decided in a transaction which waits to be committed."""

    __slots__ = ("asked", "began", "connection", "transaction", "turn")

    def __init__(
        self, connection: Connection, transaction: RootTransaction, *, began: float, asked: float, turn: float
    ) -> None:
        self.connection = connection
        self.transaction = transaction
        self.began = began
        self.asked = asked
        """When the turn to write was asked for."""
        self.turn = turn
        """When it came."""


class Transactor:
    """Decides jobs and commits them; every failure becomes the result of the jobs it belongs to."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        observer: StorageObserver,
        not_before: NotBefore | None = None,
        sharing: bool = False,
    ) -> None:
        self._database = database
        self._engine = database.sharing_engine if sharing else database.writer_engine
        self._now = now
        self._not_before = not_before
        self._observer = observer
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._is_outside = database.is_remote or database.path is not None
        self._chance = random.Random()  # noqa: S311 -- spreads attempts, keeps no secret

    def decide(self, jobs: Sequence[AnyJob]) -> Decided | Exception:
        """Run the jobs' units in a transaction, and leave it open; return why it failed otherwise.

        Waits for no lock. After a failure nothing is open and nothing was written; `settle` goes on from it.
        """
        began = time.perf_counter()
        connection: Connection | None = None
        try:
            connection = self._engine.connect()
            work = _by_unit(jobs)
            scopes = [together(job.scope for job in its_jobs) for its_jobs in work.values()]
            asked = time.perf_counter()
            with confined(scopes[0]):
                transaction = connection.begin()
            turn = time.perf_counter()
            now = self._instant(connection)
            with _garbage_left():
                for (unit, its_jobs), scope, before in zip(
                    work.items(), scopes, [scopes[0], *scopes], strict=False
                ):
                    if scope != before:
                        self._confine(connection, scope)
                    _run_unit(unit, its_jobs, connection, now)
        except Exception as error:  # noqa: BLE001 -- every failure is the callers' to receive
            return self._failed(error, connection, jobs, began)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return Decided(connection, transaction, began=began, asked=asked, turn=turn)

    def settle(self, jobs: Sequence[AnyJob], decided: Decided | Exception | None) -> bool:
        """Bring the jobs to their end: commit what is decided, decide the rest, patiently.

        Fills in the result of every job; says whether anything was committed. Waits for disk and locks.
        """
        error = self._attempt(jobs, decided)
        if error is None:
            return True
        # A full disk may still have room for the smaller ones; any other fault of storage is everybody's.
        for_all = isinstance(error, StorageError) and not isinstance(error, StorageFull)
        if len(jobs) == 1 or for_all:
            for job in jobs:
                job.result = error
            return False
        # Somebody's unit failed: alone, each gets what is due to it.
        committed = False
        for job in jobs:
            own_error = self._attempt([job], None)
            committed = committed or own_error is None
            if own_error is not None:
                job.result = own_error
        return committed

    def _attempt(self, jobs: Sequence[AnyJob], decided: Decided | Exception | None) -> Exception | None:
        """Return None after the commit, else why there was none.

        What failed for a passing reason is begun anew, all of it, as long as patience lasts.
        """
        patience_ends = time.perf_counter() + self._database.lock_patience.total_seconds()
        pause = _LOOKS_AGAIN_SECONDS
        while True:
            if decided is None:
                decided = self.decide(jobs)
            error = decided if isinstance(decided, Exception) else self._commit(jobs, decided)
            if error is None or not self._passes(error) or time.perf_counter() >= patience_ends:
                return error
            # Those who met do not meet again: each waits for a time of its own.
            time.sleep(pause * (0.5 + self._chance.random()))
            pause = min(2 * pause, _LOOKS_AGAIN_AT_LATEST_SECONDS)
            decided = None

    def _passes(self, error: Exception) -> bool:
        """Whether the same jobs may succeed soon, and certainly wrote nothing."""
        if not isinstance(error, StorageUnavailable) or isinstance(error, CommitUnknown):
            return False
        # A server that was away may be back, or only this one connection to it was lost.
        away = self._database.is_remote and error.fault is StorageFault.UNREACHABLE
        return away or error.fault in _PASSING

    def _commit(self, jobs: Sequence[AnyJob], decided: Decided) -> Exception | None:
        try:
            failpoint("writer.before_commit")
            decided.transaction.commit()
            failpoint("writer.after_commit")
        except Exception as error:  # noqa: BLE001 -- every failure is the callers' to receive
            failure = self._failed(error, decided.connection, jobs, decided.began)
            if self._database.is_remote and is_connection_lost(failure):
                return _with_cause(CommitUnknown(StorageFault.UNREACHABLE), error)
            return failure
        if self._database.is_remote:
            self._observer.turn_ended(decided.turn - decided.asked, time.perf_counter() - decided.turn)
        self._observe(jobs, decided.began)
        self._give_back(decided.connection)
        return None

    def _failed(
        self, error: Exception, connection: Connection | None, jobs: Sequence[AnyJob], began: float
    ) -> Exception:
        blamed = self._blame(error, connection)
        if connection is not None:
            self._give_back(connection)
        self._observe(jobs, began)
        return blamed

    def _confine(self, connection: Connection, scope: Scope) -> None:
        """Let the next unit of the transaction touch the rows of its own callers' tenants alone."""
        if self._database.is_remote:
            with confined(scope):
                connection.exec_driver_sql(confining_statement())

    def _observe(self, jobs: Sequence[AnyJob], began: float) -> None:
        requests = sum(len(job.requests) for job in jobs)
        self._observer.transaction_ended("write", time.perf_counter() - began, requests)

    @staticmethod
    def _give_back(connection: Connection) -> None:
        """Roll back what is still open, and let others have the connection; what went before is settled."""
        try:
            connection.close()
        except Exception as error:  # noqa: BLE001 -- the transaction's own outcome is known already
            _log.warning("connection_not_given_back", fault=str(error))

    def _instant(self, connection: Connection) -> datetime:
        """Return the transaction's one instant, which never lies before the last transaction's."""
        instant = max(self._latest, self._now())
        if self._not_before is not None:
            # Asked behind the lock, so nobody else can write anything later than what is found.
            instant = max(instant, self._not_before(connection) or instant)
            if not self._database.is_remote:
                self._not_before = None  # the one process that writes remembers from now on
        self._latest = instant
        return instant

    def _blame(self, error: Exception, connection: Connection | None) -> Exception:
        fault = storage_error_of(error)
        if fault is None:
            return error
        if isinstance(fault, StorageUnavailable):
            if fault.fault is StorageFault.INPUT_OUTPUT and self._database.is_out_of_room():
                return StorageFull("the disk is full, or the file may not grow further")
            if connection is not None and fault.fault not in _PASSING and self._is_outside:
                # A connection that met a failing device starts afresh once the device works again.
                connection.invalidate()
            if is_connection_lost(fault):
                self._database.forget_connections()
            self._observer.transaction_retried(_REASONS.get(fault.fault, "disconnect"))
        _log.warning("transaction_refused", fault=str(fault))
        return _with_cause(fault, error)


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Collect no garbage meanwhile.

    While a batch is decided its thousands of values are all alive: a collection would look through
    them again and again and find nothing, and soon after nearly all are gone without one.
    """
    gc.disable()
    try:
        yield
    finally:
        # Whatever it was before: it may have been off only for another writer's batch, which is over by now.
        gc.enable()


def _with_cause(fault: StorageError, error: Exception) -> StorageError:
    fault.__cause__ = error if fault is not error else None
    return fault


def _by_unit(batch: Sequence[AnyJob]) -> dict[Unit[Any, Any], list[AnyJob]]:
    """Return the jobs of each unit, units in the order of their first job."""
    first = batch[0].unit
    if all(job.unit is first for job in batch):
        return {first: list(batch)}
    jobs_of: dict[Unit[Any, Any], list[AnyJob]] = {}
    for job in batch:
        jobs_of.setdefault(job.unit, []).append(job)
    return jobs_of


def _run_unit(unit: Unit[Any, Any], jobs: Sequence[AnyJob], connection: Connection, now: datetime) -> None:
    requests = jobs[0].requests if len(jobs) == 1 else [request for job in jobs for request in job.requests]
    answers = unit(connection, requests, now)
    if len(answers) != len(requests):
        raise UnitBroken(unit, requests=len(requests), answers=len(answers))
    if len(requests) == len(jobs):
        for job, answer in zip(jobs, answers, strict=True):
            job.result = [answer]
        return
    first = 0
    for job in jobs:
        behind = first + len(job.requests)
        job.result = list(answers[first:behind])
        first = behind
