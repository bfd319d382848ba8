# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""BudgetService: parse, judge, render."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc.aio

from services.sla.domain.judged import Judged
from services.sla.domain.refused import BudgetUnknown
from services.sla.rpc.answering import Answering
from services.sla.store.archive import Archive
from services.sla.store.budgets import Of
from services.sla.store.tx import SlaTx
from services.sla.usecases.budgets import budget_of, budgets_in_force
from services.sla.wire.budgets import budget_message
from smarketing import names
from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1.budgets_pb2_grpc import BudgetServiceServicer
from smarketing.server.paging import PageTokens
from smarketing.sql import Connection, Writer

__all__ = ["BudgetServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]


class BudgetServicer(Answering, BudgetServiceServicer):
    """Answers for budgets, as of now."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._archive = archive

    async def GetBudget(self, request: budgetspb.GetBudgetRequest, context: _Context) -> budgetspb.Budget:
        """Return a budget."""
        tenant, agreement = names.AGREEMENT.parse(request.agreement, field="agreement")
        of = Of(tenant, agreement, request.commitment_id)
        judged = await self._writer.read(lambda connection: budget_of(self._tx(connection), of))
        if judged is None:
            raise BudgetUnknown(f"{request.agreement} {request.commitment_id}")
        return budget_message(judged)

    async def ListBudgets(
        self, request: budgetspb.ListBudgetsRequest, context: _Context
    ) -> budgetspb.ListBudgetsResponse:
        """List budgets."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")

        def find(connection: Connection, limit: int, after: Any) -> list[Judged]:
            return budgets_in_force(self._tx(connection), tenant, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [each.accord.agreement, each.promise.id])
        return budgetspb.ListBudgetsResponse(budgets=map(budget_message, found), next_page_token=token)

    def _tx(self, connection: Connection) -> SlaTx:
        return SlaTx(connection, self._archive, now=self._now())
