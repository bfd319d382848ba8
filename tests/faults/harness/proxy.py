"""A road between a client and a server on which anything may go wrong, for tests."""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self


class Way(StrEnum):
    """What the road does at present."""

    PASS = "pass"
    """Everything arrives."""
    DELAY = "delay"
    """Everything arrives `delay_seconds` later, give or take `jitter_seconds`."""
    DROP_NEW = "drop_new"
    """New connections are closed at once; old ones go on."""
    HALF_OPEN = "half_open"
    """Connections are accepted, and nothing is forwarded either way."""
    RESET = "reset"
    """Every connection, also an old one, is reset at its next byte."""
    ONE_WAY = "one_way"
    """What the client says arrives; what the server says does not."""
    TRUNCATE = "truncate"
    """Of what the server says only `after_bytes` of each connection arrive, then it is closed."""
    RATE = "rate"
    """`bytes_per_second` arrive each way of each connection."""


@dataclass
class FaultProxy:
    """Listens on a free port of loopback and forwards to `target`, in the `way` set at any time."""

    target: tuple[str, int]
    way: Way = Way.PASS
    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    after_bytes: int = 0
    bytes_per_second: float = 1e9
    seed: int = 1
    connections: int = 0
    """Accepted so far."""
    swallowed: int = 0
    """How often something was said that did not arrive."""
    _open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        self._chance = random.Random(self.seed)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset every connection there is, at once."""
        for ends in self._open.values():
            for end in ends:
                _reset(end)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections += 1
        self._open[task] = (writer,)
        try:
            # Whatever ends a connection, its end is all there is to do.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.way is not Way.DROP_NEW:
                    await self._forward(task, reader, writer)
        finally:
            for end in self._open.pop(task):
                end.close()

    async def _forward(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        ends = self._open[task] = (writer, there_writer)
        asking = asyncio.create_task(self._pump(reader, there_writer, ends, answers=False))
        answering = asyncio.create_task(self._pump(there_reader, writer, ends, answers=True))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in (asking, answering):
                pump.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, ...],
        *,
        answers: bool,
    ) -> None:
        passed = 0
        while data := await reader.read(65_536):
            way = self.way
            if way is Way.RESET:
                for end in ends:
                    _reset(end)
                return
            if way is Way.HALF_OPEN or (way is Way.ONE_WAY and answers):
                self.swallowed += 1
                continue
            if way is Way.TRUNCATE and answers:
                data = data[: max(0, self.after_bytes - passed)]
            await self._hold_back(way, len(data))
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if way is Way.TRUNCATE and answers and passed >= self.after_bytes:
                return

    async def _hold_back(self, way: Way, size: int) -> None:
        if way is Way.DELAY:
            jitter = self.jitter_seconds * (2 * self._chance.random() - 1)
            await asyncio.sleep(max(0.0, self.delay_seconds + jitter))
        elif way is Way.RATE:
            await asyncio.sleep(size / self.bytes_per_second)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end gets a reset instead of an end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
