"""Sources of webhooks, what was set aside of them, and write-backs."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1.intake_pb2_grpc import IntakeServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["IntakeClient"]


class IntakeClient:
    """Webhooks in and out, kept by the service `leads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = IntakeServiceStub(connection.channel)

    async def create_source(
        self, request: intakepb.CreateSourceRequest, within: timedelta | None = None
    ) -> intakepb.CreateSourceResponse:
        """Register a source; its secret is in the answer this once, when the service made it."""
        return await self._connection.call(self._stub.CreateSource, request, within)

    async def rotate_source_secret(
        self, request: intakepb.RotateSourceSecretRequest, within: timedelta | None = None
    ) -> intakepb.RotateSourceSecretResponse:
        """Give a source another secret; the one before stays valid for a day."""
        return await self._connection.call(self._stub.RotateSourceSecret, request, within)

    async def delete_source(
        self, request: intakepb.DeleteSourceRequest, within: timedelta | None = None
    ) -> intakepb.Source:
        """Remove a source."""
        return await self._connection.call(self._stub.DeleteSource, request, within)

    async def replay_set_aside(
        self, request: intakepb.ReplaySetAsideRequest, within: timedelta | None = None
    ) -> intakepb.ReplaySetAsideResponse:
        """Try again what was set aside."""
        return await self._connection.call(self._stub.ReplaySetAside, request, within)

    async def create_write_back(
        self, request: intakepb.CreateWriteBackRequest, within: timedelta | None = None
    ) -> intakepb.CreateWriteBackResponse:
        """Register an address; its secret is in the answer this once."""
        return await self._connection.call(self._stub.CreateWriteBack, request, within)

    async def delete_write_back(
        self, request: intakepb.DeleteWriteBackRequest, within: timedelta | None = None
    ) -> intakepb.WriteBack:
        """Remove a write-back."""
        return await self._connection.call(self._stub.DeleteWriteBack, request, within)

    async def replay_write_back(
        self, request: intakepb.ReplayWriteBackRequest, within: timedelta | None = None
    ) -> intakepb.ReplayWriteBackResponse:
        """Send again what was given up."""
        return await self._connection.call(self._stub.ReplayWriteBack, request, within)

    async def get_intake_rules(
        self, request: intakepb.GetIntakeRulesRequest, within: timedelta | None = None
    ) -> intakepb.IntakeRules:
        """Return a tenant's rules of intake."""
        return await self._connection.call(self._stub.GetIntakeRules, request, within)

    async def apply_intake_rules(
        self, request: intakepb.ApplyIntakeRulesRequest, within: timedelta | None = None
    ) -> intakepb.IntakeRules:
        """Make a tenant's rules of intake equal to the given ones."""
        return await self._connection.call(self._stub.ApplyIntakeRules, request, within)

    async def sources(self, request: intakepb.ListSourcesRequest) -> AsyncGenerator[intakepb.Source, None]:
        """Yield sources, newest first."""

        async def fetch(page: intakepb.ListSourcesRequest) -> intakepb.ListSourcesResponse:
            return await self._connection.call(self._stub.ListSources, page)

        async for page in each_page(fetch, request):
            for each in page.sources:
                yield each

    async def set_aside(
        self, request: intakepb.ListSetAsideRequest
    ) -> AsyncGenerator[intakepb.SetAside, None]:
        """Yield what was set aside, oldest first."""

        async def fetch(page: intakepb.ListSetAsideRequest) -> intakepb.ListSetAsideResponse:
            return await self._connection.call(self._stub.ListSetAside, page)

        async for page in each_page(fetch, request):
            for each in page.set_aside:
                yield each

    async def write_backs(
        self, request: intakepb.ListWriteBacksRequest
    ) -> AsyncGenerator[intakepb.WriteBack, None]:
        """Yield write-backs, newest first."""

        async def fetch(page: intakepb.ListWriteBacksRequest) -> intakepb.ListWriteBacksResponse:
            return await self._connection.call(self._stub.ListWriteBacks, page)

        async for page in each_page(fetch, request):
            for each in page.write_backs:
                yield each
