"""How a tenant wants its handoffs worked."""

from datetime import timedelta

from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.leads.v1.playbook_pb2_grpc import PlaybookServiceStub
from smarketing.client.connection import Connection

__all__ = ["PlaybookClient"]


class PlaybookClient:
    """Reads and applies playbooks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = PlaybookServiceStub(connection.channel)

    async def get_playbook(
        self, request: playbookpb.GetPlaybookRequest, within: timedelta | None = None
    ) -> playbookpb.Playbook:
        """Return a tenant's playbook, defaults filled in."""
        return await self._connection.call(self._stub.GetPlaybook, request, within)

    async def apply_playbook(
        self, request: playbookpb.ApplyPlaybookRequest, within: timedelta | None = None
    ) -> playbookpb.Playbook:
        """Make this the tenant's playbook."""
        return await self._connection.call(self._stub.ApplyPlaybook, request, within)
