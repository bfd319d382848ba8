# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""WorkService: parse, ask, render."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import grpc.aio

from services.leads.domain.directory_errors import PrincipalUnknown
from services.leads.domain.errors import FieldInvalid, LeadUnknown, OpportunityUnknown, TenantUnknown
from services.leads.domain.feedback import FeedbackStatus, FeedbackType
from services.leads.domain.next_steps import Ranked, rank
from services.leads.domain.opportunity_changes import ChangeKind, Wanted
from services.leads.domain.plain_words import without_addresses
from services.leads.domain.states import NextAction
from services.leads.domain.terms import FollowUpChannel
from services.leads.rpc.asking import asker, handoff_in
from services.leads.rpc.seeing import texts_as_seen
from services.leads.rpc.sight import Sight
from services.leads.store import field_work as stored
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.queries import find_opportunity
from services.leads.store.sealed_texts import EXTERNAL_ID
from services.leads.store.sealing import Sealer
from services.leads.store.timelines import list_told
from services.leads.store.working import find_playbook
from services.leads.usecases import field_work
from services.leads.usecases.field_work import Heard
from services.leads.wire import field_work as wire
from services.leads.wire.leads import opportunity_message
from services.leads.wire.values import date_in, instant_in, money_in
from smarketing import names
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceServicer
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for
from smarketing.server.paging import PageTokens, page_size_of

