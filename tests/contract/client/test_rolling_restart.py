# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""Replicas that are stopped and started again one by one, under a client that knows both (P30, F5, F58)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

import grpc
import pytest

from services.__main__ import addresses_from
from smarketing import wallclock
from smarketing.client import CallError, ClientSettings
from smarketing.client.connection import Connection
from smarketing.client.errors import error_of
from smarketing.client.retries import Patience
from smarketing.config import Secret
from smarketing.server.draining import Draining, server_draining
from smarketing.server.settings import GrpcEngine, ServerConfig
from tests.builders.engines import engine
from tests.builders.processes import until
from tests.contract.server.echo import (
    SECRET,
    SERVICE,
    EchoRequest,
    EchoResponse,
    EchoServicer,
    a_request,
    serving,
)

CALLERS: Final = 40
STREAMS: Final = 4
ROUNDS: Final = 2
ENOUGH: Final = 5 * CALLERS
"""Calls that a replica answers before the other one is stopped."""

pytestmark = pytest.mark.usefixtures("each_engine")


class Watched(EchoServicer):
    """Answers after a moment, and has streams that go on until the server drains."""

    def __init__(self, served: Callable[[], None]) -> None:
        super().__init__()
        self.draining: Draining | None = None
        self._served = served

    async def Say(self, request: Any, context: Any) -> Any:
        # A call that is under way when its server is told to stop.
        await asyncio.sleep(0.005)
        self._served()
        return EchoResponse(word=request.word)

    async def Tell(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert self.draining is not None
        yield EchoResponse(word="begun")
        await self.draining.wait()
        raise server_draining(resume_position=1)


@dataclass
class Pair:
    """Two replicas, each at an address of its own that it keeps."""

    configs: list[ServerConfig]
    served: Counter[int] = field(default_factory=Counter)
    stacks: dict[int, AsyncExitStack] = field(default_factory=dict)
    slowest_stop: float = 0.0

    @property
    def target(self) -> str:
        return f"ipv4:{','.join(each.listen for each in self.configs)}"

    async def start(self, number: int) -> None:
        servicer, stack = Watched(lambda: self.served.update([number])), AsyncExitStack()
        rig = await stack.enter_async_context(serving(servicer, config=self.configs[number]))
        servicer.draining = rig.draining
        await rig.running.set_ready(ready=True)
        self.stacks[number] = stack

    async def restart(self, number: int) -> None:
        began = wallclock.monotonic()
        await self.stacks[number].aclose()
        self.slowest_stop = max(self.slowest_stop, wallclock.monotonic() - began)
        await self.start(number)


@asynccontextmanager
async def a_pair(**settings: Any) -> AsyncIterator[Pair]:
    ports = [each.grpc for each in addresses_from(0).values()][:2]
    pair = Pair([ServerConfig(listen=port, grpc_engine=engine(), **settings) for port in ports])
    for number in range(2):
        await pair.start(number)
    try:
        yield pair
    finally:
        for stack in pair.stacks.values():
            await stack.aclose()


@dataclass
class Told:
    """What callers learnt."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    streams: int = 0


async def ask(connection: Connection, told: Told, stop: asyncio.Event) -> None:
    """Call, and call again."""
    say: Any = connection.channel.unary_unary(
        f"/{SERVICE}/Say",
        request_serializer=EchoRequest.SerializeToString,
        response_deserializer=EchoResponse.FromString,
    )
    while not stop.is_set():
        try:
            await connection.call(say, a_request(request_id=wallclock.new_uuid()))
        except CallError as error:
            told.failed.append(f"{error.code.name} {error}")
        else:
            told.answered += 1


async def watch(connection: Connection, told: Told, stop: asyncio.Event) -> None:
    """Keep a stream open, and open it anew when its server asks for that, as our clients' watches do."""
    tell: Any = connection.channel.unary_stream(
        f"/{SERVICE}/Tell",
        request_serializer=EchoRequest.SerializeToString,
        response_deserializer=EchoResponse.FromString,
    )
    patience = Patience(connection.retries, timedelta(seconds=5))
    while not stop.is_set():
        call = tell(a_request(), metadata=connection.metadata)
        try:
            async for _ in call:
                patience.progressed()
                told.streams += 1
        except grpc.aio.AioRpcError as error:
            try:
                await patience.rest(error_of(error))
            except CallError as fatal:
                told.failed.append(f"stream: {fatal}")
                return


@asynccontextmanager
async def callers(pair: Pair) -> AsyncIterator[Told]:
    """Let many call and watch meanwhile, as our own clients do, with nothing set but where and who."""
    settings = ClientSettings(token=Secret(f"smk_minaminamina_{SECRET}"))
    told, stop = Told(), asyncio.Event()
    async with Connection(pair.target, settings) as connection:
        calling = [asyncio.create_task(ask(connection, told, stop)) for _ in range(CALLERS)]
        watching = [asyncio.create_task(watch(connection, told, stop)) for _ in range(STREAMS)]
        await until(count_of(lambda: told.streams), lambda streams: streams >= STREAMS)
        yield told
        stop.set()
        await asyncio.gather(*calling)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def at_least(count: int) -> Callable[[int], bool]:
    return lambda found: found >= count


def count_of(number: Callable[[], int]) -> Callable[[], Awaitable[int]]:
    async def ask() -> int:
        return number()

    return ask


async def test_no_call_fails_while_one_replica_after_the_other_is_stopped_and_started_again() -> None:
    async with a_pair() as pair, callers(pair) as told:
        for number in (0, 1) * ROUNDS:
            await pair.restart(number)
            # Ready is not enough: the next one stops once callers have found this one again.
            await until(
                count_of(partial(pair.served.__getitem__, number)), at_least(pair.served[number] + ENOUGH)
            )
    assert told.failed == []
    assert pair.slowest_stop < 5.0
    # Each stream was ended at least once in each round, and went on.
    assert told.streams >= STREAMS * ROUNDS


def ends_no_connection_for_its_age(engine: GrpcEngine) -> None:
    if engine is GrpcEngine.NATIVE:
        pytest.skip("it serves one machine, and ends no connection for its age")


async def test_no_call_fails_while_connections_are_replaced_for_their_age(each_engine: GrpcEngine) -> None:
    ends_no_connection_for_its_age(each_engine)
    # With less than a second gRPC draws no chance, and with none a call in flight would be cut.
    age = {"connection_age": timedelta(milliseconds=200), "connection_age_grace": timedelta(seconds=10)}
    async with a_pair(**age) as pair, callers(pair) as told:
        before = told.answered
        ends = wallclock.monotonic() + 1.5
        await until(count_of(lambda: int(wallclock.monotonic() >= ends)), bool)
        assert told.answered > before
    assert told.failed == []


async def test_a_replica_that_came_late_gets_calls(each_engine: GrpcEngine) -> None:
    ends_no_connection_for_its_age(each_engine)
    age = {"connection_age": timedelta(milliseconds=300), "connection_age_grace": timedelta(seconds=10)}
    async with a_pair(**age) as pair:
        await pair.stacks[1].aclose()
        async with callers(pair) as told:
            before = pair.served[1]
            await pair.start(1)
            await until(count_of(lambda: pair.served[1]), lambda served: served > before)
    assert told.failed == []
