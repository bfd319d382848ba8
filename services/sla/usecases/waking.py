"""Take turns when something is due or was committed: sleep until the earlier of the two."""

import asyncio
from collections.abc import Awaitable, Callable

from smarketing.sql import Writer

__all__ = ["take_turns"]


async def take_turns(writer: Writer, turn: Callable[[], Awaitable[float]], *, rest_seconds: float) -> None:
    """Take a turn, sleep, and take the next one, until cancelled.

    `turn` returns for how many seconds nothing will be due; a commit of the writer ends the sleep before.
    Between two turns lie `rest_seconds` at least.
    """
    woken = asyncio.Event()
    stop_listening = writer.when_committed(woken.set)
    try:
        while True:
            woken.clear()
            seconds = await turn()
            # The pause in front lets a burst of commits share one look.
            await asyncio.sleep(rest_seconds)
            try:
                async with asyncio.timeout(max(seconds - rest_seconds, 0.0)):
                    await woken.wait()
            except TimeoutError:
                pass
    finally:
        stop_listening()
