"""Takes replicas, the database and nodes of the bus away, and brings them back."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smarketing import wallclock
from tests.builders.processes import ROOT, SERVICES
from tests.faults.harness.fleet import Fleet
from tests.faults.harness.ground import Ground, is_well, leader_of
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.nemesis import Blow

_PATIENCE_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.05


class Replica(Fleet):
    """More processes beside those of a fleet, on the same ground and with the same keys."""

    def __init__(self, fleet: Fleet, *, build: Path = ROOT) -> None:
        super().__init__(fleet.data_dir, fleet.shape, fleet._environ, build=build)
        self._beside = fleet._addresses

    @contextmanager
    def running(self, *services: str) -> Iterator["Replica"]:
        """Start these, which follow those of the fleet that are not among them; take them away at the end."""
        self._addresses.update({name: at for name, at in self._beside.items() if name not in services})
        for service in services:
            self.start(service)
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
        """Kill one of the replicas of `leads` and start it again, as often as it takes."""
        await self.kill("leads", self.chance.randrange(len(self.replicas)))

    async def kill_any(self) -> None:
        """Likewise, of any service."""
        await self.kill(self.chance.choice(list(SERVICES)), self.chance.randrange(len(self.replicas)))

    async def kill(self, service: str, number: int) -> None:
        """Kill a service of one of the replicas, and start it again as often as it takes."""
        victim = self.replicas[number]
        began = self._now()
        victim.kill(service)
        assert await victim.ended(service, 20), f"{service} outlives SIGKILL"
        victim.start(service)
        await self._until(lambda: self._has_come(victim, service), f"{service} is not ready")
        self._note("SIGKILL", f"{service} {number + 1}", began)

    async def restart(self, service: str, number: int) -> float:
        """Tell a replica to stop, and start it when it has; return how many seconds it took to stop."""
        victim = self.replicas[number]
        began = self._now()
        victim.signal(service, signal.SIGTERM)
        assert await victim.ended(service, 60), f"{service} does not stop"
        seconds = wallclock.monotonic() - began[2]
        assert victim.status(service) == 0, f"{service} ended badly"
        victim.start(service)
        await self._until(lambda: victim.is_ready(service), f"{service} is not ready")
        self._note("SIGTERM", f"{service} {number + 1}", began)
        return seconds

    async def end_transactions(self) -> None:
        """End the database's side of whatever transactions are under way."""
        began = self._now()
        ended = 0
        for _ in range(40):
            ended = await asyncio.to_thread(self.ground.end_transactions)
            if ended:
                break
            await asyncio.sleep(_POLL_SECONDS)
        await self._until(self._is_served, "nobody serves")
        self._note("pg_terminate_backend", "transactions" if ended else "nobody", began)

    async def stall_database(self, seconds: float = 3.0) -> None:
        """Let the database do nothing for a while; its connections stay."""
        began = self._now()
        stopped = self.ground.database.processes
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for process in reversed(stopped):
            os.kill(process, signal.SIGCONT)
        resumed = wallclock.monotonic()
        await self._until(self._is_served, "nobody serves")
        self._note(f"SIGSTOP {seconds:g} s", "PostgreSQL", (*began[:2], resumed))

    async def pause_node(self, seconds: float = 12.0) -> None:
        """Let the node that leads the log of leads sleep; return when all are well."""
        victim = await asyncio.to_thread(leader_of, self.ground.nodes)
        victim = victim or self.chance.choice(self.ground.nodes)
        began = self._now()
        victim.pause()
        await asyncio.sleep(seconds)
        victim.resume()
        resumed = wallclock.monotonic()
        await self._until(lambda: all(map(is_well, self.ground.nodes)), "a node is not well")
        self._note(f"SIGSTOP {seconds:g} s", "NATS leader", (*began[:2], resumed))

    async def kill_database(self, *, away: tuple[float, float] = (0.0, 1.0)) -> None:
        """Stop the server as `pg_ctl stop -m immediate` does, and start it again after a while."""
        began = self._now()
        await asyncio.to_thread(self.ground.database.kill)
        await asyncio.sleep(self.chance.uniform(*away))
        await asyncio.to_thread(self.ground.database.start)
        await self._until(self._is_served, "nobody serves")
        self._note("pg_ctl stop -m immediate", "PostgreSQL", began)
        # A service that starts waits for its database: struck at once again, none would ever be up.
        await self._until(
            lambda: all(replica.is_ready("leads") for replica in self.replicas), "leads is not ready"
        )

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

    def _has_come(self, victim: Fleet, service: str) -> bool:
        if victim.process_id(service) is None:
            # The database was away when it started: whoever supervises it tries again.
            victim.start(service)
        return victim.is_ready(service)

    def _is_served(self) -> bool:
        return any(replica.is_ready("leads") for replica in self.replicas)

    async def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        give_up = wallclock.monotonic() + _PATIENCE_SECONDS
        while not await asyncio.to_thread(holds):
            assert wallclock.monotonic() < give_up, otherwise
            await asyncio.sleep(_POLL_SECONDS)
