"""Shows a tenant its audit trail, and proves it whole."""

from typing import Any

import grpc.aio
from sqlalchemy import Connection, Row, select

from smarketing import names
from smarketing.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smarketing.server.audit import AuditTables, verify_chain
from smarketing.server.auth import Role
from smarketing.server.calls import current_call
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.server.policy import Allow, Policy
from smarketing.sql.writer import Writer

__all__ = ["AUDIT_POLICY", "AuditServicer"]

_READERS = Allow(Role.AUDITOR, Role.OPERATOR)

AUDIT_POLICY: Policy = {
    "/smarketing.api.audit.v1.AuditService/ListAuditEntries": _READERS,
    "/smarketing.api.audit.v1.AuditService/VerifyAudit": _READERS,
}
"""The lines to include in every service's policy."""


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Reads the trail of the tenant that is asked for; the edge has checked that the caller may."""

    def __init__(self, tables: AuditTables, writer: Writer, pages: PageTokens) -> None:
        self._tables = tables
        self._writer = writer
        self._pages = pages

    async def ListAuditEntries(  # noqa: N802 - the contract's spelling
        self,
        request: audit_pb2.ListAuditEntriesRequest,
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 - gRPC's signature
    ) -> audit_pb2.ListAuditEntriesResponse:
        """List entries, newest first."""
        size = page_size_of(request)
        before = self._pages.read(request)
        table = self._tables.entry
        query = select(table).where(table.c.tenant == current_call().tenant)
        if before is not None:
            query = query.where(table.c.sequence < before[0])
        if request.outcome:
            query = query.where(table.c.outcome == request.outcome)
        if request.principal:
            query = query.where(table.c.principal == request.principal)
        query = query.order_by(table.c.sequence.desc()).limit(size + 1)
        rows = await self._writer.read(lambda connection: connection.execute(query).all())
        more = len(rows) > size
        return audit_pb2.ListAuditEntriesResponse(
            audit_entries=[_entry(row) for row in rows[:size]],
            next_page_token=self._pages.issue(request, [rows[size - 1].sequence]) if more else "",
        )

    async def VerifyAudit(  # noqa: N802 - the contract's spelling
        self,
        request: audit_pb2.VerifyAuditRequest,  # noqa: ARG002 - gRPC's signature; the edge read the tenant
        context: "grpc.aio.ServicerContext[Any, Any]",  # noqa: ARG002 - gRPC's signature
    ) -> audit_pb2.VerifyAuditResponse:
        """Recompute the chain of the tenant."""
        tenant = current_call().tenant

        def verify(connection: Connection) -> audit_pb2.VerifyAuditResponse:
            verdict = verify_chain(self._tables, connection, tenant)
            return audit_pb2.VerifyAuditResponse(
                intact=verdict.first_broken_sequence is None,
                entries_checked=verdict.entries_checked,
                first_broken_sequence=verdict.first_broken_sequence,
            )

        return await self._writer.read(verify)


def _entry(row: Row[Any]) -> audit_pb2.AuditEntry:
    tenant = names.TENANT.template.replace("{tenant}", row.tenant)
    entry = audit_pb2.AuditEntry(
        name=f"{tenant}/auditEntries/{row.sequence}",
        sequence=row.sequence,
        principal=row.principal,
        on_behalf_of=row.on_behalf_of,
        method=row.method,
        resource=row.resource,
        outcome=row.outcome,
        reason=row.reason,
        request_id=row.request_id,
        previous_hash=row.previous_hash,
        hash=row.hash,
    )
    entry.record_time.FromDatetime(row.record_time)
    return entry
