"""Who does the harm: by a seed, and with a record of every blow."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smarketing import wallclock
from tests.faults.harness.fleet import Fleet
from tests.faults.harness.ledger import Ledger

_PATIENCE_SECONDS: Final = 8.0
_VISIT_SECONDS: Final = 25.0
"""For a service to start and come to the place where it dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One thing that was done."""

    kind: str
    target: str
    time: datetime
    in_flight: int
    """Calls that were on their way when it fell."""
    recovery_seconds: float
    """Until health said SERVING again."""
    behind: int = 0
    """Events that the victim had still to apply when it fell."""

    @property
    def hit(self) -> bool:
        """Whether anything was going on where it fell."""
        return self.in_flight > 0 or self.behind > 0


@dataclass
class Nemesis:
    """Strikes services of a fleet, one blow after the other."""

    fleet: Fleet
    ledger: Ledger
    seed: int
    blows: list[Blow] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """What others did to calls that were under way, such as giving them up."""
    slowest_stop: float = 0.0
    """Seconds that a service took to end when it was told to."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    @property
    def counts(self) -> Counter[str]:
        """Blows by kind and target."""
        return Counter(f"{blow.kind} {blow.target}" for blow in self.blows) + self.others

    @property
    def recoveries(self) -> list[float]:
        """How long each took to be over, shortest first."""
        return sorted(blow.recovery_seconds for blow in self.blows)

    async def kill(self, services: Sequence[str], *, within: tuple[float, float]) -> None:
        """Kill services together after a while by chance, and start them again."""
        await asyncio.sleep(self.chance.uniform(*within))
        await self._fallen("SIGKILL", services, self._kill_now(services))

    async def kill_at(self, service: str, place: str, *, visit: int) -> None:
        """Start a service so that it dies at a visit of a place, wait until it does, and start it again.

        It is killed by hand when it does not come there in time, which counts as a kill and not as this.
        """
        self.fleet.signal(service, signal.SIGKILL)
        await self.fleet.ended(service, _PATIENCE_SECONDS)
        self.fleet.start(service, failpoints=f"{place}=exit@{visit}")
        came = await self.fleet.ended(service, _VISIT_SECONDS)
        if came:
            await self._fallen(f"exit at {place}", [service], (self.ledger.under_way, 1))
        else:
            await self._fallen("SIGKILL", [service], self._kill_now([service]))

    async def stop(self, service: str) -> None:
        """Tell a service to stop, wait until it has, and start it again."""
        in_flight, began, since = self.ledger.under_way, wallclock.utc_now(), wallclock.monotonic()
        self.fleet.signal(service, signal.SIGTERM)
        assert await self.fleet.ended(service, 60), f"{service} does not stop"
        self.slowest_stop = max(self.slowest_stop, wallclock.monotonic() - since)
        self.fleet.start(service)
        await self.fleet.ready(service)
        self._note("SIGTERM", service, began, in_flight, since, behind=0)

    async def freeze(self, service: str, seconds: float) -> None:
        """Stop a service with SIGSTOP for so long, then let it go on."""
        in_flight, began = self.ledger.under_way, wallclock.utc_now()
        self.fleet.signal(service, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.fleet.signal(service, signal.SIGCONT)
        resumed = wallclock.monotonic()
        await self.fleet.ready(service)
        self._note("SIGSTOP", service, began, in_flight, resumed, behind=0)

    def _kill_now(self, services: Sequence[str]) -> tuple[int, int]:
        in_flight = self.ledger.under_way
        for service in services:
            self.fleet.kill(service)
        # Whoever follows a log that grows with every call has, while calls are under way, something to do.
        return in_flight, 0

    async def _fallen(self, kind: str, services: Sequence[str], at: tuple[int, int]) -> None:
        fallen, began = wallclock.monotonic(), wallclock.utc_now()
        for service in services:
            assert await self.fleet.ended(service, _PATIENCE_SECONDS), f"{service} outlives SIGKILL"
        for service in services:
            self.fleet.start(service)
        await self.fleet.ready(*services)
        self._note(kind, "+".join(services), began, at[0], fallen, behind=at[1])

    def _note(
        self, kind: str, target: str, began: datetime, in_flight: int, since: float, *, behind: int
    ) -> None:
        blow = Blow(
            kind=kind,
            target=target,
            time=began,
            in_flight=in_flight,
            recovery_seconds=wallclock.monotonic() - since,
            behind=behind,
        )
        self.blows.append(blow)
