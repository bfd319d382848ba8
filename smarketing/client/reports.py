"""The service `reports`: the figures that both departments share."""

from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta
from itertools import islice
from typing import Final, Self, TypeAlias

from smarketing import wallclock
from smarketing.api.reports.v1 import inputs_pb2 as inputspb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.reports.v1.inputs_pb2_grpc import InputServiceStub
from smarketing.api.reports.v1.reports_pb2_grpc import ReportServiceStub
from smarketing.client.audit import AuditClient
from smarketing.client.batches import Answer
from smarketing.client.connection import Connection, each_page
from smarketing.client.errors import error_of_status
from smarketing.client.events import EventLogClient
from smarketing.client.retries import RetryPolicy
from smarketing.client.settings import ClientSettings

__all__ = ["InputAnswer", "ReportsClient"]

InputAnswer: TypeAlias = Answer[inputspb.Input, inputspb.InputResult]
"""What became of one input."""

_INPUTS_AT_ONCE: Final = 200


class ReportsClient:
    """A caller of `reports`; every method is one RPC, its request and answer the generated messages."""

    def __init__(self, settings: ClientSettings, *, retries: RetryPolicy | None = None) -> None:
        self._connection = Connection(settings.reports, settings, retries=retries)
        self._stub = ReportServiceStub(self._connection.channel)
        self._inputs = InputServiceStub(self._connection.channel)
        self.audit = AuditClient(self._connection)
        """The audit trail of this service."""
        self.events = EventLogClient(self._connection)
        """The log of this service."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exit: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way end."""
        await self._connection.close()

    async def is_serving(self, service: str = "") -> bool:
        """Whether the server is alive (`service` empty), or the named gRPC service ready."""
        return await self._connection.is_serving(service)

    async def list_kpis(
        self, request: reportspb.ListKpisRequest, within: timedelta | None = None
    ) -> reportspb.ListKpisResponse:
        """Return one page of the definitions of figures."""
        return await self._connection.call(self._stub.ListKpis, request, within)

    async def kpis(self, request: reportspb.ListKpisRequest) -> AsyncGenerator[reportspb.Kpi, None]:
        """Yield the definitions of all figures, by id."""
        async for page in each_page(self.list_kpis, request):
            for item in page.kpis:
                yield item

    async def query_kpi(
        self, request: reportspb.QueryKpiRequest, within: timedelta | None = None
    ) -> reportspb.QueryKpiResponse:
        """Compute one figure, in groups when asked."""
        return await self._connection.call(self._stub.QueryKpi, request, within)

    async def get_scorecard(
        self, request: reportspb.GetScorecardRequest, within: timedelta | None = None
    ) -> reportspb.Scorecard:
        """Return what each party promised and how it stands."""
        return await self._connection.call(self._stub.GetScorecard, request, within)

    async def get_funnel(
        self, request: reportspb.GetFunnelRequest, within: timedelta | None = None
    ) -> reportspb.Funnel:
        """Return how many handoffs reached each stage."""
        return await self._connection.call(self._stub.GetFunnel, request, within)

    async def get_compliance(
        self, request: reportspb.GetComplianceRequest, within: timedelta | None = None
    ) -> reportspb.Compliance:
        """Return how commitments were kept."""
        return await self._connection.call(self._stub.GetCompliance, request, within)

    async def get_response_times(
        self, request: reportspb.GetResponseTimesRequest, within: timedelta | None = None
    ) -> reportspb.ResponseTimes:
        """Return response times that count those who still wait."""
        return await self._connection.call(self._stub.GetResponseTimes, request, within)

    async def get_lead_quality(
        self, request: reportspb.GetLeadQualityRequest, within: timedelta | None = None
    ) -> reportspb.KpiReport:
        """Return how good leads were."""
        return await self._connection.call(self._stub.GetLeadQuality, request, within)

    async def get_roi(
        self, request: reportspb.GetRoiRequest, within: timedelta | None = None
    ) -> reportspb.KpiReport:
        """Return what was put in and what came back."""
        return await self._connection.call(self._stub.GetRoi, request, within)

    async def get_pipeline(
        self, request: reportspb.GetPipelineRequest, within: timedelta | None = None
    ) -> reportspb.KpiReport:
        """Return what is open, and how it moves."""
        return await self._connection.call(self._stub.GetPipeline, request, within)

    async def get_forecast(
        self, request: reportspb.GetForecastRequest, within: timedelta | None = None
    ) -> reportspb.KpiReport:
        """Return what is expected."""
        return await self._connection.call(self._stub.GetForecast, request, within)

    async def record_inputs(
        self, parent: str, inputs: Iterable[inputspb.Input]
    ) -> AsyncGenerator[list[InputAnswer], None]:
        """Record any number of inputs in batches, and yield what became of each batch, in order."""
        source, index = iter(inputs), 0
        while batch := list(islice(source, _INPUTS_AT_ONCE)):
            request = inputspb.RecordInputsRequest(
                parent=parent, request_id=wallclock.new_uuid(), inputs=batch
            )
            answer = await self._connection.call(self._inputs.RecordInputs, request)
            yield [
                Answer(number, item, result, error_of_status(result.error) if result.error.code else None)
                for number, (item, result) in enumerate(zip(batch, answer.results, strict=True), start=index)
            ]
            index += len(batch)

    async def list_inputs(
        self, request: inputspb.ListInputsRequest, within: timedelta | None = None
    ) -> inputspb.ListInputsResponse:
        """Return one page of what was recorded."""
        return await self._connection.call(self._inputs.ListInputs, request, within)

    async def inputs(self, request: inputspb.ListInputsRequest) -> AsyncGenerator[inputspb.Input, None]:
        """Yield everything that was recorded, by source system and external id."""
        async for page in each_page(self.list_inputs, request):
            for item in page.inputs:
                yield item

    async def get_quotas(
        self, request: inputspb.GetQuotasRequest, within: timedelta | None = None
    ) -> inputspb.Quotas:
        """Return the quotas of a period from party to team to person, with what was booked."""
        return await self._connection.call(self._inputs.GetQuotas, request, within)
