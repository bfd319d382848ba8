"""Tenants and their quotas, people who leave, and tokens that are replaced."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.api.leads.v1.tenancy_pb2_grpc import TenantServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["TenantsClient"]


class TenantsClient:
    """The tenants, kept by the service `leads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = TenantServiceStub(connection.channel)

    async def create_tenant(
        self, request: tenancypb.CreateTenantRequest, within: timedelta | None = None
    ) -> tenancypb.Tenant:
        """Make a tenant."""
        return await self._connection.call(self._stub.CreateTenant, request, within)

    async def get_tenant(
        self, request: tenancypb.GetTenantRequest, within: timedelta | None = None
    ) -> tenancypb.Tenant:
        """Return a tenant."""
        return await self._connection.call(self._stub.GetTenant, request, within)

    async def list_tenants(
        self, request: tenancypb.ListTenantsRequest, within: timedelta | None = None
    ) -> tenancypb.ListTenantsResponse:
        """Return one page of the tenants, by name."""
        return await self._connection.call(self._stub.ListTenants, request, within)

    async def tenants(self, request: tenancypb.ListTenantsRequest) -> AsyncGenerator[tenancypb.Tenant, None]:
        """Yield the tenants, by name, over all pages."""
        async for page in each_page(self.list_tenants, request):
            for item in page.tenants:
                yield item

    async def update_tenant_quota(
        self, request: tenancypb.UpdateTenantQuotaRequest, within: timedelta | None = None
    ) -> tenancypb.Tenant:
        """Change how much a tenant may use."""
        return await self._connection.call(self._stub.UpdateTenantQuota, request, within)

    async def offboard_person(
        self, request: tenancypb.OffboardPersonRequest, within: timedelta | None = None
    ) -> tenancypb.OffboardPersonResponse:
        """Hand over everything of somebody who leaves, or say what would move."""
        return await self._connection.call(self._stub.OffboardPerson, request, within)

    async def rotate_token(
        self, request: tenancypb.RotateTokenRequest, within: timedelta | None = None
    ) -> tenancypb.RotateTokenResponse:
        """Make a new token in the place of one; `bearer` is empty when the call had to be repeated."""
        return await self._connection.call(self._stub.RotateToken, request, within)
