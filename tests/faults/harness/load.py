"""Calls at a fixed rate, whatever becomes of the ones before, each in the ledger.

A call after which nobody knows is repeated under its own request id until somebody does.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import grpc
from google.protobuf.message import Message

from smarketing import wallclock
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import CallError, LeadsClient
from smarketing.client.retries import RetryPolicy
from tests.e2e.company import Company
from tests.faults.harness.ledger import Ledger, digest_of

CANARY: Final = "zwergkanarie"
"""In every personal field of the load's leads, and so in no log, metric, event or other service's file."""
SOURCE: Final = "faults"
HASTY_SHARE: Final = 0.1
"""Of the leads, so many are due in five seconds."""

_CALL: Final = timedelta(seconds=3)
_AGAIN_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 0.8
_MOST_UNDER_WAY: Final = 400
_ONCE: Final = RetryPolicy(attempts=1)
"""The client's own repetitions are switched off: the ledger shall know each."""
_UNKNOWN: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)

_Method: TypeAlias = Callable[[Any, timedelta], Awaitable[Any]]


@dataclass
class Load:
    """Submits leads and works them as `company`'s people, `rate` calls a second."""

    company: Company
    ledger: Ledger
    seed: int
    name: str = "a"
    rate: float = 50.0
    of_peak: float = 0.0
    """What the machine answered at most when it was measured, a second."""
    sent: int = 0
    held_back: int = 0
    """Arrivals for which too many calls were under way: the machine was too slow for the rate."""
    hasty_share: float = HASTY_SHARE
    given_up_share: float = 0.0
    """Of the calls, so many are given up within fifty milliseconds, and asked for again."""
    given_up: int = 0
    retries: RetryPolicy = _ONCE
    """How the client itself repeats a call; each attempt is in the ledger only when it does not."""
    call: timedelta = _CALL
    """How long an attempt, or the client with all of its own, may take."""
    asked: dict[str, leadspb.SubmitLeadRequest] = field(default_factory=dict)
    """Every submission by its request id, to ask again."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from the arrival of a call to its definite answer."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _open: deque[leadspb.Handoff] = field(default_factory=lambda: deque(maxlen=5_000))

    async def __aenter__(self) -> Self:
        self.chance = random.Random(f"{self.seed}/{self.name}")
        self.source = LeadsClient(self.company.of("website"), retries=self.retries)
        self.rep = LeadsClient(self.company.of("rosa"), retries=self.retries)
        self.manager = LeadsClient(self.company.of("sven"), retries=self.retries)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in (self.source, self.rep, self.manager):
            await client.close()

    async def peak(self, seconds: float = 2.0, callers: int = 24) -> float:
        """Return how many submissions a second are answered when each caller asks at once again."""
        ends, before = wallclock.monotonic() + seconds, self.sent

        async def ask() -> None:
            while wallclock.monotonic() < ends:
                await self._submit()

        await asyncio.gather(*(ask() for _ in range(callers)))
        return (self.sent - before) / seconds

    async def run(self) -> None:
        """Let calls arrive at the rate until cancelled; those under way go on."""
        due = wallclock.monotonic()
        while True:
            due += self.chance.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - wallclock.monotonic()))
            if len(self._tasks) >= _MOST_UNDER_WAY:
                self.held_back += 1
                continue
            task = asyncio.create_task(self._arrive())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settle(self, seconds: float = 60.0) -> None:
        """Return once every call that went out has a definite answer."""
        async with asyncio.timeout(seconds):
            while self._tasks:
                done, _ = await asyncio.wait(set(self._tasks))
                for task in done:
                    task.result()

    async def _arrive(self) -> None:
        began = wallclock.monotonic()
        if self._open and self.chance.random() < 0.4:
            await self._work(self._open.popleft())
        else:
            await self._submit()
        self.latencies.append(wallclock.monotonic() - began)

    async def _submit(self) -> None:
        self.sent += 1
        key = f"{self.name}-{self.sent}"
        hasty = self.chance.random() < self.hasty_share
        submission = leadspb.Submission(
            source_system=SOURCE,
            external_id=key,
            contact=leadspb.Contact(
                given_name=f"{CANARY.title()} {key}", email=f"{CANARY}.{key}@{self.name}{self.sent}.example"
            ),
            qualification=leadspb.Qualification(segment="hasty" if hasty else "smb", source="ads"),
        )
        request = leadspb.SubmitLeadRequest(
            parent=self.company.name, request_id=wallclock.new_uuid(), submission=submission
        )
        self.asked[request.request_id] = request
        answer = await self._call("submit", key, self.source.submit_lead, request)
        if answer is not None:
            self._open.append(answer.handoff)

    async def _work(self, handoff: leadspb.Handoff) -> None:
        """Do something with a handoff: pass it on, reject it, or take it through to its end."""
        offer, request_id = handoff.offer, wallclock.new_uuid()
        queue = f"{self.company.name}/queues/inbound"
        answer: dict[str, Any] = {
            "name": offer.name,
            "fencing_token": offer.fencing_token,
            "request_id": request_id,
        }
        match self.chance.randrange(8):
            case 0:
                await self._call(
                    "decline", handoff.name, self.rep.decline_offer, leadspb.DeclineOfferRequest(**answer)
                )
            case 1:
                rejection = leadspb.RejectOfferRequest(**answer, reason_code="NO_CAPACITY")
                await self._call("reject", handoff.name, self.rep.reject_offer, rejection)
            case 2:
                # Nobody's turn but the queue's: whoever claims next gets it, or another one that waits there.
                moved = leadspb.ReassignHandoffRequest(
                    name=handoff.name, assignee=queue, request_id=request_id
                )
                await self._call("reassign", handoff.name, self.manager.reassign_handoff, moved)
                claim = leadspb.ClaimOfferRequest(queue=queue, request_id=wallclock.new_uuid())
                await self._call("claim", queue, self.rep.claim_offer, claim)
            case _:
                accepted = leadspb.AcceptOfferRequest(**answer)
                if await self._call("accept", handoff.name, self.rep.accept_offer, accepted) is not None:
                    await self._follow_up(handoff.name)

    async def _follow_up(self, handoff: str) -> None:
        if self.chance.random() < 0.3:
            return  # forgotten: its clock runs out
        call = leadspb.FollowUp(channel=termspb.FOLLOW_UP_CHANNEL_CALL)
        logged = leadspb.LogFollowUpRequest(parent=handoff, follow_up=call, request_id=wallclock.new_uuid())
        await self._call("follow_up", handoff, self.rep.log_follow_up, logged)
        if self.chance.random() < 0.3:
            converted = leadspb.ConvertHandoffRequest(name=handoff, request_id=wallclock.new_uuid())
            await self._call("convert", handoff, self.rep.convert_handoff, converted)

    async def _call(self, kind: str, key: str, method: _Method, request: Any) -> Any | None:
        """Return the answer, asked for until it is definite; None when it is a refusal."""
        request_id = request.request_id
        digest, rest = digest_of(_bytes(request)), _AGAIN_SECONDS
        while True:
            self.ledger.invoke(request_id, kind, key, digest)
            try:
                async with asyncio.timeout(self._patience_seconds()):
                    answer = await method(request, self.call)
            except TimeoutError:
                self.given_up += 1
                self.ledger.info(request_id, "given up")
            except CallError as error:
                reason = error.reason or error.code.name
                if error.code in _UNKNOWN:
                    self.ledger.info(request_id, reason)
                else:
                    self.ledger.fail(request_id, reason)
                    if error.retry_delay is None:
                        return None
            except asyncio.CancelledError:
                self.ledger.info(request_id, "given up")
                raise
            else:
                named = answer.handoff.name if kind == "submit" else key
                self.ledger.ok(request_id, _bytes(answer), named)
                return answer
            await asyncio.sleep(rest * (0.5 + self.chance.random()))
            rest = min(2 * rest, _LONGEST_SECONDS)

    def _patience_seconds(self) -> float | None:
        if self.given_up_share and self.chance.random() < self.given_up_share:
            return self.chance.uniform(0.0, 0.05)
        return None

    async def ask_again(self, request_ids: list[str]) -> None:
        """Say submissions once more under their ids; the ledger then holds a second answer to each."""
        gate = asyncio.Semaphore(32)

        async def again(request_id: str) -> None:
            async with gate:
                request = self.asked[request_id]
                key = request.submission.external_id
                await self._call("submit", key, self.source.submit_lead, request)

        await asyncio.gather(*(again(request_id) for request_id in request_ids))


def _bytes(message: Message) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
