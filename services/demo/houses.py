"""The services `leads` and `sla` without their edge, both at an instant that the player sets.

The databases, writers, use cases, consumers and sweeps are those of live operation, on the files on
which the live services go on afterwards. Only the clock is another, and nobody calls over a network.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from services.demo.storing import Storage
from services.leads.consumers import sla_events
from services.leads.store.directory import Directories, DirectoryStore
from services.leads.store.key_ring import load_keys
from services.leads.store.leads import LeadStore
from services.leads.store.schema import SCHEMA
from services.leads.store.sealing import Sealer
from services.sla.consumers import leads_log as lead_events
from services.sla.store.archive import Archive
from services.sla.store.due import next_due
from services.sla.store.schema import directory_tables
from services.sla.usecases.sweep import sweep_batch
from smarketing import wallclock
from smarketing.eventlog.consumer import Consumer
from smarketing.eventlog.directory import DirectoryKeeper
from smarketing.eventlog.feed import FeedBatch
from smarketing.eventlog.reading import ensure_identity, head, read
from smarketing.server.auth import Authenticator
from smarketing.sql import Database, Writer, open_database
from smarketing.sql.migrate import migrate

__all__ = ["Clock", "Houses", "open_houses"]

T = TypeVar("T")

_WHOLE_LOG: Final = "tenants/-"
_PAGE_EVENTS: Final = 2_000
_SWEPT_CLOCKS: Final = 256


@dataclass(slots=True)
class Clock:
    """The one clock of everything that is played; it never goes back."""

    now: datetime

    def __call__(self) -> datetime:
        """Return the instant that is played."""
        return self.now

    def reach(self, instant: datetime) -> None:
        """Let it be that instant, unless it is later already."""
        self.now = max(self.now, instant)


class Log:
    """A service's log, read by the other from the same process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._grown = asyncio.Event()
        self._head = 0

    async def follow(self, *, log_id: str, after: int) -> AsyncGenerator[FeedBatch, None]:
        """Yield what is behind `after` whenever `look` found more."""
        while True:
            while after >= self._head:
                self._grown.clear()
                await self._grown.wait()
            batch = await self.read(log_id=log_id, after=after, limit=_PAGE_EVENTS)
            after = batch.events[-1].position
            yield batch

    async def read(self, *, log_id: str, after: int, limit: int) -> FeedBatch:
        """Return one page."""
        with self.database.reading() as connection:
            page = read(connection, _WHOLE_LOG, after=after, limit=limit, log_id=log_id)
        return FeedBatch(page.log_id, page.events, page.head_position)

    def look(self) -> int:
        """Wake who follows, and return the newest position."""
        with self.database.reading() as connection:
            self._head = head(connection, _WHOLE_LOG)[1]
        self._grown.set()
        return self._head


@dataclass(slots=True)
class Houses:
    """Both services, and what moves them on in the order in which live operation would."""

    clock: Clock
    directories: DirectoryStore
    leads: LeadStore
    sla: Writer
    archive: Archive
    leads_log: Log
    sla_log: Log
    of_leads: Consumer
    """`sla` reading the leads log."""
    of_sla: Consumer
    """`leads` reading the sla log."""
    due: datetime | None = None
    """When the next clock must be looked at."""

    async def sla_reads(self) -> None:
        """Let `sla` read what `leads` said."""
        await self.of_leads.wait_until(self.leads_log.look())
        self._look_ahead()

    async def leads_reads(self) -> None:
        """Let `leads` read what `sla` said."""
        await self.of_sla.wait_until(self.sla_log.look())

    async def sweep(self) -> None:
        """Let `sla` settle what is due now."""
        while self.due is not None and self.due <= self.clock.now:
            await self.sla.run(self._sweep_unit, [_SWEPT_CLOCKS])
            self._look_ahead()

    async def run_sla(self, unit: Callable[..., Any], request: T) -> Any:
        """Run one request of `sla`, and raise what it is refused with."""
        (outcome,) = await self.sla.run(unit, [request])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _sweep_unit(self, connection: Connection, limits: Sequence[int], now: datetime) -> list[int]:
        return [sweep_batch(connection, self.archive, limit, now=now) for limit in limits]

    def _look_ahead(self) -> None:
        with self.sla_log.database.reading() as connection:
            self.due = next_due(connection)


@asynccontextmanager
async def open_houses(
    data_dir: Path, clock: Clock, *, storage: Storage, new_id: Callable[[], str]
) -> AsyncIterator[Houses]:
    """Open both services on a folder that nobody else uses yet; close them at the end."""
    async with (
        _a_database(storage.url_of("leads"), "services.leads.store.migrations") as leads_database,
        _a_database(storage.url_of("sla"), "services.sla.store.migrations") as sla_database,
        Writer(leads_database, now=clock) as leads,
        Writer(sla_database, now=clock) as sla,
    ):
        directories = Directories(SCHEMA.directory.directory)
        sealer = Sealer(load_keys(data_dir / "master.key"))
        houses = _houses(
            clock,
            DirectoryStore(leads, SCHEMA.directory, directories),
            LeadStore(leads, directories=directories, sealer=sealer, new_id=new_id),
            sla,
            logs=(Log(leads_database), Log(sla_database)),
        )
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(each.run()) for each in (houses.of_leads, houses.of_sla)]
            yield houses
            for each in following:
                each.cancel()


def _houses(
    clock: Clock,
    directories: DirectoryStore,
    leads: LeadStore,
    sla: Writer,
    *,
    logs: tuple[Log, Log],
) -> Houses:
    archive = Archive()
    leads_log, sla_log = logs
    keeper = DirectoryKeeper(directory_tables, sla, Authenticator(now=clock), consumer=lead_events.CONSUMER)
    return Houses(
        clock=clock,
        directories=directories,
        leads=leads,
        sla=sla,
        archive=archive,
        leads_log=leads_log,
        sla_log=sla_log,
        of_leads=Consumer(
            lead_events.CONSUMER,
            feed=leads_log,
            writer=sla,
            apply=lead_events.LeadsLog(archive, keeper).apply,
            payload_types=lead_events.PAYLOAD_TYPES,
            now=clock,
        ),
        of_sla=Consumer(
            sla_events.CONSUMER,
            feed=sla_log,
            writer=leads.writer,
            apply=sla_events.apply,
            payload_types=sla_events.PAYLOAD_TYPES,
            now=clock,
        ),
    )


@asynccontextmanager
async def _a_database(url: str, migrations: str) -> AsyncIterator[Database]:
    with open_database(url) as database:
        if not database.is_remote:
            _without_fsync(database)
        migrate(database, migrations)
        with database.writer_engine.begin() as connection:
            ensure_identity(connection, new_log_id=wallclock.new_uuid)
        yield database


def _without_fsync(database: Database) -> None:
    """Let nothing wait for the disk: a crash while playing throws the whole folder away."""
    connection = database.writer_engine.raw_connection()
    connection.cursor().execute("PRAGMA synchronous=OFF")
    # Back into its pool of one, from which every transaction has it.
    connection.close()
