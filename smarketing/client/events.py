"""The log of a service: what happened, in order."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.client.connection import Connection
from smarketing.client.watches import follow_events

__all__ = ["EventLogClient"]

_CREDIT_EVENTS = 1_000


class EventLogClient:
    """The log of one service, whole (`tenants/-`) or one tenant's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = EventLogServiceStub(connection.channel)

    async def read_events(
        self, request: eventlogpb.ReadEventsRequest, within: timedelta | None = None
    ) -> eventlogpb.ReadEventsResponse:
        """Return the events after a position, oldest first; none at the head."""
        return await self._connection.call(self._stub.ReadEvents, request, within)

    async def watch_events(
        self,
        parent: str,
        *,
        after_position: int = 0,
        log_id: str = "",
        credit: int = _CREDIT_EVENTS,
        patience: timedelta | None = None,
    ) -> AsyncGenerator[eventlogpb.WatchEventsResponse, None]:
        """Follow the log without end: events behind `after_position`, contiguous, each once.

        A response without events is a bookmark. At most `credit` events are under way, and more are
        asked for as the caller takes them. Connects again by itself, for ever or for as long as
        `patience` allows without progress. To continue in another process, keep `log_id` and the position.
        """
        start = eventlogpb.WatchStart(
            parent=parent, log_id=log_id, after_position=after_position, credit=credit
        )
        async with aclosing(follow_events(self._connection, start, patience)) as responses:
            async for response in responses:
                yield response
