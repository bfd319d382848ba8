"""Streams of batches: several in work at once, answered in order, and never more than a few."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

MOST_IN_WORK: Final = 4
"""Batches of one stream that wait for the disk; the next is read when the first of them is answered."""


async def answered_in_order(
    requests: AsyncIterator[Q], answer: Callable[[Q], Awaitable[A]]
) -> AsyncIterator[A]:
    """Yield the answer to each request, in order, as soon as it and those before it are there.

    Reads no further request while `MOST_IN_WORK` wait to be answered or taken. What a request is refused
    with ends the stream, after the answers of those before it.
    """
    waiting: asyncio.Queue[asyncio.Future[A] | None] = asyncio.Queue(MOST_IN_WORK - 1)
    reading = asyncio.create_task(_read(requests, answer, waiting))
    current: asyncio.Future[A] | None = None
    try:
        while (current := await waiting.get()) is not None:
            yield await current
        await reading
    finally:
        reading.cancel()
        unanswered = [] if current is None else [current]
        while not waiting.empty():
            left = waiting.get_nowait()
            unanswered += [] if left is None else [left]
        for each in unanswered:
            each.cancel()
        # Whatever became of them, nobody is left to be told.
        await asyncio.gather(reading, *unanswered, return_exceptions=True)


async def _read(
    requests: AsyncIterator[Q],
    answer: Callable[[Q], Awaitable[A]],
    waiting: "asyncio.Queue[asyncio.Future[A] | None]",
) -> None:
    try:
        async for request in requests:
            await waiting.put(asyncio.ensure_future(answer(request)))
    finally:
        if not asyncio.current_task().cancelling():  # type: ignore[union-attr]  # this is a task
            await waiting.put(None)
