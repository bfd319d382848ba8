"""Questions about agreements in use: who answers for a clock, and what could be promised."""

from datetime import timedelta

from smarketing.api.sla.v1 import agreements_pb2 as agreementspb
from smarketing.api.sla.v1.agreements_pb2_grpc import AgreementServiceStub
from smarketing.client.connection import Connection

__all__ = ["AgreementClient"]


class AgreementClient:
    """Agreements in use, told of by the service `sla`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = AgreementServiceStub(connection.channel)

    async def get_responsibility(
        self, request: agreementspb.GetResponsibilityRequest, within: timedelta | None = None
    ) -> agreementspb.Responsibility:
        """Tell who owns a clock now: the people behind the roles of its commitment."""
        return await self._connection.call(self._stub.GetResponsibility, request, within)

    async def propose_targets(
        self, request: agreementspb.ProposeTargetsRequest, within: timedelta | None = None
    ) -> agreementspb.ProposeTargetsResponse:
        """Propose targets from how long the tenant's own clocks took."""
        return await self._connection.call(self._stub.ProposeTargets, request, within)
