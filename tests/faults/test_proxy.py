"""The road on which things go wrong does each of them, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from smarketing import wallclock
from tests.faults.harness.proxy import FaultProxy, Way

pytestmark = pytest.mark.timeout(30)

_SHORT_SECONDS = 0.2


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """Give a road to a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1024):
                heard.append(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # a reset is what some of these tests make
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with FaultProxy(server.sockets[0].getsockname()[:2]) as proxy:
        heard.clear()
        yield proxy
    server.close()
    await server.wait_closed()


heard: list[bytes] = []
"""What the server was told."""


class Caller:
    """Somebody at this end of the road."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    async def __aenter__(self) -> "Caller":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._proxy.port)
        return self

    async def __aexit__(self, *_exit: object) -> None:
        self.writer.close()

    async def say(self, text: bytes) -> bytes:
        """Say something and return what comes back within a short while."""
        self.writer.write(text)
        try:
            async with asyncio.timeout(_SHORT_SECONDS):
                return await self.reader.read(1024)
        except TimeoutError:
            return b"(silence)"
        except ConnectionError:
            return b"(reset)"


async def test_a_good_road_carries_everything(proxy: FaultProxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.say(b"hello") == b"hello"


async def test_a_slow_road_carries_it_later(proxy: FaultProxy) -> None:
    async with Caller(proxy) as caller:
        proxy.way, proxy.delay_seconds = Way.DELAY, 0.05
        began = wallclock.monotonic()
        assert await caller.say(b"hello") == b"hello"
        assert wallclock.monotonic() - began >= 0.1  # there, and back


async def test_new_callers_are_turned_away_and_old_ones_go_on(proxy: FaultProxy) -> None:
    async with Caller(proxy) as old:
        assert await old.say(b"one") == b"one"
        proxy.way = Way.DROP_NEW
        async with Caller(proxy) as new:
            assert await new.say(b"hello") in {b"", b"(reset)"}
        assert await old.say(b"two") == b"two"


async def test_a_half_open_road_takes_everything_and_carries_nothing(proxy: FaultProxy) -> None:
    proxy.way = Way.HALF_OPEN
    async with Caller(proxy) as caller:
        assert await caller.say(b"hello") == b"(silence)"
    assert heard == []


async def test_a_one_way_road_carries_what_is_said_and_not_the_answer(proxy: FaultProxy) -> None:
    proxy.way = Way.ONE_WAY
    async with Caller(proxy) as caller:
        assert await caller.say(b"hello") == b"(silence)"
    assert heard == [b"hello"]


async def test_a_reset_ends_old_callers_too(proxy: FaultProxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.say(b"one") == b"one"
        proxy.way = Way.RESET
        assert await caller.say(b"two") == b"(reset)"
        assert heard == [b"one"]


async def test_a_cut_resets_at_once(proxy: FaultProxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.say(b"one") == b"one"
        proxy.cut()
        with pytest.raises(ConnectionError):
            await caller.reader.readexactly(1)


async def test_an_answer_is_cut_off_after_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.way, proxy.after_bytes = Way.TRUNCATE, 3
    async with Caller(proxy) as caller:
        assert await caller.say(b"hello") == b"hel"
        assert await caller.reader.read(10) == b""


async def test_a_narrow_road_carries_so_many_bytes_a_second(proxy: FaultProxy) -> None:
    proxy.way, proxy.bytes_per_second = Way.RATE, 100.0
    async with Caller(proxy) as caller:
        began = wallclock.monotonic()
        assert await caller.say(b"hello") == b"hello"
        assert wallclock.monotonic() - began >= 0.1  # five bytes there, five back
