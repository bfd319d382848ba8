"""Walk through a back-test without being in anybody's way."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Final, TypeVar

from services.sla.usecases.backtest import Stretch, Walk

T = TypeVar("T")

LONGEST_SECONDS: Final = 900.0
"""The longest walk: as long as it lasts its snapshot keeps the database's log from being cut back."""
_SHARE: Final = 0.5
"""How much of the time it works; the rest belongs to everybody else."""


class WalkBusy(Exception):
    """Another walk is under way."""


class WalkTooLong(Exception):
    """The period has more handoffs than one walk can go through."""


class Walks:
    """One walk at a time, on a thread of its own."""

    def __init__(self, *, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backtest")
        self._is_busy = False

    async def walk(self, walk: Walk) -> AsyncGenerator[Stretch, None]:
        """Yield what each step brings; whoever stops listening ends the walk within a step.

        Raises:
            WalkBusy: when another one is under way.
            WalkTooLong: when it takes longer than a walk may.
        """
        if self._is_busy:
            raise WalkBusy
        self._is_busy = True
        try:
            async with aclosing(self._stretches(walk)) as stretches:
                async for stretch in stretches:
                    yield stretch
        finally:
            try:
                # Behind a step that may still be running: they share the thread.
                await asyncio.shield(self._on_thread(walk.close))
            finally:
                self._is_busy = False

    async def _stretches(self, walk: Walk) -> AsyncGenerator[Stretch, None]:
        now = asyncio.get_running_loop().time
        until = now() + self._longest_seconds
        await self._on_thread(walk.open)
        while True:
            began = now()
            stretch = await self._on_thread(walk.step)
            worked = now() - began
            yield stretch
            if stretch.is_over:
                return
            if now() >= until:
                raise WalkTooLong
            await asyncio.sleep(worked * (1 - _SHARE) / _SHARE)

    def _on_thread(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, work)
