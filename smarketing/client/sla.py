"""The service `sla`: agreements, calendars, clocks and alerts."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Self

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.sla_pb2_grpc import SlaServiceStub
from smarketing.client.agreements import AgreementClient
from smarketing.client.audit import AuditClient
from smarketing.client.backtest import BacktestClient
from smarketing.client.calendars import CalendarClient
from smarketing.client.clocks import ClockClient
from smarketing.client.connection import Connection, each_page
from smarketing.client.events import EventLogClient
from smarketing.client.exceptions import BudgetClient, ExceptionClient
from smarketing.client.periods import PeriodClient
from smarketing.client.retries import RetryPolicy
from smarketing.client.settings import ClientSettings

__all__ = ["SlaClient"]


class SlaClient:
    """A caller of `sla`; every method is one RPC, its request and answer the generated messages."""

    def __init__(self, settings: ClientSettings, *, retries: RetryPolicy | None = None) -> None:
        self._connection = Connection(settings.sla, settings, retries=retries)
        self._stub = SlaServiceStub(self._connection.channel)
        self.audit = AuditClient(self._connection)
        """The audit trail of this service."""
        self.events = EventLogClient(self._connection)
        """The log of this service."""
        self.agreements = AgreementClient(self._connection)
        """Who answers for a clock, and which targets its own clocks suggest to a tenant."""
        self.backtests = BacktestClient(self._connection)
        """What would have been, and what a day may bring."""
        self.budgets = BudgetClient(self._connection)
        """Error budgets of commitments."""
        self.periods = PeriodClient(self._connection)
        """What marketing handed over, beside what it promised."""
        self.exceptions = ExceptionClient(self._connection)
        """Requests for exceptions, and their answers."""
        self.pauses = ClockClient(self._connection)
        """Pauses, and clocks measured anew."""
        self.calendars = CalendarClient(self._connection)
        """Holidays, and calendars of teams' and people's own."""

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

    async def propose_agreement(
        self, request: slapb.ProposeAgreementRequest, within: timedelta | None = None
    ) -> slapb.AgreementVersion:
        """Propose a version of an agreement; the proposer's party thereby accepts it."""
        return await self._connection.call(self._stub.ProposeAgreement, request, within)

    async def accept_agreement(
        self, request: slapb.AcceptAgreementRequest, within: timedelta | None = None
    ) -> slapb.AgreementVersion:
        """Accept a proposed version for the caller's party."""
        return await self._connection.call(self._stub.AcceptAgreement, request, within)

    async def activate_agreement(
        self, request: slapb.ActivateAgreementRequest, within: timedelta | None = None
    ) -> slapb.AgreementVersion:
        """Put a version that both parties accepted in force."""
        return await self._connection.call(self._stub.ActivateAgreement, request, within)

    async def get_agreement_version(
        self, request: slapb.GetAgreementVersionRequest, within: timedelta | None = None
    ) -> slapb.AgreementVersion:
        """Return a version of an agreement."""
        return await self._connection.call(self._stub.GetAgreementVersion, request, within)

    async def list_agreement_versions(
        self, request: slapb.ListAgreementVersionsRequest, within: timedelta | None = None
    ) -> slapb.ListAgreementVersionsResponse:
        """Return one page of versions of agreements."""
        return await self._connection.call(self._stub.ListAgreementVersions, request, within)

    async def agreement_versions(
        self, request: slapb.ListAgreementVersionsRequest
    ) -> AsyncGenerator[slapb.AgreementVersion, None]:
        """Yield versions of agreements, newest first, over all pages."""
        async for page in each_page(self.list_agreement_versions, request):
            for item in page.agreement_versions:
                yield item

    async def create_calendar_version(
        self, request: slapb.CreateCalendarVersionRequest, within: timedelta | None = None
    ) -> slapb.CalendarVersion:
        """Make a new version of a calendar."""
        return await self._connection.call(self._stub.CreateCalendarVersion, request, within)

    async def get_calendar_version(
        self, request: slapb.GetCalendarVersionRequest, within: timedelta | None = None
    ) -> slapb.CalendarVersion:
        """Return a version of a calendar."""
        return await self._connection.call(self._stub.GetCalendarVersion, request, within)

    async def list_calendar_versions(
        self, request: slapb.ListCalendarVersionsRequest, within: timedelta | None = None
    ) -> slapb.ListCalendarVersionsResponse:
        """Return one page of versions of calendars."""
        return await self._connection.call(self._stub.ListCalendarVersions, request, within)

    async def calendar_versions(
        self, request: slapb.ListCalendarVersionsRequest
    ) -> AsyncGenerator[slapb.CalendarVersion, None]:
        """Yield versions of calendars, newest first, over all pages."""
        async for page in each_page(self.list_calendar_versions, request):
            for item in page.calendar_versions:
                yield item

    async def create_leave(
        self, request: slapb.CreateLeaveRequest, within: timedelta | None = None
    ) -> slapb.Leave:
        """Record a person's leave."""
        return await self._connection.call(self._stub.CreateLeave, request, within)

    async def cancel_leave(
        self, request: slapb.CancelLeaveRequest, within: timedelta | None = None
    ) -> slapb.Leave:
        """Take leave back."""
        return await self._connection.call(self._stub.CancelLeave, request, within)

    async def list_leave(
        self, request: slapb.ListLeaveRequest, within: timedelta | None = None
    ) -> slapb.ListLeaveResponse:
        """Return one page of leave that has not ended."""
        return await self._connection.call(self._stub.ListLeave, request, within)

    async def leaves(self, request: slapb.ListLeaveRequest) -> AsyncGenerator[slapb.Leave, None]:
        """Yield leave that has not ended, soonest first, over all pages."""
        async for page in each_page(self.list_leave, request):
            for item in page.leave:
                yield item

    async def get_clock(self, request: slapb.GetClockRequest, within: timedelta | None = None) -> slapb.Clock:
        """Return a clock."""
        return await self._connection.call(self._stub.GetClock, request, within)

    async def list_clocks(
        self, request: slapb.ListClocksRequest, within: timedelta | None = None
    ) -> slapb.ListClocksResponse:
        """Return one page of clocks, the one due first at the top."""
        return await self._connection.call(self._stub.ListClocks, request, within)

    async def clocks(self, request: slapb.ListClocksRequest) -> AsyncGenerator[slapb.Clock, None]:
        """Yield clocks, the one due first at the top, over all pages."""
        async for page in each_page(self.list_clocks, request):
            for item in page.clocks:
                yield item

    async def explain_clock(
        self, request: slapb.ExplainClockRequest, within: timedelta | None = None
    ) -> slapb.ClockExplanation:
        """Account for a clock's time: what was counted, closed and paused."""
        return await self._connection.call(self._stub.ExplainClock, request, within)

    async def get_alert(self, request: slapb.GetAlertRequest, within: timedelta | None = None) -> slapb.Alert:
        """Return an alert."""
        return await self._connection.call(self._stub.GetAlert, request, within)

    async def list_alerts(
        self, request: slapb.ListAlertsRequest, within: timedelta | None = None
    ) -> slapb.ListAlertsResponse:
        """Return one page of alerts, newest first."""
        return await self._connection.call(self._stub.ListAlerts, request, within)

    async def alerts(self, request: slapb.ListAlertsRequest) -> AsyncGenerator[slapb.Alert, None]:
        """Yield alerts, newest first, over all pages."""
        async for page in each_page(self.list_alerts, request):
            for item in page.alerts:
                yield item

    async def acknowledge_alert(
        self, request: slapb.AcknowledgeAlertRequest, within: timedelta | None = None
    ) -> slapb.Alert:
        """Say "I have seen it"."""
        return await self._connection.call(self._stub.AcknowledgeAlert, request, within)

    async def resolve_alert(
        self, request: slapb.ResolveAlertRequest, within: timedelta | None = None
    ) -> slapb.Alert:
        """Say "it is dealt with"."""
        return await self._connection.call(self._stub.ResolveAlert, request, within)

    async def snooze_alert(
        self, request: slapb.SnoozeAlertRequest, within: timedelta | None = None
    ) -> slapb.Alert:
        """Say "not now": nobody is told of it before an instant."""
        return await self._connection.call(self._stub.SnoozeAlert, request, within)

    async def set_alert_channel(
        self, request: slapb.SetAlertChannelRequest, within: timedelta | None = None
    ) -> slapb.SetAlertChannelResponse:
        """Set by which way a person is told; for a webhook the secret is in this answer alone."""
        return await self._connection.call(self._stub.SetAlertChannel, request, within)

    async def delete_alert_channel(
        self, request: slapb.DeleteAlertChannelRequest, within: timedelta | None = None
    ) -> slapb.AlertChannel:
        """Forget a way to a person."""
        return await self._connection.call(self._stub.DeleteAlertChannel, request, within)

    async def create_webhook_endpoint(
        self, request: slapb.CreateWebhookEndpointRequest, within: timedelta | None = None
    ) -> slapb.CreateWebhookEndpointResponse:
        """Register an address; `secret` is empty when the first answer was lost and the call repeated."""
        return await self._connection.call(self._stub.CreateWebhookEndpoint, request, within)

    async def delete_webhook_endpoint(
        self, request: slapb.DeleteWebhookEndpointRequest, within: timedelta | None = None
    ) -> slapb.WebhookEndpoint:
        """Remove an address."""
        return await self._connection.call(self._stub.DeleteWebhookEndpoint, request, within)

    async def list_webhook_endpoints(
        self, request: slapb.ListWebhookEndpointsRequest, within: timedelta | None = None
    ) -> slapb.ListWebhookEndpointsResponse:
        """Return one page of addresses."""
        return await self._connection.call(self._stub.ListWebhookEndpoints, request, within)

    async def webhook_endpoints(
        self, request: slapb.ListWebhookEndpointsRequest
    ) -> AsyncGenerator[slapb.WebhookEndpoint, None]:
        """Yield addresses with how their deliveries go, newest first, over all pages."""
        async for page in each_page(self.list_webhook_endpoints, request):
            for item in page.webhook_endpoints:
                yield item

    async def list_alert_channels(
        self, request: slapb.ListAlertChannelsRequest, within: timedelta | None = None
    ) -> slapb.ListAlertChannelsResponse:
        """Return one page of the ways by which people are told, without their addresses."""
        return await self._connection.call(self._stub.ListAlertChannels, request, within)

    async def alert_channels(
        self, request: slapb.ListAlertChannelsRequest
    ) -> AsyncGenerator[slapb.AlertChannel, None]:
        """Yield the ways by which people are told, over all pages."""
        async for page in each_page(self.list_alert_channels, request):
            for item in page.alert_channels:
                yield item
