"""Who there is: teams, people, systems, queues, routing, and tokens."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1.directory_pb2_grpc import DirectoryServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["DirectoryClient"]


class DirectoryClient:
    """The directory, kept by the service `leads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = DirectoryServiceStub(connection.channel)

    async def get_directory(
        self, request: directorypb.GetDirectoryRequest, within: timedelta | None = None
    ) -> directorypb.Directory:
        """Return the directory as it is."""
        return await self._connection.call(self._stub.GetDirectory, request, within)

    async def apply_directory(
        self, request: directorypb.ApplyDirectoryRequest, within: timedelta | None = None
    ) -> directorypb.ApplyDirectoryResponse:
        """Make the directory equal to the given one and say what changed."""
        return await self._connection.call(self._stub.ApplyDirectory, request, within)

    async def issue_token(
        self, request: directorypb.IssueTokenRequest, within: timedelta | None = None
    ) -> directorypb.IssueTokenResponse:
        """Make a token; `bearer` is empty when the first answer was lost and the call repeated."""
        return await self._connection.call(self._stub.IssueToken, request, within)

    async def revoke_token(
        self, request: directorypb.RevokeTokenRequest, within: timedelta | None = None
    ) -> directorypb.Token:
        """End a token."""
        return await self._connection.call(self._stub.RevokeToken, request, within)

    async def list_tokens(
        self, request: directorypb.ListTokensRequest, within: timedelta | None = None
    ) -> directorypb.ListTokensResponse:
        """Return one page of the tokens of a person or system."""
        return await self._connection.call(self._stub.ListTokens, request, within)

    async def tokens(self, request: directorypb.ListTokensRequest) -> AsyncGenerator[directorypb.Token, None]:
        """Yield the tokens of a person or system, newest first, over all pages."""
        async for page in each_page(self.list_tokens, request):
            for item in page.tokens:
                yield item
