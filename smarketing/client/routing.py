"""Routing looked at: before it decides, and after."""

from datetime import timedelta

from smarketing.api.leads.v1 import routing_pb2 as routingpb
from smarketing.api.leads.v1.routing_pb2_grpc import RoutingServiceStub
from smarketing.client.connection import Connection

__all__ = ["RoutingClient"]


class RoutingClient:
    """What routing would do and did, as the service `leads` says; it is changed with the directory."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = RoutingServiceStub(connection.channel)

    async def preview_routing(
        self, request: routingpb.PreviewRoutingRequest, within: timedelta | None = None
    ) -> routingpb.PreviewRoutingResponse:
        """Say who would be offered a lead, or how past traffic would have been shared."""
        return await self._connection.call(self._stub.PreviewRouting, request, within)

    async def get_routing_load(
        self, request: routingpb.GetRoutingLoadRequest, within: timedelta | None = None
    ) -> routingpb.RoutingLoad:
        """Say how turns were shared, and how far that is from everybody's due."""
        return await self._connection.call(self._stub.GetRoutingLoad, request, within)
