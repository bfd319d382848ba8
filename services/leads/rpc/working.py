# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""Sales' side: offers answered, handoffs worked."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import grpc.aio
from prometheus_client import Counter

from services.leads.domain.errors import FieldInvalid, LeadError, OfferTaken
from services.leads.domain.follow_up import FollowUp, FollowUpOutcome
from services.leads.domain.opportunity import OpportunityState
from services.leads.domain.terms import EvidenceGrade, FollowUpChannel
from services.leads.rpc.asking import asker, handoff_in, offer_in
from services.leads.rpc.refusals import status_of
from services.leads.store.leads import LeadStore, UseCase
from services.leads.usecases import offers, work
from services.leads.usecases.following import ReopenOpportunity, reopen_opportunities
from services.leads.usecases.offers import AnswerOffer, ClaimOffer, ReassignHandoff
from services.leads.usecases.outcomes import VoidHandoff, void_handoffs
from services.leads.usecases.work import CloseOpportunity, Decide, LogFollowUp
from services.leads.wire.leads import follow_up_message, handoff_message, opportunity_message
from services.leads.wire.values import date_in, instant_in, money_in
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.errors import Refusal, field_invalid

_Context = grpc.aio.ServicerContext[Any, Any]

_GRADES: Final = {grade.value: grade for grade in EvidenceGrade}


class Working:
    """Answers offers and moves handoffs on."""

    def __init__(self, store: LeadStore, conflicts: Counter) -> None:
        self._store = store
        self._too_late = conflicts.labels("already_accepted")

    async def AcceptOffer(self, request: leadspb.AcceptOfferRequest, context: _Context) -> leadspb.Handoff:
        """Make the caller the owner."""
        return await self._answer_offer(offers.accept_offers, request)

    async def DeclineOffer(self, request: leadspb.DeclineOfferRequest, context: _Context) -> leadspb.Handoff:
        """Offer it to the next."""
        return await self._answer_offer(offers.decline_offers, request, reason_code=request.reason_code)

    async def RejectOffer(self, request: leadspb.RejectOfferRequest, context: _Context) -> leadspb.Handoff:
        """Close it as no lead for sales."""
        return await self._answer_offer(
            offers.reject_offers, request, reason_code=request.reason_code, evidence=request.evidence
        )

    async def ClaimOffer(self, request: leadspb.ClaimOfferRequest, context: _Context) -> leadspb.Handoff:
        """Make the caller the owner of the best that waits in a queue."""
        tenant, _ = names.QUEUE.parse(request.queue, field="queue")
        wanted = ClaimOffer(tenant=tenant, queue=request.queue, asker=asker(request.person))
        return await self._change(offers.claim_offers, wanted, request)

    async def ReassignHandoff(
        self, request: leadspb.ReassignHandoffRequest, context: _Context
    ) -> leadspb.Handoff:
        """Give it to somebody else."""
        wanted = ReassignHandoff(
            handoff=handoff_in(request.name), etag=request.etag, assignee=request.assignee, asker=asker()
        )
        return await self._change(offers.reassign_handoffs, wanted, request)

    async def LogFollowUp(self, request: leadspb.LogFollowUpRequest, context: _Context) -> leadspb.FollowUp:
        """Count an attempt to reach the lead."""
        command = Command(_follow_up_of(request), call_for(request))
        outcome = await self._store.command(
            work.log_follow_ups, command, render=follow_up_message, brief=True
        )
        return answer(outcome, leadspb.FollowUp)

    async def LogFollowUps(
        self, request: leadspb.LogFollowUpsRequest, context: _Context
    ) -> leadspb.LogFollowUpsResponse:
        """Count many attempts; a bad one is refused alone."""
        if not request.requests:
            raise field_invalid("requests", "1 to 1,000 of them")
        parsed = [_parsed_follow_up(each) for each in request.requests]
        command = Command(parsed, call_for(request))
        outcome = await self._store.command(work.log_batches, command, render=_logged)
        return answer(outcome, leadspb.LogFollowUpsResponse)

    async def QualifyHandoff(
        self, request: leadspb.QualifyHandoffRequest, context: _Context
    ) -> leadspb.Handoff:
        """Call it sales-qualified."""
        return await self._change(work.qualify_handoffs, _decision(request), request)

    async def DisqualifyHandoff(
        self, request: leadspb.DisqualifyHandoffRequest, context: _Context
    ) -> leadspb.Handoff:
        """Say that nothing will come of it."""
        wanted = _decision(request, reason_code=request.reason_code, evidence=request.evidence)
        return await self._change(work.disqualify_handoffs, wanted, request)

    async def RecycleHandoff(
        self, request: leadspb.RecycleHandoffRequest, context: _Context
    ) -> leadspb.Handoff:
        """Give the lead back to marketing."""
        until = instant_in(request, "recycle_until_time")
        wanted = _decision(request, reason_code=request.reason_code, recycle_until_time=until)
        return await self._change(work.recycle_handoffs, wanted, request)

    async def VoidHandoff(self, request: leadspb.VoidHandoffRequest, context: _Context) -> leadspb.Handoff:
        """Say that it should never have been."""
        wanted = VoidHandoff(
            handoff=handoff_in(request.name),
            etag=request.etag,
            reason_code=request.reason_code,
            by=asker().by(),
        )
        return await self._change(void_handoffs, wanted, request)

    async def ConvertHandoff(
        self, request: leadspb.ConvertHandoffRequest, context: _Context
    ) -> leadspb.Opportunity:
        """Make an opportunity of it."""
        percent = request.probability_percent if request.HasField("probability_percent") else None
        wanted = _decision(
            request,
            amount=money_in(request, "amount"),
            probability_percent=percent,
            expected_close_date=_day_in(request, "expected_close_date"),
        )
        command = Command(wanted, call_for(request))
        outcome = await self._store.command(work.convert_handoffs, command, render=opportunity_message)
        return answer(outcome, leadspb.Opportunity)

    async def ReopenOpportunity(
        self, request: leadspb.ReopenOpportunityRequest, context: _Context
    ) -> leadspb.Opportunity:
        """Undo the end of an opportunity."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.name)
        wanted = ReopenOpportunity(
            tenant=tenant, opportunity_id=opportunity_id, asker=asker(request.person), etag=request.etag
        )
        outcome = await self._store.command(
            reopen_opportunities, Command(wanted, call_for(request)), render=opportunity_message
        )
        return answer(outcome, leadspb.Opportunity)

    async def CloseOpportunity(
        self, request: leadspb.CloseOpportunityRequest, context: _Context
    ) -> leadspb.Opportunity:
        """Win or lose it."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.name)
        wanted = CloseOpportunity(
            tenant=tenant,
            opportunity_id=opportunity_id,
            asker=asker(request.person),
            state=OpportunityState(request.state) if request.state else None,
            etag=request.etag,
            amount=money_in(request, "amount"),
            reason_code=request.reason_code,
            occur_time=instant_in(request, "occur_time"),
        )
        command = Command(wanted, call_for(request))
        outcome = await self._store.command(work.close_opportunities, command, render=opportunity_message)
        return answer(outcome, leadspb.Opportunity)

    async def _answer_offer(
        self, use_case: UseCase[AnswerOffer, Any], request: Any, *, reason_code: str = "", evidence: str = ""
    ) -> leadspb.Handoff:
        handoff, offer = offer_in(request.name)
        wanted = AnswerOffer(
            handoff=handoff,
            offer=offer,
            fencing_token=request.fencing_token,
            asker=asker(request.person),
            reason_code=reason_code,
            evidence=evidence,
        )
        return await self._change(use_case, wanted, request)

    async def _change(self, use_case: UseCase[Any, Any], wanted: Any, request: Any) -> leadspb.Handoff:
        outcome = await self._store.command(
            use_case, Command(wanted, call_for(request)), render=handoff_message, brief=True
        )
        if isinstance(outcome, OfferTaken):
            self._too_late.inc()
        return answer(outcome, leadspb.Handoff)


