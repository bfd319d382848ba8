"""What people do to clocks: let them stand still, let them run on, have them measured anew."""

from datetime import timedelta

from smarketing.api.sla.v1 import clocks_pb2 as clockspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.clocks_pb2_grpc import ClockServiceStub
from smarketing.client.connection import Connection

__all__ = ["ClockClient"]


class ClockClient:
    """Clocks, seen to by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ClockServiceStub(connection.channel)

    async def pause_clock(
        self, request: clockspb.PauseClockRequest, within: timedelta | None = None
    ) -> slapb.Clock:
        """Let a clock stand still from now on, for a reason of its agreement."""
        return await self._connection.call(self._stub.PauseClock, request, within)

    async def resume_clock(
        self, request: clockspb.ResumeClockRequest, within: timedelta | None = None
    ) -> slapb.Clock:
        """Let a clock run on."""
        return await self._connection.call(self._stub.ResumeClock, request, within)

    async def reassess_clock(
        self, request: clockspb.ReassessClockRequest, within: timedelta | None = None
    ) -> slapb.Clock:
        """Measure a clock by the agreement version in force now."""
        return await self._connection.call(self._stub.ReassessClock, request, within)
