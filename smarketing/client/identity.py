"""Who is who: leads that are the same person, and leads that are not."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.api.leads.v1.identity_pb2_grpc import IdentityServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["IdentityClient"]


class IdentityClient:
    """What people decide about who is who, kept by the service `leads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = IdentityServiceStub(connection.channel)

    async def list_possible_duplicates(
        self, request: identitypb.ListPossibleDuplicatesRequest, within: timedelta | None = None
    ) -> identitypb.ListPossibleDuplicatesResponse:
        """Return one page of pairs that may be the same person."""
        return await self._connection.call(self._stub.ListPossibleDuplicates, request, within)

    async def possible_duplicates(
        self, request: identitypb.ListPossibleDuplicatesRequest
    ) -> AsyncGenerator[identitypb.PossibleDuplicate, None]:
        """Yield pairs that may be the same person, the surest first, over all pages."""
        async for page in each_page(self.list_possible_duplicates, request):
            for item in page.possible_duplicates:
                yield item

    async def merge_leads(
        self, request: identitypb.MergeLeadsRequest, within: timedelta | None = None
    ) -> identitypb.LeadMerge:
        """Say that two leads are the same person."""
        return await self._connection.call(self._stub.MergeLeads, request, within)

    async def unmerge_leads(
        self, request: identitypb.UnmergeLeadsRequest, within: timedelta | None = None
    ) -> identitypb.LeadMerge:
        """Take a merge back."""
        return await self._connection.call(self._stub.UnmergeLeads, request, within)

    async def distinguish_leads(
        self, request: identitypb.DistinguishLeadsRequest, within: timedelta | None = None
    ) -> identitypb.LeadDistinction:
        """Say that two leads are two people."""
        return await self._connection.call(self._stub.DistinguishLeads, request, within)

    async def withdraw_distinction(
        self, request: identitypb.WithdrawDistinctionRequest, within: timedelta | None = None
    ) -> identitypb.LeadDistinction:
        """Take back that two leads are two people."""
        return await self._connection.call(self._stub.WithdrawDistinction, request, within)

    async def list_distinctions(
        self, request: identitypb.ListDistinctionsRequest, within: timedelta | None = None
    ) -> identitypb.ListDistinctionsResponse:
        """Return one page of leads that are said to be two people."""
        return await self._connection.call(self._stub.ListDistinctions, request, within)

    async def distinctions(
        self, request: identitypb.ListDistinctionsRequest
    ) -> AsyncGenerator[identitypb.LeadDistinction, None]:
        """Yield leads that are said to be two people, by name, over all pages."""
        async for page in each_page(self.list_distinctions, request):
            for item in page.distinctions:
                yield item
