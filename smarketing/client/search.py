"""Leads found by who they are."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import search_pb2 as searchpb
from smarketing.api.leads.v1.search_pb2_grpc import LeadSearchServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["SearchClient"]


class SearchClient:
    """Finds leads by address, number or a sender's own id, as far as the caller may see them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = LeadSearchServiceStub(connection.channel)

    async def find_leads(
        self, request: searchpb.FindLeadsRequest, within: timedelta | None = None
    ) -> searchpb.FindLeadsResponse:
        """Return one page of the leads meant."""
        return await self._connection.call(self._stub.FindLeads, request, within)

    async def leads(self, request: searchpb.FindLeadsRequest) -> AsyncGenerator[leadspb.Lead, None]:
        """Yield the leads meant, over all pages."""
        async for page in each_page(self.find_leads, request):
            for item in page.leads:
                yield item
