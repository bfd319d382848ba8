"""Calls that are due at a fixed rate whatever the server does, from a process of its own.

Latency is counted from the instant at which a call was due: a server that stands still delays the calls
that would have come meanwhile, and each of them is counted (no coordinated omission). With `in_flight`
the loop is closed instead, so many calls at a time, which finds the peak.

`loading` starts it, and writes to its input: for each load a line of what is asked, as JSON. It prints
`ready`, reads the instant to start at, by the machine's monotonic clock, and prints what it saw of each
call: microseconds from the start until it was due, and from there to its end.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from tests.bench.requests import claim_requests, unary_requests
from tests.bench.wire import UNANSWERED, Calls, connected

_SERVICE: Final = "/smarketing.api.leads.v1.LeadService"
SUBMIT, CLAIM, EMPTY = "submit", "claim", "empty"
_METHODS: Final = {SUBMIT: "SubmitLead", CLAIM: "ClaimOffer", EMPTY: "SubmitLead"}
_ALIKE: Final = 1_000
"""Requests that are sent again and again to whoever keeps nothing."""
_CONNECTIONS: Final = 2
"""To each target."""
_PATIENCE_SECONDS: Final = 8.0
"""For the answers to the last calls."""
_MICROSECONDS: Final = 1e6


class Log:
    """When each call was due, how long it took from there, and how it ended."""

    def __init__(self, count: int) -> None:
        self.due = [0.0] * count
        self.took = [0.0] * count
        self.status = [UNANSWERED] * count
        self.sent = 0
        self.answered = 0

    def ended(self, number: int, status: int) -> None:
        """Note the end of a call."""
        self.took[number] = time.monotonic() - self.due[number]
        self.status[number] = status
        self.answered += 1

    def as_json(self, start: float) -> str:
        """Return all calls that were sent."""
        return json.dumps(
            {
                "due": [round(_MICROSECONDS * (at - start)) for at in self.due[: self.sent]],
                "took": [round(_MICROSECONDS * each) for each in self.took[: self.sent]],
                "status": self.status[: self.sent],
            }
        )


class Loader:
    """Sends the requests over a few connections to each target, in turn."""

    def __init__(self, requests: Sequence[bytes], count: int, method: str) -> None:
        self.log = Log(count)
        self._requests = requests
        self._count = count
        self._method = method
        self._connections: list[Calls] = []
        self._goes_on = False
        self._flushes = False
        self._until = 0.0
        self._done = asyncio.Event()

    async def connect(self, targets: Sequence[str], token: str, each: int) -> None:
        """Open `each` connections to every target."""
        for _ in range(each):
            for target in targets:
                self._connections.append(await connected(target, self._method, token, self._ended))

    async def open_loop(self, start: float, due: Sequence[float]) -> None:
        """Send each request when it is due, and wait for the last answers."""
        for offset in due:
            at = start + offset
            if at > time.monotonic():
                self._flush()
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            self._send(at)
            if self.log.sent % 64 == 0:
                # Behind its time it has to read answers, too.
                self._flush()
                await asyncio.sleep(0)
        self._flush()
        if due:
            await self._answered(_PATIENCE_SECONDS)

    async def closed_loop(self, start: float, in_flight: int, seconds: float) -> None:
        """Keep so many calls going for so long."""
        await asyncio.sleep(max(0.0, start - time.monotonic()))
        self._goes_on, self._until = True, start + seconds
        for _ in range(min(in_flight, self._count)):
            self._send(time.monotonic())
        self._flush()
        await self._answered(seconds + _PATIENCE_SECONDS)

    def close(self) -> None:
        """End the connections."""
        for connection in self._connections:
            connection.close()

    def _send(self, due: float) -> None:
        number = self.log.sent
        self.log.due[number] = due
        self.log.sent += 1
        self._connections[number % len(self._connections)].send(
            number, self._requests[number % len(self._requests)]
        )

    def _flush(self) -> None:
        self._flushes = False
        for connection in self._connections:
            connection.flush()

    def _ended(self, number: int, status: int, _answer: bytes) -> None:
        self.log.ended(number, status)
        now = time.monotonic()
        if self._goes_on and self.log.sent < self._count and now < self._until:
            self._send(now)
            if not self._flushes:
                # All who are answered in this turn of the loop go on together.
                self._flushes = True
                asyncio.get_running_loop().call_soon(self._flush)
        elif self.log.answered == self.log.sent and (self._goes_on or self.log.sent == self._count):
            self._done.set()

    async def _answered(self, seconds: float) -> None:
        """Wait for the answers to all that was sent and will be."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), seconds)


def due_times(phases: Sequence[tuple[float, float]], part: int, of: int) -> list[float]:
    """Return when each call of one of several loaders is due; a phase is calls a second, and seconds."""
    due: list[float] = []
    begins = 0.0
    for rate, seconds in phases:
        count = round(rate * seconds)
        due += [begins + nth / rate for nth in range(part, count, of)]
        begins += seconds
    return due


def _requests(asked: Mapping[str, Any], count: int) -> list[bytes]:
    if asked["call"] == CLAIM:
        return claim_requests(count)
    return unary_requests(asked["run"], min(count, _ALIKE) if asked["call"] == EMPTY else count)


async def _load(asked: Mapping[str, Any]) -> str:
    phases, in_flight = asked["phases"], asked["in_flight"]
    due = [] if in_flight else due_times(phases, asked["part"], asked["of"])
    count = asked["most"] if in_flight else len(due)
    loader = Loader(_requests(asked, count), count, f"{_SERVICE}/{_METHODS[asked['call']]}")
    await loader.connect(asked["targets"], asked["token"], _CONNECTIONS)
    print("ready", flush=True)
    start = float(await asyncio.to_thread(sys.stdin.readline))
    if in_flight:
        await loader.closed_loop(start, in_flight, sum(seconds for _, seconds in phases))
    else:
        await loader.open_loop(start, due)
    loader.close()
    return loader.log.as_json(start)


def main() -> int:
    """Run one load after the other, as they are asked for."""
    while line := sys.stdin.readline():
        print(asyncio.run(_load(json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
