"""A webhook receiver on loopback that keeps what it was sent and answers as it is told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def verified_with(self, secret: str) -> object:
        """Return the parsed body; raises when the signature is not right."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Listens on a free port of loopback; `answer` maps the number of the request to a status line."""

    answer: Callable[[int], str] = lambda _number: "200 OK"
    received: list[Received] = field(default_factory=list)
    stall: asyncio.Event | None = None
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _connections: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self.stall is not None:
            self.stall.set()
        self._server.close()
        await self._server.wait_closed()
        # The server's end does not wait for those it accepted, and a client may hold its connection for ever.
        for writer in self._connections.values():
            writer.close()
        await asyncio.gather(*self._connections)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait_for(self, count: int, *, seconds: float = 10.0) -> list[Received]:
        """Return what was received, once it is so many; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[connection] = writer
        try:
            # Who went away is owed no answer.
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._answer(reader, writer)
        finally:
            del self._connections[connection]
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if self.stall is not None:
            await self.stall.wait()
        async with self._arrived:
            self.received.append(Received(path=request_line.split(" ")[1], headers=headers, body=body))
            status = self.answer(len(self.received))
            self._arrived.notify_all()
        extra = "location: http://127.0.0.1:1/\r\n" if status.startswith("3") else ""
        writer.write(f"HTTP/1.1 {status}\r\n{extra}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
