"""Streams at the edge: messages in and out as objects, with a bound on how long a reader may sleep."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc.aio

from smarketing.server.refusals import reader_too_slow

__all__ = ["StreamContext", "emit", "messages"]

_Accept = Callable[[bytes], Any]


class StreamContext:
    """The servicer's context of a stream: reads accepted messages, writes within the time allowed."""

    def __init__(
        self,
        context: "grpc.aio.ServicerContext[Any, Any]",
        *,
        accept: _Accept | None,
        serialize: Callable[[Any], bytes],
        write_seconds: float,
    ) -> None:
        self._context = context
        self._accept = accept
        self._serialize = serialize
        self._write_seconds = write_seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        """Return the next request, or `grpc.aio.EOF`."""
        raw = await self._context.read()
        return raw if self._accept is None or raw is grpc.aio.EOF else self._accept(raw)

    async def write(self, message: Any) -> None:
        """Send a response.

        Raises:
            Refusal: READER_TOO_SLOW.
        """
        raw = self._serialize(message)
        try:
            async with asyncio.timeout(self._write_seconds) as timer:
                await self._context.write(raw)
        except TimeoutError:
            if timer.expired():
                raise reader_too_slow() from None
            raise


async def messages(raws: AsyncIterator[bytes], accept: _Accept) -> AsyncIterator[Any]:
    """Yield each request of a stream once it is accepted."""
    async for raw in raws:
        yield accept(raw)


async def emit(serve: Callable[..., Any], request: Any, context: StreamContext) -> None:
    """Run a response-streaming handler of either style: one that yields, or one that writes."""
    if not inspect.isasyncgenfunction(serve):
        await serve(request, context)
        return
    async with aclosing(serve(request, context)) as responses:
        async for response in responses:
            await context.write(response)
