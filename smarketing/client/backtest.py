"""What would have been under other terms, and what a day may bring."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import grpc

from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1.backtest_pb2_grpc import BacktestServiceStub
from smarketing.client.connection import Connection
from smarketing.client.errors import error_of

__all__ = ["BacktestClient"]

_PATIENCE = timedelta(minutes=15)
"""A year of a large tenant takes minutes."""


class BacktestClient:
    """Back-tests and forecasts, made by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = BacktestServiceStub(connection.channel)

    async def backtest(
        self, request: backtestpb.BacktestAgreementRequest, within: timedelta = _PATIENCE
    ) -> AsyncGenerator[backtestpb.BacktestAgreementResponse, None]:
        """Yield how far it is and what was found; the last message holds the totals.

        Nothing is repeated: what was begun anew would begin at the first handoff.

        Raises:
            CallError: when it is refused, or ends early.
        """
        call = self._stub.BacktestAgreement(
            request, timeout=within.total_seconds(), metadata=self._connection.metadata
        )
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        finally:
            call.cancel()

    async def forecast_breaches(
        self, request: backtestpb.ForecastBreachesRequest, within: timedelta | None = None
    ) -> backtestpb.ForecastBreachesResponse:
        """Return how many clocks may be missed on a day."""
        return await self._connection.call(self._stub.ForecastBreaches, request, within)
