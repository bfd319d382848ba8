# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""ClockService: parse, ask, render."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import grpc.aio

from services.sla.rpc.answering import Answering
from services.sla.rpc.refusals import reason_of
from services.sla.store.archive import Archive
from services.sla.store.commands import unit_of
from services.sla.usecases import pausing, reassess
from services.sla.wire.clocks import clock_message
from smarketing import names
from smarketing.api.sla.v1 import clocks_pb2 as clockspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.sla.v1.clocks_pb2_grpc import ClockServiceServicer
from smarketing.server.calls import current_call
from smarketing.server.paging import PageTokens
from smarketing.sql import Writer

__all__ = ["ClockServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]


class ClockServicer(Answering, ClockServiceServicer):
    """Answers for what people do to clocks."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._pause = unit_of(archive, partial(pausing.decide_pauses, archive), clock_message, reason_of)
        self._reassess = unit_of(archive, partial(reassess.reassess, archive), clock_message, reason_of)

    async def ReassessClock(self, request: clockspb.ReassessClockRequest, context: _Context) -> slapb.Clock:
        """Measure a clock by what is in force."""
        names.CLOCK.parse(request.name)
        actor = current_call().caller.actor
        wanted = reassess.Reassess(name=request.name, etag=request.etag, actor=actor)
        return await self._run(self._reassess, request, wanted, slapb.Clock)

    async def PauseClock(self, request: clockspb.PauseClockRequest, context: _Context) -> slapb.Clock:
        """Let a clock stand still."""
        return await self._run(self._pause, request, _word(request, resumes=False), slapb.Clock)

    async def ResumeClock(self, request: clockspb.ResumeClockRequest, context: _Context) -> slapb.Clock:
        """Let a clock run on."""
        return await self._run(self._pause, request, _word(request, resumes=True), slapb.Clock)


def _word(
    request: clockspb.PauseClockRequest | clockspb.ResumeClockRequest, *, resumes: bool
) -> pausing.OnPause:
    names.CLOCK.parse(request.name)
    return pausing.OnPause(
        name=request.name,
        etag=request.etag,
        code=request.reason_code,
        actor=current_call().caller.actor,
        resumes=resumes,
    )
