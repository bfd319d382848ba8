# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""Leads and outcomes coming in: one by one, and in streams of batches."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import grpc.aio
from prometheus_client import Counter

from services.leads.domain.opportunity import OpportunityState
from services.leads.rpc.asking import batch_call, by_caller
from services.leads.rpc.batch_room import BatchRoom
from services.leads.rpc.batches import answered_in_order
from services.leads.rpc.refusals import status_of
from services.leads.store.leads import Batch, LeadStore
from services.leads.store.transaction import By
from services.leads.usecases.outcomes import Recorded, Recording, RecordOutcome, record_outcomes
from services.leads.usecases.submit import Outcome, SubmitLead, Submitted, submit
from services.leads.wire.leads import put_handoff, submission_of
from services.leads.wire.values import instant_in, money_in
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import field_invalid

_Context = grpc.aio.ServicerContext[Any, Any]

LARGEST_BATCH: Final = 500


class Intake:
    """Takes leads in, and what other systems know became of them."""

    def __init__(self, store: LeadStore, submissions: Counter, room: BatchRoom) -> None:
        self._store = store
        self._replayed = submissions.labels(_REPLAYED)
        self._became = {number: submissions.labels(name) for number, name in _OUTCOME_NAMES.items()}
        self._room = room

    async def SubmitLead(
        self, request: leadspb.SubmitLeadRequest, context: _Context
    ) -> leadspb.SubmitLeadResponse:
        """Take in one lead."""
        call = call_for(request)
        wanted = SubmitLead(submission_of(request.submission, call.tenant), By(call.actor, call.traceparent))
        outcome = await self._store.command(submit, Command(wanted, call), render=_submitted, brief=True)
        response = answer(outcome, leadspb.SubmitLeadResponse)
        replayed = isinstance(outcome, Done) and outcome.replayed
        (self._replayed if replayed else self._became[response.outcome]).inc()
        return response

    async def SubmitLeads(
        self, request_iterator: AsyncIterator[leadspb.SubmitLeadsRequest], context: _Context
    ) -> AsyncIterator[leadspb.SubmitLeadsResponse]:
        """Take in batches of leads."""
        async for response in answered_in_order(request_iterator, self._submit_batch):
            yield response

    async def RecordOutcomes(
        self, request_iterator: AsyncIterator[leadspb.RecordOutcomesRequest], context: _Context
    ) -> AsyncIterator[leadspb.RecordOutcomesResponse]:
        """Take in batches of outcomes."""
        async for response in answered_in_order(request_iterator, self._record_batch):
            yield response

    async def _submit_batch(self, request: leadspb.SubmitLeadsRequest) -> leadspb.SubmitLeadsResponse:
        _check_size(request.submissions, "submissions")
        tenant, by = current_call().tenant, by_caller()
        wanted = [SubmitLead(submission_of(each, tenant), by) for each in request.submissions]
        async with self._room.place(tenant, len(wanted)):
            outcomes = await self._store.batch(submit, Batch(wanted, batch_call(request.request_id)))
        results = [_submit_result(outcome) for outcome in outcomes]
        for result in results:
            self._became[result.outcome].inc()
        return leadspb.SubmitLeadsResponse(request_id=request.request_id, results=results)

    async def _record_batch(self, request: leadspb.RecordOutcomesRequest) -> leadspb.RecordOutcomesResponse:
        _check_size(request.outcomes, "outcomes")
        tenant, by = current_call().tenant, by_caller()
        wanted = [_outcome_of(each, tenant, by) for each in request.outcomes]
        batch = Batch(wanted, batch_call(request.request_id))
        async with self._room.place(tenant, len(wanted)):
            outcomes = await self._store.batch(record_outcomes, batch)
        return leadspb.RecordOutcomesResponse(
            request_id=request.request_id, results=[_record_result(outcome) for outcome in outcomes]
        )


def _submitted(submitted: Submitted) -> leadspb.SubmitLeadResponse:
    response = leadspb.SubmitLeadResponse(outcome=_OUTCOMES[submitted.outcome])
    put_handoff(response.handoff, submitted.handoff)
    return response


def _submit_result(outcome: Submitted | Exception) -> leadspb.SubmitLeadsResult:
    if isinstance(outcome, Exception):
        return leadspb.SubmitLeadsResult(error=status_of(outcome))
    return leadspb.SubmitLeadsResult(outcome=_OUTCOMES[outcome.outcome], handoff=outcome.handoff.name)


def _record_result(outcome: Recorded | Exception) -> leadspb.RecordOutcomesResult:
    if isinstance(outcome, Exception):
        return leadspb.RecordOutcomesResult(error=status_of(outcome))
    return leadspb.RecordOutcomesResult(outcome=_RECORDINGS[outcome.recording], handoff=outcome.handoff.name)


def _outcome_of(message: leadspb.Outcome, tenant: str, by: By) -> RecordOutcome:
    return RecordOutcome(
        tenant=tenant,
        source_system=message.source_system,
        external_id=message.external_id,
        state=OpportunityState(message.state) if message.state else None,
        by=by,
        occur_time=instant_in(message, "occur_time"),
        amount=money_in(message, "amount"),
        reason_code=message.reason_code,
        deal_external_id=message.deal_external_id,
        owner=message.owner,
        segment=message.segment,
        lead_type=message.lead_type,
    )


def _check_size(items: Sequence[object], field: str) -> None:
    if not 1 <= len(items) <= LARGEST_BATCH:
        raise field_invalid(field, f"1 to {LARGEST_BATCH} of them")


_OUTCOMES: Final = {
    outcome: leadspb.SubmitLeadResponse.Outcome.Value(f"OUTCOME_{outcome.name}") for outcome in Outcome
}
_RECORDINGS: Final = {
    each: leadspb.RecordOutcomesResult.Outcome.Value(f"OUTCOME_{each.name}") for each in Recording
}
_REPLAYED: Final = "replayed"
_OUTCOME_NAMES: Final = {
    number: name.removeprefix("OUTCOME_").lower() if number else "invalid"
    for name, number in leadspb.SubmitLeadResponse.Outcome.items()
}
