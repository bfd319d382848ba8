"""Disputes about rejections."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1.disputes_pb2_grpc import DisputeServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["DisputesClient"]


class DisputesClient:
    """Disputes rejections and answers disputes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = DisputeServiceStub(connection.channel)

    async def dispute_rejection(
        self, request: disputespb.DisputeRejectionRequest, within: timedelta | None = None
    ) -> disputespb.Dispute:
        """Say, for marketing, that a rejection was wrong."""
        return await self._connection.call(self._stub.DisputeRejection, request, within)

    async def resolve_dispute(
        self, request: disputespb.ResolveDisputeRequest, within: timedelta | None = None
    ) -> disputespb.Dispute:
        """Let the rejection stand, or have the handoff offered again."""
        return await self._connection.call(self._stub.ResolveDispute, request, within)

    async def get_dispute(
        self, request: disputespb.GetDisputeRequest, within: timedelta | None = None
    ) -> disputespb.Dispute:
        """Return a dispute."""
        return await self._connection.call(self._stub.GetDispute, request, within)

    async def list_disputes(
        self, request: disputespb.ListDisputesRequest, within: timedelta | None = None
    ) -> disputespb.ListDisputesResponse:
        """Return one page of disputes, the one to be answered first at the top."""
        return await self._connection.call(self._stub.ListDisputes, request, within)

    async def disputes(
        self, request: disputespb.ListDisputesRequest
    ) -> AsyncGenerator[disputespb.Dispute, None]:
        """Yield disputes over all pages."""
        async for page in each_page(self.list_disputes, request):
            for item in page.disputes:
                yield item
