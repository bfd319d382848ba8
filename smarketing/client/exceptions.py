"""Exceptions from what was promised, and error budgets."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.sla.v1 import budgets_pb2 as budgetspb
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1.budgets_pb2_grpc import BudgetServiceStub
from smarketing.api.sla.v1.exceptions_pb2_grpc import ExceptionServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["BudgetClient", "ExceptionClient"]


class ExceptionClient:
    """Requests for exceptions and their answers, kept by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = ExceptionServiceStub(connection.channel)

    async def request_exception(
        self, request: exceptionspb.RequestExceptionRequest, within: timedelta | None = None
    ) -> exceptionspb.SlaException:
        """Ask for an exception."""
        return await self._connection.call(self._stub.RequestException, request, within)

    async def approve_exception(
        self, request: exceptionspb.ApproveExceptionRequest, within: timedelta | None = None
    ) -> exceptionspb.SlaException:
        """Grant an exception, as a manager of the other party."""
        return await self._connection.call(self._stub.ApproveException, request, within)

    async def decline_exception(
        self, request: exceptionspb.DeclineExceptionRequest, within: timedelta | None = None
    ) -> exceptionspb.SlaException:
        """Refuse an exception, as a manager of the other party."""
        return await self._connection.call(self._stub.DeclineException, request, within)

    async def get_exception(
        self, request: exceptionspb.GetExceptionRequest, within: timedelta | None = None
    ) -> exceptionspb.SlaException:
        """Return an exception."""
        return await self._connection.call(self._stub.GetException, request, within)

    async def list_exceptions(
        self, request: exceptionspb.ListExceptionsRequest, within: timedelta | None = None
    ) -> exceptionspb.ListExceptionsResponse:
        """Return one page of exceptions."""
        return await self._connection.call(self._stub.ListExceptions, request, within)

    async def exceptions(
        self, request: exceptionspb.ListExceptionsRequest
    ) -> AsyncGenerator[exceptionspb.SlaException, None]:
        """Yield exceptions, newest first, over all pages."""
        async for page in each_page(self.list_exceptions, request):
            for item in page.exceptions:
                yield item

    async def count_exceptions(
        self, request: exceptionspb.CountExceptionsRequest, within: timedelta | None = None
    ) -> exceptionspb.CountExceptionsResponse:
        """Return one page of what ever became of clocks and requests, by commitment."""
        return await self._connection.call(self._stub.CountExceptions, request, within)


class BudgetClient:
    """Error budgets, judged by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = BudgetServiceStub(connection.channel)

    async def get_budget(
        self, request: budgetspb.GetBudgetRequest, within: timedelta | None = None
    ) -> budgetspb.Budget:
        """Return the budget of a commitment, as of now."""
        return await self._connection.call(self._stub.GetBudget, request, within)

    async def list_budgets(
        self, request: budgetspb.ListBudgetsRequest, within: timedelta | None = None
    ) -> budgetspb.ListBudgetsResponse:
        """Return one page of budgets."""
        return await self._connection.call(self._stub.ListBudgets, request, within)

    async def budgets(self, request: budgetspb.ListBudgetsRequest) -> AsyncGenerator[budgetspb.Budget, None]:
        """Yield budgets by agreement and commitment, over all pages."""
        async for page in each_page(self.list_budgets, request):
            for item in page.budgets:
                yield item
