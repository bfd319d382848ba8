"""Who asked for what, and what came of it."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.audit.v1 import audit_pb2 as auditpb
from smarketing.api.audit.v1.audit_pb2_grpc import AuditServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["AuditClient"]


class AuditClient:
    """The audit trail of one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = AuditServiceStub(connection.channel)

    async def list_audit_entries(
        self, request: auditpb.ListAuditEntriesRequest, within: timedelta | None = None
    ) -> auditpb.ListAuditEntriesResponse:
        """Return one page of entries, newest first."""
        return await self._connection.call(self._stub.ListAuditEntries, request, within)

    async def audit_entries(
        self, request: auditpb.ListAuditEntriesRequest
    ) -> AsyncGenerator[auditpb.AuditEntry, None]:
        """Yield entries, newest first, over all pages."""
        async for page in each_page(self.list_audit_entries, request):
            for item in page.audit_entries:
                yield item

    async def verify_audit(
        self, request: auditpb.VerifyAuditRequest, within: timedelta | None = None
    ) -> auditpb.VerifyAuditResponse:
        """Recompute a tenant's hash chain, and say where it breaks."""
        return await self._connection.call(self._stub.VerifyAudit, request, within)
