"""Takes replicas, the database and nodes of the bus away, and brings them back."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from smarketing import wallclock
from tests.faults.harness.fleet import Fleet
from tests.faults.harness.ground import Ground, is_well, leader_of
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.nemesis import Blow

_PATIENCE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.05


class Replica(Fleet):
    """One more `leads` beside the one of a fleet, on the same ground and with the same keys."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet.data_dir, fleet.shape, fleet._environ)
        self._addresses.update({name: fleet._addresses[name] for name in ("sla", "reports")})

    @contextmanager
    def running(self) -> Iterator["Replica"]:
        """Start it, and take it away again whatever happens."""
        self.start("leads")
        try:
            yield self
        finally:
            self.stop()


@dataclass
class GroundNemesis:
    """Strikes replicas, the database and nodes, each in a task of its own, so that blows fall together."""

    ground: Ground
    replicas: tuple[Fleet, ...]
    ledger: Ledger
    chance: random.Random
    blows: list[Blow]

    async def kill_leads(self) -> None:
        """Kill one of the replicas and start it again, as often as it takes."""
        number = self.chance.randrange(len(self.replicas))
        victim = self.replicas[number]
        began = self._now()
        victim.kill("leads")
        assert await victim.ended("leads", 20), "leads outlives SIGKILL"
        victim.start("leads")
        await self._until(lambda: self._has_come(victim), "leads is not ready")
        self._note("SIGKILL", f"leads {number + 1}", began)

    async def kill_database(self, *, away: tuple[float, float] = (0.0, 1.0)) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does, and start it again after a while."""
        began = self._now()
        await asyncio.to_thread(self.ground.database.kill)
        await asyncio.sleep(self.chance.uniform(*away))
        await asyncio.to_thread(self.ground.database.start)
        await self._until(self._is_served, "nobody serves")
        self._note("pg_ctl stop -m immediate", "PostgreSQL", began)

    async def kill_node(self, *, away: tuple[float, float] = (0.0, 1.0)) -> None:
        """Kill a node, mostly the one that leads the log of leads, and start it; return when all are well."""
        leader = await asyncio.to_thread(leader_of, self.ground.nodes)
        if leader is None or self.chance.random() < 0.3:
            leader = None
        victim = leader or self.chance.choice(self.ground.nodes)
        began = self._now()
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(self.chance.uniform(*away))
        await asyncio.to_thread(victim.start)
        await self._until(lambda: all(map(is_well, self.ground.nodes)), "a node is not well")
        self._note("SIGKILL", "NATS leader" if leader else "NATS node", began)

    def _now(self) -> tuple[int, Any, float]:
        return self.ledger.under_way, wallclock.utc_now(), wallclock.monotonic()

    def _note(self, kind: str, target: str, began: tuple[int, Any, float]) -> None:
        in_flight, time, since = began
        self.blows.append(
            Blow(
                kind=kind,
                target=target,
                time=time,
                in_flight=in_flight,
                recovery_seconds=wallclock.monotonic() - since,
            )
        )

    def _has_come(self, victim: Fleet) -> bool:
        if victim.process_id("leads") is None:
            # The database was away when it started: whoever supervises it tries again.
            victim.start("leads")
        return victim.is_ready("leads")

    def _is_served(self) -> bool:
        return any(replica.is_ready("leads") for replica in self.replicas)

    async def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        give_up = wallclock.monotonic() + _PATIENCE_SECONDS
        while not await asyncio.to_thread(holds):
            assert wallclock.monotonic() < give_up, otherwise
            await asyncio.sleep(_POLL_SECONDS)
