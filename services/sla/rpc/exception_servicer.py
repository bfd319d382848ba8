# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""ExceptionService: parse, ask, render."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import grpc.aio

from services.sla.domain.exceptions import ExceptionUnknown, SlaException
from services.sla.rpc.answering import Answering
from services.sla.rpc.exception_policy import asks_for
from services.sla.rpc.policy import parties_of, sees_all
from services.sla.rpc.refusals import reason_of
from services.sla.store.archive import Archive
from services.sla.store.commands import unit_of
from services.sla.store.exceptions import (
    ExceptionFilter,
    find_exception,
    page_of_counts,
    page_of_exceptions,
)
from services.sla.usecases import exceptions
from services.sla.wire import exceptions as wire
from services.sla.wire.names import EXCEPTION
from smarketing import names, wallclock
from smarketing.api.sla.v1 import exceptions_pb2 as exceptionspb
from smarketing.api.sla.v1.exceptions_pb2_grpc import ExceptionServiceServicer
from smarketing.server.calls import current_call
from smarketing.server.paging import PageTokens
from smarketing.server.policy import permission_denied
from smarketing.sql import Connection, Writer, to_micros

__all__ = ["ExceptionServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]


class ExceptionServicer(Answering, ExceptionServiceServicer):
    """Answers for exceptions."""

    def __init__(
        self, writer: Writer, archive: Archive, pages: PageTokens, *, now: Callable[[], datetime]
    ) -> None:
        super().__init__(writer, pages, now=now)
        self._ask = unit_of(archive, exceptions.ask, wire.exception_message, reason_of)
        self._approve = unit_of(archive, exceptions.approve, wire.exception_message, reason_of)
        self._decline = unit_of(archive, exceptions.decline, wire.exception_message, reason_of)

    async def RequestException(
        self, request: exceptionspb.RequestExceptionRequest, context: _Context
    ) -> exceptionspb.SlaException:
        """Ask for an exception."""
        return await self._run(self._ask, request, _asked(request), exceptionspb.SlaException)

    async def ApproveException(
        self, request: exceptionspb.ApproveExceptionRequest, context: _Context
    ) -> exceptionspb.SlaException:
        """Grant an exception."""
        return await self._run(self._approve, request, _answer(request), exceptionspb.SlaException)

    async def DeclineException(
        self, request: exceptionspb.DeclineExceptionRequest, context: _Context
    ) -> exceptionspb.SlaException:
        """Refuse an exception."""
        return await self._run(self._decline, request, _answer(request), exceptionspb.SlaException)

    async def GetException(
        self, request: exceptionspb.GetExceptionRequest, context: _Context
    ) -> exceptionspb.SlaException:
        """Return an exception."""
        EXCEPTION.parse(request.name)
        found = await self._writer.read(lambda connection: find_exception(connection, request.name))
        own = _only_own()
        if found is None or (own and found.request_principal != own):
            # Out of sight reads like not there, for those who do not see all.
            raise permission_denied() if own else ExceptionUnknown(request.name)
        return wire.exception_message(found)

    async def ListExceptions(
        self, request: exceptionspb.ListExceptionsRequest, context: _Context
    ) -> exceptionspb.ListExceptionsResponse:
        """List exceptions."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = ExceptionFilter(
            states=tuple(
                exceptionspb.SlaException.State.Name(state).removeprefix("STATE_") for state in request.states
            ),
            clock=request.clock,
            commitment_id=request.commitment_id,
            request_principal=_only_own(),
        )

        def find(connection: Connection, limit: int, after: Any) -> list[SlaException]:
            return page_of_exceptions(connection, tenant, wanted, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [to_micros(each.request_time), each.id])
        return exceptionspb.ListExceptionsResponse(
            exceptions=map(wire.exception_message, found), next_page_token=token
        )

    async def CountExceptions(
        self, request: exceptionspb.CountExceptionsRequest, context: _Context
    ) -> exceptionspb.CountExceptionsResponse:
        """Count what became of clocks and requests."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")

        def find(connection: Connection, limit: int, after: Any) -> list[tuple[str, dict[str, int]]]:
            return page_of_counts(connection, tenant, limit=limit, after=after)

        found, token = await self._page(request, find, lambda each: [each[0]])
        return exceptionspb.CountExceptionsResponse(
            counts=[wire.counts_message(*each) for each in found], next_page_token=token
        )


def _asked(
    request: exceptionspb.RequestExceptionRequest,
) -> exceptions.AskForClock | exceptions.AskForSpan:
    (tenant,) = names.TENANT.parse(request.parent, field="parent")
    caller, message = current_call().caller, request.exception
    span = wire.span_in(message)
    asked: dict[str, Any] = {
        "tenant": tenant,
        "id": wallclock.new_id(),
        "reason": wire.reason_in(message),
        "note": wire.note_in(message),
        "actor": caller.actor,
        "speaks_for": asks_for(caller),
        "manages": parties_of(caller),
    }
    if span is None:
        names.CLOCK.parse(message.clock, field="exception.clock")
        return exceptions.AskForClock(clock=message.clock, **asked)
    names.AGREEMENT.parse(message.agreement, field="exception.agreement")
    return exceptions.AskForSpan(
        agreement=message.agreement, commitment_id=message.commitment_id, span=span, **asked
    )


def _answer(
    request: exceptionspb.ApproveExceptionRequest | exceptionspb.DeclineExceptionRequest,
) -> exceptions.Answer:
    EXCEPTION.parse(request.name)
    caller = current_call().caller
    return exceptions.Answer(
        name=request.name, etag=request.etag, actor=caller.actor, parties=parties_of(caller)
    )


def _only_own() -> str:
    """Return the one person whose requests the caller sees; empty for who sees all of them."""
    caller = current_call().caller
    return "" if sees_all(caller) or parties_of(caller) else caller.actor
