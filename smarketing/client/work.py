"""Work on handoffs: replies, next actions, the moves of opportunities, feedback, timelines."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.leads.v1.work_pb2_grpc import WorkServiceStub
from smarketing.client.connection import Connection, each_page

__all__ = ["WorkClient"]


class WorkClient:
    """Keeps the work around handoffs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = WorkServiceStub(connection.channel)

    async def record_reply(
        self, request: workpb.RecordReplyRequest, within: timedelta | None = None
    ) -> workpb.Reply:
        """Record that the lead answered."""
        return await self._connection.call(self._stub.RecordReply, request, within)

    async def set_next_action(
        self, request: workpb.SetNextActionRequest, within: timedelta | None = None
    ) -> workpb.NextStep:
        """Say what comes next, and by when."""
        return await self._connection.call(self._stub.SetNextAction, request, within)

    async def list_next_actions(
        self, request: workpb.ListNextActionsRequest, within: timedelta | None = None
    ) -> workpb.ListNextActionsResponse:
        """Return one page of what a person should do next, the most pressing first."""
        return await self._connection.call(self._stub.ListNextActions, request, within)

    async def next_actions(
        self, request: workpb.ListNextActionsRequest
    ) -> AsyncGenerator[workpb.NextStep, None]:
        """Yield what a person should do next, over all pages."""
        async for page in each_page(self.list_next_actions, request):
            for item in page.next_steps:
                yield item

    async def update_opportunity(
        self, request: workpb.UpdateOpportunityRequest, within: timedelta | None = None
    ) -> leadspb.Opportunity:
        """Change an open opportunity."""
        return await self._connection.call(self._stub.UpdateOpportunity, request, within)

    async def record_milestone(
        self, request: workpb.RecordMilestoneRequest, within: timedelta | None = None
    ) -> workpb.OpportunityChange:
        """Record a proposal or contract."""
        return await self._connection.call(self._stub.RecordMilestone, request, within)

    async def list_opportunity_changes(
        self, request: workpb.ListOpportunityChangesRequest, within: timedelta | None = None
    ) -> workpb.ListOpportunityChangesResponse:
        """Return one page of an opportunity's history, oldest first."""
        return await self._connection.call(self._stub.ListOpportunityChanges, request, within)

    async def opportunity_changes(
        self, request: workpb.ListOpportunityChangesRequest
    ) -> AsyncGenerator[workpb.OpportunityChange, None]:
        """Yield an opportunity's history."""
        async for page in each_page(self.list_opportunity_changes, request):
            for item in page.changes:
                yield item

    async def record_feedback(
        self, request: workpb.RecordFeedbackRequest, within: timedelta | None = None
    ) -> workpb.Feedback:
        """Record what the field heard."""
        return await self._connection.call(self._stub.RecordFeedback, request, within)

    async def set_feedback_status(
        self, request: workpb.SetFeedbackStatusRequest, within: timedelta | None = None
    ) -> workpb.Feedback:
        """Say, for marketing, what becomes of feedback."""
        return await self._connection.call(self._stub.SetFeedbackStatus, request, within)

    async def list_feedback(
        self, request: workpb.ListFeedbackRequest, within: timedelta | None = None
    ) -> workpb.ListFeedbackResponse:
        """Return one page of feedback, newest first."""
        return await self._connection.call(self._stub.ListFeedback, request, within)

    async def feedback(self, request: workpb.ListFeedbackRequest) -> AsyncGenerator[workpb.Feedback, None]:
        """Yield feedback, newest first."""
        async for page in each_page(self.list_feedback, request):
            for item in page.feedback:
                yield item

    async def list_timeline(
        self, request: workpb.ListTimelineRequest, within: timedelta | None = None
    ) -> workpb.ListTimelineResponse:
        """Return one page of what happened to a lead, oldest first."""
        return await self._connection.call(self._stub.ListTimeline, request, within)

    async def timeline(
        self, request: workpb.ListTimelineRequest
    ) -> AsyncGenerator[workpb.TimelineEntry, None]:
        """Yield what happened to a lead, oldest first."""
        async for page in each_page(self.list_timeline, request):
            for item in page.entries:
                yield item
