"""Decide ahead what will be due soon, so that then it only has to be compared and written.

A decision is a pure function of what was told of a handoff, of its clocks, and of what is agreed. Made ahead
it is kept with the stamps of all that, and they are compared with the database in the transaction that
writes it: whatever changed meanwhile, by whomever, has the clock decided anew. Nothing of it is the truth.
A restart forgets it all, and then clocks are decided when they are due.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.sla.domain.accord import Accord
from services.sla.domain.alert import Staff
from services.sla.domain.decide import Decision, decide
from services.sla.domain.history import History
from services.sla.domain.recorded import Clock
from services.sla.domain.rota import Rota
from services.sla.store.archive import Archive
from services.sla.store.due import coming_clocks
from services.sla.store.tx import SlaTx, Stamp
from services.sla.usecases.poison import UNDECIDABLE
from services.sla.usecases.settle import Foretold
from smarketing.names import tenant_of
from smarketing.sql import Connection, StorageError, Writer

_log = structlog.get_logger(__name__)

_TOGETHER: Final = timedelta(milliseconds=100)
"""Instants so close are decided as one: a rung at due, and the miss a microsecond after it."""
_MOST_TOGETHER: Final = 4
_SLICE_HANDOFFS: Final = 128
"""Decided at a time, some 30 ms: what falls due meanwhile waits so long."""
_REST_BETWEEN_LOOKS: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class World:
    """What is agreed in a tenant, who has which calendar, and who is to be told."""

    accords: Sequence[Accord]
    rota: Rota
    staff: Staff

    def is_still(self, other: "World") -> bool:
        """Tell whether nothing changed; accords are read anew only when something did."""
        return self.accords is other.accords and self.rota == other.rota and self.staff == other.staff


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What will be decided about a handoff from one instant until another, if nothing comes between."""

    since: datetime
    until: datetime | None
    stamp: Stamp
    world: World
    decided: tuple[Foretold, ...]

    def holds(self, stamp: Stamp, now: datetime) -> bool:
        """Tell whether this is what a decision now would be, as far as the handoff itself goes."""
        return stamp == self.stamp and self.since <= now and (self.until is None or now < self.until)


class Foresight:
    """Decisions made ahead, by handoff; the first to come is the first in."""

    def __init__(
        self, archive: Archive, *, horizon: timedelta = timedelta(seconds=30), most_handoffs: int = 10_000
    ) -> None:
        self._archive = archive
        self._horizon = horizon
        self._most = most_handoffs
        self._known: dict[str, Foreseen] = {}
        self._coming: deque[tuple[str, datetime]] = deque()
        self._seen_until: datetime | None = None

    def __len__(self) -> int:
        return len(self._known)

    def forget(self) -> None:
        """Know nothing any more."""
        self._known.clear()

    async def look(self, writer: Writer, *, now: Callable[[], datetime]) -> bool:
        """Decide a few more handoffs ahead; return whether there are others within the horizon.

        Call it when nothing is due: what was foreseen for an instant that is past by now is forgotten.
        """
        at = now()
        self._forget_until(at)
        if not self._coming:
            await self._look_further(writer, at)
        handoffs = [self._coming.popleft() for _ in range(min(_SLICE_HANDOFFS, len(self._coming)))]
        wanted = {handoff: when for handoff, when in handoffs if when > at and handoff not in self._known}
        if wanted:
            self._known |= await writer.read(lambda connection: self._foresee(connection, wanted))
        return bool(self._coming)

    def valid(self, tx: SlaTx, handoffs: Iterable[str]) -> dict[str, Foreseen]:
        """Return what was foreseen of handoffs, where it is what a decision in this transaction would be."""
        known = {handoff: self._known[handoff] for handoff in handoffs if handoff in self._known}
        if not known:
            return {}
        stamps = tx.stamps(known)
        worlds = _worlds(tx, known)
        then = {id(each.world): (tenant_of(handoff), each.world) for handoff, each in known.items()}
        # Compared once for all that were decided together.
        still = {key for key, (tenant, world) in then.items() if worlds[tenant].is_still(world)}
        return {
            handoff: each
            for handoff, each in known.items()
            if each.holds(stamps[handoff], tx.now) and id(each.world) in still
        }

    def _forget_until(self, at: datetime) -> None:
        past = []
        for handoff, foreseen in self._known.items():
            if foreseen.since > at:
                break
            past.append(handoff)
        for handoff in past:
            del self._known[handoff]

    async def _look_further(self, writer: Writer, at: datetime) -> None:
        until = at + self._horizon
        after = max(self._seen_until or at, at)
        room = self._most - len(self._known)
        if room <= 0 or until - after < _REST_BETWEEN_LOOKS:
            return
        found = await writer.read(lambda c: coming_clocks(c, after=after, until=until, limit=room))
        self._coming.extend(found)
        self._seen_until = found[-1][1] if len(found) == room else until

    # On a reader's thread.

    def _foresee(self, connection: Connection, wanted: dict[str, datetime]) -> dict[str, Foreseen]:
        try:
            return foresee(connection, self._archive, wanted)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 -- it is only a help: whatever this was, the sweep meets it again
            _log.warning("not_decided_ahead", handoffs=len(wanted), problem=type(error).__name__)
            return {}


