"""What marketing handed over in a period, beside what it promised."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.sla.v1.periods_pb2_grpc import PeriodServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["PeriodClient"]


class PeriodClient:
    """Marketing's periods, settled by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = PeriodServiceStub(connection.channel)

    async def get_marketing_period(
        self, request: periodspb.GetMarketingPeriodRequest, within: timedelta | None = None
    ) -> periodspb.MarketingPeriod:
        """Return a period, as of now."""
        return await self._connection.call(self._stub.GetMarketingPeriod, request, within)

    async def list_marketing_periods(
        self, request: periodspb.ListMarketingPeriodsRequest, within: timedelta | None = None
    ) -> periodspb.ListMarketingPeriodsResponse:
        """Return one page of periods."""
        return await self._connection.call(self._stub.ListMarketingPeriods, request, within)

    async def marketing_periods(
        self, request: periodspb.ListMarketingPeriodsRequest
    ) -> AsyncGenerator[periodspb.MarketingPeriod, None]:
        """Yield periods, the latest first, over all pages."""
        async for page in each_page(self.list_marketing_periods, request):
            for item in page.marketing_periods:
                yield item
