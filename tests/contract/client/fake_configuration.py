"""Fakes of what `smarketing apply` talks to: the directory and the configuration of `sla`, in memory."""

# ruff: noqa: N802 - gRPC names the methods

from typing import Any

import grpc

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.leads.v1.directory_pb2_grpc import (
    DirectoryServiceServicer,
    add_DirectoryServiceServicer_to_server,
)
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.sla_pb2_grpc import SlaServiceServicer, add_SlaServiceServicer_to_server
from tests.contract.client.fake_leads import Running


class FakeDirectory(DirectoryServiceServicer):
    """Takes a directory whole, and says that its teams were added."""

    def __init__(self) -> None:
        self.applied: list[directorypb.Directory] = []

    async def ApplyDirectory(self, request: Any, _context: Any) -> directorypb.ApplyDirectoryResponse:
        known = bool(self.applied) and self.applied[-1] == request.directory
        added = directorypb.DirectoryChange.KIND_ADDED
        changes = [
            directorypb.DirectoryChange(resource=team.name, kind=added) for team in request.directory.teams
        ]
        if not request.validate_only:
            self.applied.append(request.directory)
        return directorypb.ApplyDirectoryResponse(
            directory=request.directory, changes=[] if known else changes
        )


class FakeSla(SlaServiceServicer):
    """Keeps every version, newest last; shows a webhook's secret once."""

    def __init__(self) -> None:
        self.calendars: list[slapb.CalendarVersion] = []
        self.agreements: list[slapb.AgreementVersion] = []
        self.leave: list[slapb.Leave] = []
        self.endpoints: list[slapb.WebhookEndpoint] = []

    async def ListCalendarVersions(self, request: Any, _context: Any) -> slapb.ListCalendarVersionsResponse:
        own = [each for each in self.calendars if each.name.startswith(f"{request.parent}/")]
        return slapb.ListCalendarVersionsResponse(calendar_versions=own[::-1][: request.page_size])

    async def CreateCalendarVersion(self, request: Any, _context: Any) -> slapb.CalendarVersion:
        version: slapb.CalendarVersion = request.calendar_version
        version.name = f"{request.parent}/versions/{len(self.calendars) + 1}"
        version.tzdata_version = "2026f"
        self.calendars.append(version)
        return version

    async def ListAgreementVersions(self, request: Any, _context: Any) -> slapb.ListAgreementVersionsResponse:
        own = [each for each in self.agreements if each.name.startswith(f"{request.parent}/")]
        return slapb.ListAgreementVersionsResponse(agreement_versions=own[::-1][: request.page_size])

    async def ProposeAgreement(self, request: Any, _context: Any) -> slapb.AgreementVersion:
        version: slapb.AgreementVersion = request.agreement_version
        if request.validate_only:
            return version
        version.name = f"{request.parent}/versions/{len(self.agreements) + 1}"
        version.state = slapb.AgreementVersion.STATE_PROPOSED
        self.agreements.append(version)
        return version

    async def ListLeave(self, _request: Any, _context: Any) -> slapb.ListLeaveResponse:
        return slapb.ListLeaveResponse(leave=self.leave)

    async def CreateLeave(self, request: Any, _context: Any) -> slapb.Leave:
        leave: slapb.Leave = request.leave
        self.leave.append(leave)
        return leave

    async def ListWebhookEndpoints(self, _request: Any, _context: Any) -> slapb.ListWebhookEndpointsResponse:
        return slapb.ListWebhookEndpointsResponse(webhook_endpoints=self.endpoints)

    async def CreateWebhookEndpoint(self, request: Any, _context: Any) -> slapb.CreateWebhookEndpointResponse:
        self.endpoints.append(request.webhook_endpoint)
        return slapb.CreateWebhookEndpointResponse(
            webhook_endpoint=request.webhook_endpoint, secret="whsec_once"
        )


async def run_configuration(directory: FakeDirectory, sla: FakeSla) -> Running:
    """Start one server for both."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_DirectoryServiceServicer_to_server(directory, server)
    add_SlaServiceServicer_to_server(sla, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return Running(server, port)