def foresee(connection: Connection, archive: Archive, wanted: dict[str, datetime]) -> dict[str, Foreseen]:
    """Return what will be decided about handoffs at the instants given."""
    now = min(wanted.values())
    tx = SlaTx(connection, archive, now=now)
    stamps = tx.stamps(wanted)
    histories, clocks, worlds = tx.histories(wanted), tx.clocks(wanted), _worlds(tx, wanted)
    found = {}
    for handoff in wanted.keys() - tx.unreadable.keys():
        foreseen = _foreseen(
            tx,
            histories[handoff],
            clocks.get(handoff, []),
            wanted[handoff],
            stamp=stamps[handoff],
            world=worlds[tenant_of(handoff)],
        )
        if foreseen is not None:
            found[handoff] = foreseen
    # In the order in which they come.
    return {handoff: found[handoff] for handoff in wanted if handoff in found}


def _foreseen(
    tx: SlaTx,
    history: History,
    clocks: Sequence[Clock],
    at: datetime,
    *,
    stamp: Stamp,
    world: World,
) -> Foreseen | None:
    for _ in range(_MOST_TOGETHER):
        try:
            found = decide(history, clocks, world.accords, tx.measuring, as_of=at, now=at)
        except UNDECIDABLE:
            # The sweep meets it again, finds out which clock it is, and puts that aside.
            return None
        until = _next_change(history, clocks, found, at)
        if until is None or until - at > _TOGETHER:
            break
        at = until
    moved = [(each, each.before) for each in found if each.before is not None]
    if len(moved) < len(found):
        # One that starts a clock is rare enough to be decided in its time.
        return None
    return Foreseen(at, until, stamp, world, tuple(Foretold.of(tx, each, before) for each, before in moved))


def _next_change(
    history: History, clocks: Sequence[Clock], found: Sequence[Decision], at: datetime
) -> datetime | None:
    """Return when a decision may be another one though nothing was told."""
    after = {clock.id: clock for clock in clocks}
    after |= {each.change.clock.id: each.change.clock for each in found}
    coming = [history.timeline.next_time(at), *(clock.next_time for clock in after.values())]
    return min((each for each in coming if each is not None), default=None)


def _worlds(tx: SlaTx, handoffs: Iterable[str]) -> dict[str, World]:
    tenants = {tenant_of(handoff) for handoff in handoffs}
    accords = tx.accords(tenants)
    return {tenant: World(accords[tenant], tx.rota(tenant), tx.staff(tenant)) for tenant in tenants}
