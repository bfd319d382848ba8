# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""How grpcio's calls are taken in: those of a busy method many at a time, if its edition allows."""

import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs

from smarketing.server import grpcio
from smarketing.server.admission import AdmissionLimits
from smarketing.server.settings import GrpcEngine, ServerConfig
from tests.contract.server.echo import EchoResponse, EchoServicer, outcome_of, serving

CALLS = 200
MANY = 24
GRPCIO = ServerConfig(grpc_engine=GrpcEngine.GRPCIO)


class InOrder(EchoServicer):
    """Notes in which order calls began."""

    def __init__(self):
        super().__init__()
        self.begun = []

    async def Say(self, request, context):
        self.begun.append("Say")
        return EchoResponse(word=request.word)

    async def Tell(self, request, context):
        self.begun.append("Tell")
        yield EchoResponse(word=request.word)


class Counting(EchoServicer):
    """Notes in which turn of the event loop each call began."""

    def __init__(self):
        super().__init__()
        self.begun = Counter()
        self._turn = 0

    def next_turn(self):
        self._turn += 1
        asyncio.get_running_loop().call_soon(self.next_turn)

    async def Say(self, request, context):
        self.begun[self._turn] += 1
        return EchoResponse(word=request.word)


async def begun_at_once():
    """Return how many of many calls at most began in one turn of the loop, all of which are answered."""
    servicer = Counting()
    async with serving(servicer, config=GRPCIO) as rig:
        servicer.next_turn()
        answers = await asyncio.gather(*[outcome_of(rig.say(timeout=30)) for _ in range(CALLS)])
    assert answers == ["hello"] * CALLS
    return max(servicer.begun.values())


async def test_many_calls_of_a_busy_method_begin_in_one_turn_of_the_event_loop():
    assert await begun_at_once() >= MANY


async def test_an_edition_of_grpcio_with_other_parameters_serves_its_calls_one_after_the_other(
    monkeypatch,
):
    monkeypatch.setitem(grpcio._NEEDED, "_handle_rpc", "of, another, edition")
    # How many begin at once is no measure here: a loop that was held up finds several waiting.
    asked_ahead = []
    monkeypatch.setattr(grpcio, "_Accepting", lambda *told: asked_ahead.append(told))
    with capture_logs() as said:
        await begun_at_once()
    assert asked_ahead == []
    assert [each["event"] for each in said if each["log_level"] == "warning"] == ["calls_taken_in_one_by_one"]


async def test_a_flood_of_a_busy_method_stands_before_no_other():
    servicer, few = InOrder(), 10
    limits = AdmissionLimits(unary_in_flight=2 * CALLS, streams_per_principal=few)
    async with serving(servicer, config=GRPCIO, admission=limits) as rig:
        told = [rig.tell(timeout=30) for _ in range(few)]
        said = [outcome_of(rig.say(timeout=30)) for _ in range(2 * CALLS)]
        assert [[each.word async for each in call] for call in told] == [["hello"]] * few
        await asyncio.gather(*said)

    last = len(servicer.begun) - servicer.begun[::-1].index("Tell")
    assert last < 0.9 * len(servicer.begun)


async def test_a_busy_method_that_nobody_serves_is_refused():
    with pytest.raises(ValueError, match="no method Shout"):
        async with serving(busy=("Say", "Shout")):
            """It does not start."""
