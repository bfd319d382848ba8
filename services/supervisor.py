"""Runs child processes: starts them in order, restarts one that dies, stops all of them together."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from smarketing import wallclock

__all__ = ["Child", "Patience", "Supervisor"]

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_live: Callable[[], Awaitable[bool]]
    """Whether it answers at all; the next child is started only then."""
    is_ready: Callable[[], Awaitable[bool]]
    """Whether it serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a supervisor waits for what."""

    first_restart: timedelta = timedelta(milliseconds=500)
    """Before the first restart; doubles with each death that follows before the child was ready."""
    longest_restart: timedelta = timedelta(seconds=30)
    stop: timedelta = timedelta(seconds=25)
    """After SIGTERM; whoever is still there then is killed."""
    deaths_before_ready: int = 10
    """So many in a row, and the supervisor gives up: a child that never serves will not by trying again."""


@dataclass(slots=True)
class _Life:
    """What is known of a child's present process and of those before it."""

    child: Child
    process: asyncio.subprocess.Process | None = None
    live: asyncio.Event = field(default_factory=asyncio.Event)
    """Answered once; a later death does not hold up those who were started after it."""
    ready: bool = False
    deaths: int = 0
    """In a row, without having been ready between them."""


class GaveUp(Exception):
    """A child died too often before it was ready."""


class Supervisor:
    """Keeps children running until told to stop; `say` is given one line for each thing worth knowing."""

    def __init__(
        self, children: Sequence[Child], *, say: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self._lives = [_Life(child) for child in children]
        self._say = say
        self._patience = patience or Patience()
        self._stopping = False
        self._all_ready_said = False

    @property
    def all_ready(self) -> bool:
        """Whether every child serves."""
        return all(life.ready for life in self._lives)

    def process_id(self, name: str) -> int | None:
        """Return the id of a child's present process; None while it has none."""
        life = next(life for life in self._lives if life.child.name == name)
        return None if life.process is None else life.process.pid

    async def run(self, stop: asyncio.Event) -> int:
        """Run the children until `stop`; return the exit status: 0 when all of them ended well."""
        keeping = [asyncio.create_task(self._keep_in_turn(index)) for index in range(len(self._lives))]
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopped, *keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping = True
            for task in [stopped, *keeping]:
                task.cancel()
            ended_well = await self._stop_all()
        results = await asyncio.gather(*keeping, return_exceptions=True)
        failed = [each for each in results if isinstance(each, Exception)]
        for failure in failed:
            self._say(str(failure))
        return 0 if ended_well and not failed else 1

    async def _keep_in_turn(self, index: int) -> None:
        for earlier in self._lives[:index]:
            await earlier.live.wait()
        await self._keep(self._lives[index])

    async def _keep(self, life: _Life) -> None:
        while True:
            life.process = await asyncio.create_subprocess_exec(
                *life.child.command, env=life.child.environment, stdin=asyncio.subprocess.DEVNULL
            )
            watching = asyncio.create_task(self._watch(life))
            try:
                status = await life.process.wait()
            finally:
                watching.cancel()
            life.deaths = 1 if life.ready else life.deaths + 1
            life.ready = self._all_ready_said = False
            await self._rest_after_death(life, status)

    async def _rest_after_death(self, life: _Life, status: int) -> None:
        name, died = life.child.name, _death(status)
        if life.deaths >= self._patience.deaths_before_ready:
            raise GaveUp(f"{name} {died}; it died {life.deaths} times without being ready, giving up")
        doubled = self._patience.first_restart * 2 ** (life.deaths - 1)
        rest = min(doubled, self._patience.longest_restart)
        self._say(f"{name} {died}; restarting it in {rest.total_seconds():g} s")
        await asyncio.sleep(rest.total_seconds())

    async def _watch(self, life: _Life) -> None:
        """Note when the child answers and when it serves, for the first time of this process."""
        while not await life.child.is_live():  # noqa: ASYNC110 -- another process sets no event of ours
            await asyncio.sleep(_POLL_SECONDS)
        life.live.set()
        while not await life.child.is_ready():  # noqa: ASYNC110 -- as above
            await asyncio.sleep(_POLL_SECONDS)
        life.ready = True
        if self.all_ready and not self._all_ready_said:
            self._all_ready_said = True
            self._say(f"ready: {', '.join(life.child.name for life in self._lives)}")

    async def _stop_all(self) -> bool:
        """End every process; return whether each ended by itself, with status 0."""
        running = [
            life for life in self._lives if life.process is not None and life.process.returncode is None
        ]
        for life in running:
            _send(life, signal.SIGTERM)
        deadline = wallclock.monotonic() + self._patience.stop.total_seconds()
        return all(await asyncio.gather(*(self._await_end(life, deadline) for life in running)))

    async def _await_end(self, life: _Life, deadline: float) -> bool:
        process = life.process
        if process is None:
            return True
        try:
            async with asyncio.timeout(max(0.0, deadline - wallclock.monotonic())):
                status = await process.wait()
        except TimeoutError:
            self._say(f"{life.child.name} did not stop in time; killing it")
            _send(life, signal.SIGKILL)
            await process.wait()
            return False
        if status not in {0, -signal.SIGTERM}:
            self._say(f"{life.child.name} {_death(status)} while stopping")
            return False
        return True


def _send(life: _Life, number: signal.Signals) -> None:
    if life.process is not None:
        with contextlib.suppress(ProcessLookupError):
            life.process.send_signal(number)


def _death(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
