"""Answers from past states: the nearest copy before one, the logs folded on from there, kept for a while.

Whoever asks waits while the state is made; one that goes away leaves it being made for whoever asks again.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from services.reports.domain.as_of import (
    INPUTS,
    LOGS,
    AskedAsOf,
    Place,
    Places,
    Until,
    check_reach,
    untils_of,
)
from services.reports.domain.errors import AsOfBusy, AsOfInvalid
from services.reports.domain.periods import Micros
from services.reports.store.input_journal import InputJournal
from services.reports.store.queries import Queries
from services.reports.store.schema import Tables
from services.reports.store.snapshots import Snapshot, Snapshots
from smarketing.logs import get_log
from smarketing.sql import Database, Writer

__all__ = ["PastStates", "Replay"]

_log = get_log(__name__)

T = TypeVar("T")

_MOST_KEPT: Final = 3
_MOST_WAITING: Final = 8
_IDLE_SECONDS: Final = 600.0
_LOOK_SECONDS: Final = 60.0
_WHOLE_LOG: Final = "tenants/-"
_Untils: TypeAlias = tuple[tuple[str, Until], ...]


class Replay(Protocol):
    """Reads past stretches of logs."""

    async def holds(self, service: str, view: str, place: Place) -> bool:
        """Say whether the log still has the event that was folded in last at a place."""

    async def fold(self, database: Database, service: str, view: str, begin: Place, until: Until) -> None:
        """Fold in what lies between."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What state is to be made: also what tells it from others."""

    tenant: str
    view: str
    untils: _Untils
    inputs: int


@dataclass(slots=True)
class _State:
    """A state that is being made, or kept."""

    making: "asyncio.Task[Database]"
    used_at: float
    readers: int = 0
    folder: Path = field(default_factory=Path)