def _decision(request: Any, **parts: Any) -> Decide:
    return Decide(handoff=handoff_in(request.name), asker=asker(request.person), etag=request.etag, **parts)


def _follow_up_of(request: leadspb.LogFollowUpRequest) -> LogFollowUp:
    told = request.follow_up
    return LogFollowUp(
        handoff=handoff_in(request.parent, field="parent"),
        asker=asker(told.person),
        channel=FollowUpChannel(told.channel) if told.channel else None,
        occur_time=instant_in(told, "occur_time"),
        grade=_GRADES.get(told.grade),
        contact=told.contact,
        outcome=FollowUpOutcome(told.outcome),
        external_id=told.external_id,
    )


def _parsed_follow_up(request: leadspb.LogFollowUpRequest) -> LogFollowUp | Exception:
    try:
        return _follow_up_of(request)
    except (names.NameInvalid, Refusal, LeadError) as refused:
        return refused


def _logged(results: Sequence[FollowUp | Exception]) -> leadspb.LogFollowUpsResponse:
    return leadspb.LogFollowUpsResponse(results=[_log_result(result) for result in results])


def _log_result(result: FollowUp | Exception) -> leadspb.LogFollowUpsResult:
    if isinstance(result, Exception):
        return leadspb.LogFollowUpsResult(error=status_of(result))
    return leadspb.LogFollowUpsResult(follow_up=follow_up_message(result))


def _day_in(request: Any, field: str) -> date | None:
    try:
        return date_in(request, field)
    except ValueError as error:
        raise FieldInvalid(field, "a day of the calendar, with year, month and day") from error