__all__ = ["WorkServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CHANNELS: Final = {channel.value: channel for channel in FollowUpChannel}
_KINDS: Final = {kind.value: kind for kind in ChangeKind}
_TYPES: Final = {kind.value: kind for kind in FeedbackType}
_STATUSES: Final = {status.value: status for status in FeedbackStatus}


class WorkServicer(WorkServiceServicer):
    """Keeps the work around handoffs, and shows what comes next."""

    def __init__(
        self,
        store: LeadStore,
        directories: DirectoryStore,
        sealer: Sealer,
        pages: PageTokens,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._directories = directories
        self._sealer = sealer
        self._pages = pages
        self._now = now
        self._sight = Sight(store, directories)

    async def RecordReply(self, request: workpb.RecordReplyRequest, context: _Context) -> workpb.Reply:
        """Record that the lead answered."""
        told = request.reply
        wanted = field_work.RecordReply(
            handoff=handoff_in(request.parent, field="parent"),
            asker=asker(),
            channel=_CHANNELS.get(told.channel),
            occur_time=instant_in(told, "occur_time"),
            external_id=told.external_id,
        )
        outcome = await self._store.command(
            field_work.record_replies, Command(wanted, call_for(request)), render=wire.reply_message
        )
        return answer(outcome, workpb.Reply)

    async def SetNextAction(self, request: workpb.SetNextActionRequest, context: _Context) -> workpb.NextStep:
        """Keep what comes next."""
        wanted = field_work.SetNextAction(
            handoff=handoff_in(request.name),
            asker=asker(request.person),
            action=NextAction(request.action),
            due_time=instant_in(request, "due_time"),
            channel=_CHANNELS.get(request.channel),
        )
        outcome = await self._store.command(
            field_work.set_next_actions, Command(wanted, call_for(request)), render=wire.next_step_message
        )
        return answer(outcome, workpb.NextStep)

    async def ListNextActions(
        self, request: workpb.ListNextActionsRequest, context: _Context
    ) -> workpb.ListNextActionsResponse:
        """List what a person should do next, the most pressing first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        ranked = await self._ranked(tenant, request.person or current_call().caller.principal)
        behind = ranked if key is None else [each for each in ranked if _place(each) > list(key)]
        shown = behind[:size]
        token = self._pages.issue(request, _place(shown[-1])) if len(behind) > size else ""
        return workpb.ListNextActionsResponse(
            next_steps=[wire.next_step_message(each.step) for each in shown], next_page_token=token
        )

    async def _ranked(self, tenant: str, person: str) -> list[Ranked]:
        directory = await self._directories.find(f"tenants/{tenant}")
        if directory is None:
            raise TenantUnknown(f"tenants/{tenant}")
        if person != current_call().caller.principal and directory.person(person) is None:
            raise PrincipalUnknown(person)
        now = self._now()

        def query(connection: Any) -> list[Ranked]:
            handoffs = stored.held_by(tenant, person)(connection)
            ids = [handoff.id for handoff in handoffs]
            replies = sorted(stored.replies_of(connection, ids), key=lambda each: each.record_time)
            return rank(
                handoffs,
                stored.actions_of(connection, ids),
                {reply.handoff: reply for reply in replies},
                find_playbook(tenant)(connection),
                currency_code=directory.settings.currency_code,
                now=now,
            )

        return await self._store.read(query)

    async def UpdateOpportunity(
        self, request: workpb.UpdateOpportunityRequest, context: _Context
    ) -> leadspb.Opportunity:
        """Change what an opportunity is worth, how likely and when, or its stage."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.name)
        percent = request.probability_percent if request.HasField("probability_percent") else None
        wanted = field_work.UpdateOpportunity(
            tenant=tenant,
            opportunity_id=opportunity_id,
            asker=asker(request.person),
            wanted=Wanted(
                stage=request.stage,
                amount=money_in(request, "amount"),
                probability_percent=percent,
                expected_close_date=_day_in(request, "expected_close_date"),
            ),
            etag=request.etag,
        )
        outcome = await self._store.command(
            field_work.update_opportunities, Command(wanted, call_for(request)), render=opportunity_message
        )
        return answer(outcome, leadspb.Opportunity)

    async def RecordMilestone(
        self, request: workpb.RecordMilestoneRequest, context: _Context
    ) -> workpb.OpportunityChange:
        """Record a proposal or contract."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.name)
        wanted = field_work.RecordMilestone(
            tenant=tenant,
            opportunity_id=opportunity_id,
            asker=asker(request.person),
            kind=_KINDS.get(request.kind),
            occur_time=instant_in(request, "occur_time"),
            amount=money_in(request, "amount"),
            external_id=request.external_id,
        )
        outcome = await self._store.command(
            field_work.record_milestones, Command(wanted, call_for(request)), render=wire.change_message
        )
        return answer(outcome, workpb.OpportunityChange)

    async def ListOpportunityChanges(
        self, request: workpb.ListOpportunityChangesRequest, context: _Context
    ) -> workpb.ListOpportunityChangesResponse:
        """List how an opportunity came to be what it is."""
        tenant, opportunity_id = names.OPPORTUNITY.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        opportunity = await self._store.read(find_opportunity(tenant, opportunity_id))
        if opportunity is None:
            raise OpportunityUnknown(request.parent)
        lead = opportunity.handoff[:2]
        after = 0 if key is None else key[0]
        query = stored.list_changes(tenant, opportunity_id, after=after, limit=size + 1)
        seen = texts_as_seen(self._sealer, query, EXTERNAL_ID, lead_of=lambda _: lead)
        found = await self._store.read(seen)
        shown = found[:size]
        token = self._pages.issue(request, [shown[-1].number]) if len(found) > size else ""
        return workpb.ListOpportunityChangesResponse(
            changes=[wire.change_message(each) for each in shown], next_page_token=token
        )

    async def RecordFeedback(
        self, request: workpb.RecordFeedbackRequest, context: _Context
    ) -> workpb.Feedback:
        """Keep what the field heard."""
        told = request.feedback
        wanted = field_work.RecordFeedback(
            handoff=handoff_in(told.handoff, field="feedback.handoff"),
            asker=asker(request.person),
            type=_TYPES.get(told.type),
            theme=told.theme,
            verbatim=told.verbatim,
            competitor=without_addresses(told.competitor),
            price=money_in(told, "price"),
        )
        # The kept answer holds no words: it is not sealed.
        outcome = await self._store.command(
            field_work.record_feedback, Command(wanted, call_for(request)), render=_without_words
        )
        return answer(outcome, workpb.Feedback)

    async def SetFeedbackStatus(
        self, request: workpb.SetFeedbackStatusRequest, context: _Context
    ) -> workpb.Feedback:
        """Say what becomes of feedback."""
        tenant, feedback_id = names.FEEDBACK.parse(request.name)
        wanted = field_work.SetFeedbackStatus(
            tenant=tenant,
            feedback_id=feedback_id,
            asker=asker(),
            status=_STATUSES.get(request.status),
            etag=request.etag,
        )
        outcome = await self._store.command(
            field_work.set_feedback_statuses,
            Command(wanted, call_for(request)),
            render=wire.feedback_message,
        )
        return answer(outcome, workpb.Feedback)

    async def ListFeedback(
        self, request: workpb.ListFeedbackRequest, context: _Context
    ) -> workpb.ListFeedbackResponse:
        """List feedback, newest first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        found = await self._store.read(
            stored.list_feedback(
                tenant,
                _STATUSES.get(request.status),
                _TYPES.get(request.type),
                before="" if key is None else key[0],
                limit=size + 1,
            )
        )
        shown = found[:size]
        seen = frozenset(await self._sight.seen(tenant, sorted({each.handoff.lead for each, _ in shown})))
        sealed = [
            (each.handoff, each.feedback_id, words)
            for each, words in shown
            if words is not None and each.handoff.lead in seen
        ]
        verbatims = await self._store.read(stored.open_verbatims(self._sealer, sealed)) if sealed else {}
        token = self._pages.issue(request, [shown[-1][0].feedback_id]) if len(found) > size else ""
        return workpb.ListFeedbackResponse(
            feedback=[wire.feedback_message(each, verbatims.get(each.feedback_id, "")) for each, _ in shown],
            next_page_token=token,
        )

    async def ListTimeline(
        self, request: workpb.ListTimelineRequest, context: _Context
    ) -> workpb.ListTimelineResponse:
        """List what happened to a lead."""
        tenant, lead = names.LEAD.parse(request.parent, field="parent")
        size = page_size_of(request)
        key: Any = self._pages.read(request)
        after = None if key is None else (key[0], key[1], key[2])
        found = await self._store.read(list_told(tenant, lead, after=after, limit=size + 1))
        if after is None and not found:
            # Every lead has at least the event that made it.
            raise LeadUnknown(request.parent)
        shown = found[:size]
        last: list[str | int] = []
        if shown:
            last = [shown[-1].handoff.lead, shown[-1].handoff.number, shown[-1].version]
        return workpb.ListTimelineResponse(
            entries=[wire.timeline_entry(each) for each in shown],
            next_page_token=self._pages.issue(request, last) if len(found) > size else "",
        )


def _without_words(heard: Heard) -> workpb.Feedback:
    return wire.feedback_message(heard.feedback)


def _place(ranked: Ranked) -> list[str | int]:
    due, value, score, lead, number = ranked.place
    return [(due - _EPOCH) // _MICROSECOND, value, score, lead, number]


def _day_in(request: Any, field: str) -> date | None:
    try:
        return date_in(request, field)
    except ValueError as error:
        raise FieldInvalid(field, "a day of the calendar, with year, month and day") from error
