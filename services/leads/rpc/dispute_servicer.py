# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""DisputeService: parse, ask, render."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.leads.domain.disputes import Answerer, Dispute
from services.leads.domain.errors import DisputeUnknown, FieldInvalid
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.work_events import DisputeState
from services.leads.rpc.asking import asker, by_caller, handoff_in, number_in
from services.leads.rpc.seeing import texts_as_seen
from services.leads.store.leads import LeadStore
from services.leads.store.sealed_texts import EVIDENCE, Query
from services.leads.store.sealing import Sealer
from services.leads.store.working import find_disputes, list_disputes
from services.leads.usecases.disputes import (
    DisputeRejection,
    ResolveDispute,
    dispute_rejections,
    resolve_disputes,
)
from services.leads.wire.disputes import dispute_message
from smarketing import names
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1.disputes_pb2_grpc import DisputeServiceServicer
from smarketing.server.auth import Role
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.paging import PageTokens, page_size_of

__all__ = ["DisputeServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STATES: Final = {state.value: state for state in DisputeState}


class DisputeServicer(DisputeServiceServicer):
    """Takes disputes and their answers."""

    def __init__(self, store: LeadStore, sealer: Sealer, pages: PageTokens) -> None:
        self._store = store
        self._sealer = sealer
        self._pages = pages

    async def DisputeRejection(
        self, request: disputespb.DisputeRejectionRequest, context: _Context
    ) -> disputespb.Dispute:
        """Record that a rejection was wrong, in marketing's eyes."""
        wanted = DisputeRejection(handoff=handoff_in(request.name), asker=asker(), evidence=request.evidence)
        outcome = await self._store.command(
            dispute_rejections, Command(wanted, call_for(request)), render=dispute_message
        )
        return answer(outcome, disputespb.Dispute)

    async def ResolveDispute(
        self, request: disputespb.ResolveDisputeRequest, context: _Context
    ) -> disputespb.Dispute:
        """Let the rejection stand, or offer the handoff again."""
        state = _STATES.get(request.state)
        if state is None:
            raise FieldInvalid("state", "UPHELD or OVERTURNED")
        caller = current_call().caller
        wanted = ResolveDispute(
            handoff=_handoff_of(request.name),
            answerer=Answerer(
                caller.on_behalf_of or caller.principal,
                manages=Role.SALES_MANAGER in caller.roles,
                leads=Role.LEADERSHIP in caller.roles,
            ),
            by=by_caller(),
            state=state,
            etag=request.etag,
        )
        outcome = await self._store.command(
            resolve_disputes, Command(wanted, call_for(request)), render=dispute_message
        )
        return answer(outcome, disputespb.Dispute)

    async def GetDispute(
        self, request: disputespb.GetDisputeRequest, context: _Context
    ) -> disputespb.Dispute:
        """Return a dispute."""
        query = find_disputes([_handoff_of(request.name)])
        found = await self._store.read(self._as_seen(query))
        if not found:
            raise DisputeUnknown(request.name)
        return dispute_message(found[0])

    async def ListDisputes(
        self, request: disputespb.ListDisputesRequest, context: _Context
    ) -> disputespb.ListDisputesResponse:
        """List disputes, the one to be answered first at the top."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        after = None if key is None else (key[0], _EPOCH + key[1] * _MICROSECOND, key[2], key[3])
        wanted = _STATES.get(request.state)
        query = list_disputes(tenant, wanted, after=after, limit=size + 1)
        found = await self._store.read(self._as_seen(query))
        shown = found[:size]
        token = self._pages.issue(request, _key_of(shown[-1])) if len(found) > size else ""
        return disputespb.ListDisputesResponse(
            disputes=[dispute_message(each) for each in shown], next_page_token=token
        )

    def _as_seen(self, query: Query[Dispute]) -> Query[Dispute]:
        return texts_as_seen(self._sealer, query, EVIDENCE, lead_of=lambda each: each.handoff[:2])


def _handoff_of(name: str) -> HandoffId:
    tenant, lead, number = names.DISPUTE.parse(name)
    return HandoffId(tenant, lead, number_in(number, "name", names.DISPUTE))


def _key_of(dispute: Dispute) -> list[str | int]:
    due = (dispute.answer_due_time - _EPOCH) // _MICROSECOND
    return [dispute.state.value, due, dispute.handoff.lead, dispute.handoff.number]
