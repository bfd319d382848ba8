# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""RoutingService: parse, look, render."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.leads.domain.directory import Directory
from services.leads.domain.directory_errors import DirectoryInvalid
from services.leads.domain.directory_faults import Fault
from services.leads.domain.errors import TenantUnknown
from services.leads.domain.previews import Preview
from services.leads.rpc.asking import handoff_in
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.sealing import Sealer
from services.leads.usecases.previewing import Previewer, Span, load_of, proposed
from services.leads.wire.leads import submission_of
from services.leads.wire.previews import load_message, preview_message
from services.leads.wire.routing import routing_from, unknown_channels
from services.leads.wire.values import instant_in
from smarketing import names
from smarketing.api.leads.v1 import routing_pb2 as routingpb
from smarketing.api.leads.v1.routing_pb2_grpc import RoutingServiceServicer
from smarketing.server.errors import field_invalid

__all__ = ["RoutingServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_LONGEST_SPAN: Final = timedelta(days=31)


class RoutingServicer(RoutingServiceServicer):
    """Shows what routing would decide, and what it came to; it reads alone."""

    def __init__(
        self,
        store: LeadStore,
        *,
        directories: DirectoryStore,
        sealer: Sealer,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._directories = directories
        self._sealer = sealer
        self._now = now

    async def PreviewRouting(
        self, request: routingpb.PreviewRoutingRequest, context: _Context
    ) -> routingpb.PreviewRoutingResponse:
        """Say who would be offered a lead, or how past traffic would have been shared."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        look = _look(request, tenant)
        directory = _tried(await self._directory(request.parent), request)
        preview = await self._store.read(
            lambda connection: look(Previewer(connection, directory, sealer=self._sealer, now=self._now()))
        )
        return preview_message(preview)

    async def GetRoutingLoad(
        self, request: routingpb.GetRoutingLoadRequest, context: _Context
    ) -> routingpb.RoutingLoad:
        """Say how the turns were shared, and how far that is from everybody's due."""
        names.TENANT.parse(request.parent, field="parent")
        rules, people = await self._store.read(load_of(await self._directory(request.parent)))
        return load_message(rules, people)

    async def _directory(self, tenant: str) -> Directory:
        directory = await self._directories.find(tenant)
        if directory is None:
            raise TenantUnknown(tenant)
        return directory


def _look(request: routingpb.PreviewRoutingRequest, tenant: str) -> Callable[[Previewer], Preview]:
    match request.WhichOneof("traffic"):
        case "submission":
            submission = submission_of(request.submission, tenant)
            return lambda previewer: previewer.submission(submission)
        case "handoff":
            handoff = handoff_in(request.handoff, field="handoff")
            return lambda previewer: previewer.handoff(handoff)
        case "span":
            span = _span(request.span)
            return lambda previewer: previewer.span(span)
        case _:
            raise field_invalid("submission", "a submission, a handoff or a span of time to route")


def _span(message: routingpb.RoutingTraffic) -> Span:
    start, end = instant_in(message, "start_time"), instant_in(message, "end_time")
    if start is None:
        raise field_invalid("span.start_time", "an instant")
    if end is None or not timedelta(0) < end - start <= _LONGEST_SPAN:
        raise field_invalid(
            "span.end_time", f"an instant after the start, at most {_LONGEST_SPAN.days} days after it"
        )
    return Span(start, end)


def _tried(directory: Directory, request: routingpb.PreviewRoutingRequest) -> Directory:
    if not request.HasField("routing"):
        return directory
    faults = [Fault(path, "must be a source channel") for path in unknown_channels(request.routing)]
    if faults:
        raise DirectoryInvalid(faults)
    return proposed(directory, routing_from(request.routing))
