"""A stream lasts no longer than its caller's right to it, however quiet it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from smarketing.server.errors import Refusal

__all__ = ["while_allowed"]

_LOOK_EVERY_SECONDS: Final = 1.0


@asynccontextmanager
async def while_allowed(
    refused: Callable[[], Refusal | None], *, every_seconds: float = _LOOK_EVERY_SECONDS
) -> AsyncIterator[None]:
    """Run the block, and end it once `refused`, asked again and again, returns a refusal.

    Raises:
        Refusal: the one that `refused` returned.
    """
    loop = asyncio.get_running_loop()
    timer = asyncio.timeout(None)
    refusal: Refusal | None = None
    next_look = loop.call_later(every_seconds, lambda: look())

    def look() -> None:
        nonlocal refusal, next_look
        refusal = refused()
        if refusal is None:
            next_look = loop.call_later(every_seconds, look)
        else:
            timer.reschedule(loop.time())

    try:
        async with timer:
            try:
                yield
            finally:
                next_look.cancel()
    except TimeoutError:
        if refusal is not None and timer.expired():
            raise refusal from None
        raise