class PastStates:
    """Makes and keeps past states in a folder of its own, which it empties at the start."""

    def __init__(
        self,
        writer: Writer,
        tables: Tables,
        *,
        snapshots: Snapshots,
        replay: Replay,
        folder: Path,
        monotonic: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._queries = Queries(tables)
        self._tables = tables
        self._journal = InputJournal(tables.input_change)
        self._snapshots = snapshots
        self._replay = replay
        self._folder = folder
        self._monotonic = monotonic
        self._states: dict[_Wanted, _State] = {}
        self._turns = asyncio.Semaphore(1)
        self._numbers = count(1)
        shutil.rmtree(folder, ignore_errors=True)

    async def read(
        self, tenant: str, asked: AskedAsOf, query: Callable[[Any], T], *, now: Micros, above: bool
    ) -> T:
        """Return what a query finds in a past state; `above` tenants the positions are those of whole logs.

        Raises:
            AsOfInvalid, AsOfOutOfReach: when there is no such state, or none any more.
            AsOfBusy, LogUnreachable: when it cannot be made at present.
        """
        check_reach(asked, now)
        wanted, present = await self._writer.read(self._wanted(tenant, asked, above=above))
        state = self._state(wanted, present)
        state.readers += 1
        try:
            database = await asyncio.shield(state.making)
            return await asyncio.to_thread(_read, database, query)
        finally:
            state.readers -= 1
            state.used_at = self._monotonic()
            await self.forget_idle()

    def _wanted(
        self, tenant: str, asked: AskedAsOf, *, above: bool
    ) -> Callable[[Any], tuple[_Wanted, Places]]:
        def read(connection: Any) -> tuple[_Wanted, Places]:
            queries = self._queries
            folded = queries.folded(connection) if above else queries.folded_of(connection, tenant)
            present = {log.service: Place(*log[1:]) for log in folded}
            untils = untils_of(asked, present)
            if asked.positions is None:
                inputs = self._journal.count_at(connection, tenant, asked.time)
            else:
                # An answer that left them out rested on none.
                inputs = asked.positions.get(INPUTS, ("", 0))[1]
                if not 0 <= inputs <= self._journal.count(connection, tenant):
                    raise AsOfInvalid("as_of.positions", "positions that were reached")
            view = _WHOLE_LOG if above else tenant
            return _Wanted(tenant, view, tuple(sorted(untils.items())), inputs), present

        return read

    def _state(self, wanted: _Wanted, present: Places) -> _State:
        known = self._states.get(wanted)
        if known is not None:
            return known
        if sum(not state.making.done() for state in self._states.values()) >= _MOST_WAITING:
            raise AsOfBusy
        folder = self._folder / str(next(self._numbers))
        making = asyncio.create_task(self._make(wanted, present, folder))
        state = self._states[wanted] = _State(making, self._monotonic(), folder=folder)
        making.add_done_callback(lambda task: self._made(wanted, state, task))
        return state

    def _made(self, wanted: _Wanted, state: _State, task: "asyncio.Task[Database]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._states.pop(wanted, None)
            shutil.rmtree(state.folder, ignore_errors=True)

    async def _make(self, wanted: _Wanted, present: Places, folder: Path) -> Database:
        async with self._turns:
            snapshot, database = await self._base(wanted, folder / "past.db")
            try:
                for service, until in wanted.untils:
                    begin = _place_in(snapshot, wanted, service) or _beginning(present.get(service))
                    if begin is not None:
                        await self._replay.fold(database, service, wanted.view, begin, until)
                await asyncio.to_thread(self._put_inputs, database, wanted, await self._inputs(wanted))
            except BaseException:
                await asyncio.to_thread(database.close)
                raise
            _log.info("past_state_made", began_at=None if snapshot is None else snapshot.time)
            return database

    async def _base(self, wanted: _Wanted, path: Path) -> tuple[Snapshot | None, Database]:
        """Return the newest copy that holds nothing newer than is wanted, as a database."""
        for snapshot in reversed(await asyncio.to_thread(self._snapshots.all)):
            if snapshot.is_divided and wanted.view == _WHOLE_LOG:
                continue
            places = {service: _place_in(snapshot, wanted, service) for service in LOGS}
            if not all(until.allows(places[service]) for service, until in wanted.untils):
                continue
            held = [
                await self._replay.holds(service, wanted.view, place)
                for service, place in places.items()
                if place is not None
            ]
            if not all(held):
                # The log was restored from an older copy since: what this one holds never was.
                await asyncio.to_thread(self._snapshots.discard, snapshot)
                continue
            with suppress(OSError, EOFError):
                return snapshot, await asyncio.to_thread(self._snapshots.restore, snapshot, path)
        return None, await asyncio.to_thread(self._snapshots.restore, None, path)

    async def _inputs(self, wanted: _Wanted) -> list[Any]:
        return await self._writer.read(
            lambda connection: self._journal.entries_at(connection, wanted.tenant, wanted.inputs)
        )

    def _put_inputs(self, database: Database, wanted: _Wanted, entries: list[Any]) -> None:
        with database.writer_engine.begin() as connection:
            self._journal.put_past(
                connection, self._tables.input_entry, wanted.tenant, wanted.inputs, entries
            )

    async def run(self) -> None:
        """Give up idle states until cancelled, though nobody asks for another."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.forget_idle()

    async def forget_idle(self) -> None:
        """Give up states that nobody asked for lately; of too many, those asked for least recently."""
        now = self._monotonic()
        idle = sorted(
            (state.used_at, number, wanted)
            for number, (wanted, state) in enumerate(self._states.items())
            if state.making.done() and state.readers == 0
        )
        surplus = len(self._states) - _MOST_KEPT
        await self._give_up(
            [
                wanted
                for number, (used_at, _, wanted) in enumerate(idle)
                if number < surplus or now - used_at > _IDLE_SECONDS
            ]
        )

    async def close(self) -> None:
        """Give up every state."""
        for state in self._states.values():
            state.making.cancel()
        await asyncio.gather(*(state.making for state in self._states.values()), return_exceptions=True)
        await self._give_up(list(self._states))

    async def _give_up(self, given_up: Iterable[_Wanted]) -> None:
        # All at once, before anybody else's turn: who asks from now on has one made anew.
        states = [self._states.pop(wanted) for wanted in given_up]
        if states:
            await asyncio.to_thread(_remove, [(state.making.result(), state.folder) for state in states])


def _place_in(snapshot: Snapshot | None, wanted: _Wanted, service: str) -> Place | None:
    if snapshot is None:
        return None
    places: Mapping[str, Place] = (
        snapshot.logs if wanted.view == _WHOLE_LOG else snapshot.tenants.get(wanted.tenant, {})
    )
    return places.get(service)


def _beginning(present: Place | None) -> Place | None:
    """Return the place before the first event; None of a log that told nothing to this day."""
    return None if present is None else Place(present.log_id, 0, 0)


def _remove(states: Iterable[tuple[Database, Path]]) -> None:
    for database, folder in states:
        database.close()
        shutil.rmtree(folder, ignore_errors=True)


def _read(database: Database, query: Callable[[Any], T]) -> T:
    with database.reading() as connection:
        return query(connection)
