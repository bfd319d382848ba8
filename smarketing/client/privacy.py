"""People's rights: erasure, export, consent, retention."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1.privacy_pb2_grpc import PrivacyServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["PrivacyClient"]


class PrivacyClient:
    """People's rights, seen to by the service `leads`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = PrivacyServiceStub(connection.channel)

    async def erase_subject(
        self, request: privacypb.EraseSubjectRequest, within: timedelta | None = None
    ) -> privacypb.EraseSubjectResponse:
        """Forget a person."""
        return await self._connection.call(self._stub.EraseSubject, request, within)

    async def export_subject(
        self, request: privacypb.ExportSubjectRequest, within: timedelta | None = None
    ) -> privacypb.ExportSubjectResponse:
        """Return everything that is kept about a person, as JSON."""
        return await self._connection.call(self._stub.ExportSubject, request, within)

    async def record_consent(
        self, request: privacypb.RecordConsentRequest, within: timedelta | None = None
    ) -> privacypb.Consent:
        """Record a person's word on what may be done with their data."""
        return await self._connection.call(self._stub.RecordConsent, request, within)

    async def list_consents(
        self, request: privacypb.ListConsentsRequest, within: timedelta | None = None
    ) -> privacypb.ListConsentsResponse:
        """Return one page of what was said, newest first."""
        return await self._connection.call(self._stub.ListConsents, request, within)

    async def consents(
        self, request: privacypb.ListConsentsRequest
    ) -> AsyncGenerator[privacypb.Consent, None]:
        """Yield what was said, newest first, over all pages."""
        async for page in each_page(self.list_consents, request):
            for item in page.consents:
                yield item

    async def get_privacy_settings(
        self, request: privacypb.GetPrivacySettingsRequest, within: timedelta | None = None
    ) -> privacypb.PrivacySettings:
        """Return how long the tenant keeps people."""
        return await self._connection.call(self._stub.GetPrivacySettings, request, within)

    async def update_privacy_settings(
        self, request: privacypb.UpdatePrivacySettingsRequest, within: timedelta | None = None
    ) -> privacypb.UpdatePrivacySettingsResponse:
        """Change the settings, or say what they would come to."""
        return await self._connection.call(self._stub.UpdatePrivacySettings, request, within)
