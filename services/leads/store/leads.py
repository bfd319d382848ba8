"""LeadStore: runs the handoff's use cases on the service's one writer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from services.leads.store.directory import Directories
from services.leads.store.routing import RoutingCaches
from services.leads.store.schema import SCHEMA
from services.leads.store.scoring import ScoringCaches
from services.leads.store.sealing import Sealer
from services.leads.store.transaction import LeadTx
from smarketing.server.audit import AuditEntry, AuditOutcome, append_entries
from smarketing.server.commands import Call, Command, Done, run_commands
from smarketing.sql import Writer

__all__ = ["Batch", "LeadStore", "UseCase"]

Q = TypeVar("Q")
A = TypeVar("A")

UseCase = Callable[[LeadTx, Sequence[Q]], Sequence[A | Exception]]
"""Decides a batch of requests in one transaction; a refused one is answered with its exception."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[Q]):
    """Requests that came in one message of a stream; each is known by a key of its own."""

    requests: Sequence[Q]
    call: Call


class LeadStore:
    """Gives each use case its transaction, and its caller the answer after the commit."""

    def __init__(
        self, writer: Writer, *, directories: Directories, sealer: Sealer, new_id: Callable[[], str]
    ) -> None:
        self._writer = writer
        self._directories = directories
        self._sealer = sealer
        self._new_id = new_id
        self._routing = RoutingCaches()
        self._scoring = ScoringCaches()
        self._next_expiry: datetime | None = None
        self._units: dict[tuple[Any, Any], _Commands[Any, Any]] = {}

    @property
    def writer(self) -> Writer:
        """The writer on which everything runs."""
        return self._writer

    @property
    def next_expiry(self) -> datetime | None:
        """When, at the earliest, a lease ends that was given since this was last asked to forget."""
        return self._next_expiry

    def forget_expiry(self) -> None:
        """Forget the leases given so far, just before all that ran out are looked for."""
        self._next_expiry = None

    async def command(
        self,
        use_case: UseCase[Q, A],
        command: Command[Q],
        *,
        render: Callable[[A], Message],
        brief: bool = False,
    ) -> Done | Exception:
        """Run one command at most once.

        A `brief` one is about a single handoff, so that every other call may wait for it on the event loop.
        """
        unit = self._units.get((use_case, render))
        if unit is None:
            unit = _Commands(self, use_case, render)
            if brief:  # these are named by functions of modules, so they are few
                self._units[use_case, render] = unit
        [outcome] = await self._writer.run(unit, [command], brief=brief)
        return outcome

    async def batch(self, use_case: UseCase[Q, A], batch: Batch[Q]) -> Sequence[A | Exception]:
        """Run the requests of a batch, one or more, in one transaction; the batch is audited as one."""
        first, *others = batch.requests
        items = [_Item(first, batch.call), *(_Item(other, None) for other in others)]
        # Request by request, so that the writer's bounds on a transaction and its queue hold for them.
        return await self._writer.run(_Batches(self, use_case), items)

    async def sweep(self, step: Callable[[LeadTx], A]) -> A:
        """Run a step of the service's own in a transaction."""
        [answer] = await self._writer.run(_Sweep(self, step), [None])
        return answer

    async def read(self, query: Callable[[Connection], A]) -> A:
        """Run a query on a reader."""
        return await self._writer.read(query)

    def begin(self, connection: Connection, *, now: datetime) -> LeadTx:
        """Return the handoff's part of a transaction."""
        return LeadTx(
            connection,
            now=now,
            directories=self._directories,
            sealer=self._sealer,
            new_id=self._new_id,
            routing=self._routing,
            scoring=self._scoring,
        )

    def end(self, tx: LeadTx) -> None:
        """Write what the transaction changed."""
        tx.flush()
        expiry = tx.earliest_expiry
        if expiry is not None and (self._next_expiry is None or expiry < self._next_expiry):
            self._next_expiry = expiry


@dataclass(frozen=True)
class _Commands(Generic[Q, A]):
    """A use case as the writer runs it; equal ones that wait together share one call."""

    store: LeadStore
    use_case: UseCase[Q, A]
    render: Callable[[A], Message]

    def __call__(
        self, connection: Connection, commands: Sequence[Command[Q]], now: datetime
    ) -> list[Done | Exception]:
        tx = self.store.begin(connection, now=now)
        outcomes = run_commands(
            SCHEMA.commands,
            connection,
            commands,
            now=now,
            use_case=lambda requests: self.use_case(tx, requests),
            render=self.render,
        )
        self.store.end(tx)
        return outcomes


@dataclass(frozen=True, slots=True)
class _Item(Generic[Q]):
    """One request of a batch; the first brings the batch's call."""

    request: Q
    call: Call | None


@dataclass(frozen=True)
class _Batches(Generic[Q, A]):
    store: LeadStore
    use_case: UseCase[Q, A]

    def __call__(
        self, connection: Connection, items: Sequence[_Item[Q]], now: datetime
    ) -> Sequence[A | Exception]:
        tx = self.store.begin(connection, now=now)
        outcomes = self.use_case(tx, [item.request for item in items])
        self.store.end(tx)
        entries = [_audit_entry(item.call) for item in items if item.call is not None]
        append_entries(SCHEMA.commands.audit, connection, entries, now=now)
        return outcomes


@dataclass(frozen=True)
class _Sweep(Generic[A]):
    store: LeadStore
    step: Callable[[LeadTx], A]

    def __call__(self, connection: Connection, requests: Sequence[Any], now: datetime) -> list[A]:
        tx = self.store.begin(connection, now=now)
        answers = [self.step(tx) for _ in requests]
        self.store.end(tx)
        return answers


def _audit_entry(call: Call) -> AuditEntry:
    return AuditEntry(
        tenant=call.tenant,
        principal=call.principal,
        on_behalf_of=call.on_behalf_of,
        method=call.method,
        resource=call.resource,
        outcome=AuditOutcome.APPLIED,
        request_id=call.request_id,
    )
