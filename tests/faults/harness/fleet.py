"""The services as processes of the test's own, each to be killed, stopped and started again by itself."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.__main__ import addresses_from, environment_of
from smarketing import wallclock
from tests.builders.processes import ROOT, SERVICES, Installation
from tests.faults.harness.shapes import Shape

_POLL_SECONDS: Final = 0.02
_READY_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds of the machine."""

    resident_kib: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, process_id: int) -> "Vitals":
        """Measure a process."""
        proc = Path(f"/proc/{process_id}")
        said = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return cls(
            resident_kib=int(said["VmRSS"].split()[0]),
            descriptors=len(os.listdir(proc / "fd")),  # noqa: PTH208 -- counted, not walked
            threads=int(said["Threads"]),
        )


class Fleet(Installation):
    """What `Installation` is, without a supervisor: who dies stays dead until it is started.

    `build` is the folder that the package `services` lies in.
    """

    def __init__(
        self, data_dir: Path, shape: Shape, environ: Mapping[str, str], *, build: Path = ROOT
    ) -> None:
        ports = addresses_from(0)
        self.shape = shape
        self._build = build
        self._addresses = ports
        self._environ = dict(environ)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__(
            data_dir,
            {name: {"grpc": each.grpc, "http": each.http} for name, each in ports.items()},
            process=None,  # type: ignore[arg-type] # there is no supervisor, and nothing here asks for it
            log=data_dir / "said.log",
        )

    def start(self, service: str, *, failpoints: str = "") -> None:
        """Start a service; it fails at the places that `failpoints` plans."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMARKETING_")}
        own = {"SMARKETING_LOG_LEVEL": "WARNING", "PYTHONPATH": str(ROOT), "FAILPOINTS": failpoints}
        environment = environment_of(
            service,
            data_dir=self.data_dir,
            addresses=self._addresses,
            environ={**kept, **own, **self._environ},
        )
        # Bound to the life of this process, so that a test that is killed leaves nobody behind.
        command = [sys.executable, "-m", "services.supervised", f"services.{service}"]
        with self.log.open("ab") as said:
            self._processes[service] = subprocess.Popen(
                command,
                cwd=self._build,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    @property
    def started(self) -> int:
        """How many services were started here."""
        return len(self._processes)

    def process_id(self, service: str) -> int | None:
        """Return the process id of a service that runs; None of one that does not."""
        process = self._processes.get(service)
        return process.pid if process is not None and process.poll() is None else None

    def signal(self, service: str, number: signal.Signals) -> bool:
        """Send a signal; False when there is nobody to get it."""
        process = self._processes.get(service)
        if process is None or process.poll() is not None:
            return False
        process.send_signal(number)
        return True

    def kill(self, service: str) -> bool:
        """Kill a service with SIGKILL; it stays dead."""
        return self.signal(service, signal.SIGKILL)

    async def ended(self, service: str, seconds: float) -> bool:
        """Wait for the end of a process; False when it does not come in time."""
        give_up = wallclock.monotonic() + seconds
        while self._processes[service].poll() is None:
            if wallclock.monotonic() > give_up:
                return False
            await asyncio.sleep(_POLL_SECONDS)
        return True

    def status(self, service: str) -> int | None:
        """Return with what a service ended; None while it runs."""
        return self._processes[service].poll()

    async def ready(self, *services: str, seconds: float = _READY_SECONDS) -> None:
        """Return once these, or all, serve."""
        loop = asyncio.get_running_loop()
        give_up = wallclock.monotonic() + seconds
        for service in services or SERVICES:
            while not await loop.run_in_executor(None, self.is_ready, service):
                assert self.process_id(service) is not None, f"{service} ended: {self._last_words()}"
                assert wallclock.monotonic() < give_up, f"{service} is not ready: {self._last_words()}"
                await asyncio.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    async def start_all(self) -> None:
        """Start what does not run, and return once all serve."""
        for service in SERVICES:
            if self.process_id(service) is None:
                self.start(service)
                # leads first: it writes the tokens with which the others ask.
                await self.ready(service)
        await self.ready()

    async def stop_all(self) -> dict[str, int]:
        """Ask every service to stop; return their exit statuses."""
        statuses = {}
        for service in reversed(SERVICES):
            if service in self._processes:
                self.signal(service, signal.SIGTERM)
                if not await self.ended(service, 40):
                    self.kill(service)
                statuses[service] = self._processes[service].wait()
        return statuses

    def stop(self) -> int:
        """Kill what still runs."""
        for service, process in self._processes.items():
            self.signal(service, signal.SIGCONT)
            self.kill(service)
            process.wait()
        return 0


@contextlib.asynccontextmanager
async def a_fleet(
    data_dir: Path, shape: Shape, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Fleet]:
    """Start the services in a shape, and take them away again whatever happens."""
    data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 -- before anything runs
    with shape.surroundings(data_dir) as told:
        fleet = Fleet(data_dir, shape, {**told, **(environ or {})})
        try:
            await fleet.start_all()
            yield fleet
        finally:
            fleet.stop()
