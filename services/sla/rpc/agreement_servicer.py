# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""AgreementService: parse, ask, render."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.sla.domain.refused import AgreementUnknown, ClockUnknown
from services.sla.rpc.answering import Answering
from services.sla.rpc.policy import sees_groups
from services.sla.store.archive import Archive
from services.sla.store.clocks import find_clock
from services.sla.usecases.answers import proposals, responsible_for
from services.sla.wire.answers import proposal_message, responsibility_message
from services.sla.wire.instants import instant_in, stamp
from smarketing import names
from smarketing.api.sla.v1 import agreements_pb2 as agreementspb
from smarketing.api.sla.v1.agreements_pb2_grpc import AgreementServiceServicer
from smarketing.server.calls import current_call
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens
from smarketing.server.policy import permission_denied
from smarketing.sql import Connection, Writer

__all__ = ["AgreementServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]
_SPAN: Final = timedelta(days=28)


class AgreementServicer(Answering, AgreementServiceServicer):
    """Answers who owns a clock now, and which targets the tenant's own clocks suggest."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._archive = archive

    async def GetResponsibility(
        self, request: agreementspb.GetResponsibilityRequest, context: _Context
    ) -> agreementspb.Responsibility:
        """Tell who owns a clock now."""
        tenant, _ = names.CLOCK.parse(request.name)
        # As with a clock itself: both parties' managers may look into what counts for either.
        sight = None if sees_groups(current_call().caller) else await self._sight(tenant)
        now = self._now()

        def find(connection: Connection) -> agreementspb.Responsibility:
            clock = find_clock(connection, request.name, sight)
            if clock is None:
                raise ClockUnknown(request.name) if sight is None else permission_denied()
            people, is_agreed = responsible_for(connection, self._archive, clock, now=now)
            return responsibility_message(clock, people, is_agreed=is_agreed)

        return await self._writer.read(find)

    async def ProposeTargets(
        self, request: agreementspb.ProposeTargetsRequest, context: _Context
    ) -> agreementspb.ProposeTargetsResponse:
        """Propose targets."""
        now = self._now()
        end = instant_in(request, "end_time") or now
        if end > now:
            raise field_invalid("end_time", "an instant that is not in the future")
        start = instant_in(request, "start_time") or end - _SPAN
        if start >= end:
            raise field_invalid("start_time", "an instant before `end_time`")
        found = await self._writer.read(
            lambda connection: proposals(connection, request.name, start=start, end=end)
        )
        if found is None:
            raise AgreementUnknown(request.name)
        return agreementspb.ProposeTargetsResponse(
            target_proposals=[proposal_message(promise, each) for promise, each in found],
            start_time=stamp(start),
            end_time=stamp(end),
        )
