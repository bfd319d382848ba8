"""The end of a process, told to those who would otherwise wait for ever."""

import asyncio

import grpc

from smarketing.server.errors import Refusal

__all__ = ["Draining", "server_draining"]


class Draining:
    """Set once, when the process begins to stop; streams end themselves when they see it."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether the process is stopping."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Ask every stream to end and let no new one in."""
        self._begun.set()

    async def wait(self) -> None:
        """Return when the process begins to stop."""
        await self._begun.wait()


def server_draining(*, resume_position: int | None = None) -> Refusal:
    """Return the refusal with which a stream ends, and from where the reader may go on elsewhere."""
    metadata = {} if resume_position is None else {"resume_position": str(resume_position)}
    return Refusal(
        grpc.StatusCode.UNAVAILABLE,
        "SERVER_DRAINING",
        "This server is stopping; connect again and resume."
        if metadata
        else "This server is stopping; try again.",
        metadata,
    )
