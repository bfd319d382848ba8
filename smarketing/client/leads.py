"""The service `leads`: submissions, offers, handoffs, follow-ups, outcomes."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Self

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.leads_pb2_grpc import LeadServiceStub
from smarketing.client.audit import AuditClient
from smarketing.client.batches import Answer, BatchOptions, BatchStream
from smarketing.client.connection import Connection, each_page
from smarketing.client.directory import DirectoryClient
from smarketing.client.disputes import DisputesClient
from smarketing.client.events import EventLogClient
from smarketing.client.identity import IdentityClient
from smarketing.client.intake import IntakeClient
from smarketing.client.playbook import PlaybookClient
from smarketing.client.privacy import PrivacyClient
from smarketing.client.retries import RetryPolicy
from smarketing.client.routing import RoutingClient
from smarketing.client.scoring import ScoringClient
from smarketing.client.search import SearchClient
from smarketing.client.settings import ClientSettings
from smarketing.client.tenants import TenantsClient
from smarketing.client.watches import follow_offers
from smarketing.client.work import WorkClient

__all__ = ["LeadsClient"]

LeadAnswer = Answer[leadspb.Submission, leadspb.SubmitLeadsResult]
OutcomeAnswer = Answer[leadspb.Outcome, leadspb.RecordOutcomesResult]


class LeadsClient:
    """A caller of `leads`; every method is one RPC, its request and answer the generated messages."""

    def __init__(self, settings: ClientSettings, *, retries: RetryPolicy | None = None) -> None:
        self._connection = Connection(settings.leads, settings, retries=retries)
        self._stub = LeadServiceStub(self._connection.channel)
        self.audit = AuditClient(self._connection)
        """The audit trail of this service."""
        self.events = EventLogClient(self._connection)
        """The log of this service."""
        self.directory = DirectoryClient(self._connection)
        """The directory, which `leads` keeps."""
        self.routing = RoutingClient(self._connection)
        """What routing would do, and did."""
        self.scoring = ScoringClient(self._connection)
        """How leads are rated, and what counts as marketing-qualified."""
        self.intake = IntakeClient(self._connection)
        """Webhooks in and out, which `leads` keeps."""
        self.privacy = PrivacyClient(self._connection)
        """People's rights, which `leads` sees to."""
        self.search = SearchClient(self._connection)
        """Leads found by who they are."""
        self.playbook = PlaybookClient(self._connection)
        """How each tenant wants its handoffs worked."""
        self.disputes = DisputesClient(self._connection)
        """Disputes about rejections."""
        self.work = WorkClient(self._connection)
        """Replies, next actions, the moves of opportunities, feedback and timelines."""
        self.identity = IdentityClient(self._connection)
        """Who is who, as people decide it."""
        self.tenants = TenantsClient(self._connection)
        """Tenants and their quotas, which `leads` keeps."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exit: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls under way end."""
        await self._connection.close()

    async def is_serving(self, service: str = "") -> bool:
        """Whether the server is alive (`service` empty), or the named gRPC service ready."""
        return await self._connection.is_serving(service)

    async def submit_lead(
        self, request: leadspb.SubmitLeadRequest, within: timedelta | None = None
    ) -> leadspb.SubmitLeadResponse:
        """Take in one lead and start its handoff."""
        return await self._connection.call(self._stub.SubmitLead, request, within)

    async def get_lead(
        self, request: leadspb.GetLeadRequest, within: timedelta | None = None
    ) -> leadspb.Lead:
        """Return a lead with its personal data."""
        return await self._connection.call(self._stub.GetLead, request, within)

    async def get_handoff(
        self, request: leadspb.GetHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Return a handoff."""
        return await self._connection.call(self._stub.GetHandoff, request, within)

    async def list_handoffs(
        self, request: leadspb.ListHandoffsRequest, within: timedelta | None = None
    ) -> leadspb.ListHandoffsResponse:
        """Return one page of handoffs; it may be short, or empty, before the last."""
        return await self._connection.call(self._stub.ListHandoffs, request, within)

    async def handoffs(self, request: leadspb.ListHandoffsRequest) -> AsyncGenerator[leadspb.Handoff, None]:
        """Yield handoffs in the order asked for, over all pages."""
        async for page in each_page(self.list_handoffs, request):
            for item in page.handoffs:
                yield item

    async def list_offers(
        self, request: leadspb.ListOffersRequest, within: timedelta | None = None
    ) -> leadspb.ListOffersResponse:
        """Return one page of handoffs with an open offer."""
        return await self._connection.call(self._stub.ListOffers, request, within)

    async def offers(self, request: leadspb.ListOffersRequest) -> AsyncGenerator[leadspb.Handoff, None]:
        """Yield handoffs with an open offer, the one that ends first at the top."""
        async for page in each_page(self.list_offers, request):
            for item in page.handoffs:
                yield item

    async def claim_offer(
        self, request: leadspb.ClaimOfferRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Take the best waiting handoff out of a queue."""
        return await self._connection.call(self._stub.ClaimOffer, request, within)

    async def accept_offer(
        self, request: leadspb.AcceptOfferRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Accept an offer: the caller becomes the handoff's owner."""
        return await self._connection.call(self._stub.AcceptOffer, request, within)

    async def decline_offer(
        self, request: leadspb.DeclineOfferRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Say "not me": the handoff is offered to the next."""
        return await self._connection.call(self._stub.DeclineOffer, request, within)

    async def reject_offer(
        self, request: leadspb.RejectOfferRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Say that this is no lead for sales."""
        return await self._connection.call(self._stub.RejectOffer, request, within)

    async def reassign_handoff(
        self, request: leadspb.ReassignHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Give an open handoff to another person or queue."""
        return await self._connection.call(self._stub.ReassignHandoff, request, within)

    async def log_follow_up(
        self, request: leadspb.LogFollowUpRequest, within: timedelta | None = None
    ) -> leadspb.FollowUp:
        """Log an attempt by a named person to reach the lead."""
        return await self._connection.call(self._stub.LogFollowUp, request, within)

    async def log_follow_ups(
        self, request: leadspb.LogFollowUpsRequest, within: timedelta | None = None
    ) -> leadspb.LogFollowUpsResponse:
        """Log up to 1,000 follow-ups; a bad one is refused alone."""
        return await self._connection.call(self._stub.LogFollowUps, request, within)

    async def list_follow_ups(
        self, request: leadspb.ListFollowUpsRequest, within: timedelta | None = None
    ) -> leadspb.ListFollowUpsResponse:
        """Return one page of a handoff's follow-ups, oldest first."""
        return await self._connection.call(self._stub.ListFollowUps, request, within)

    async def follow_ups(
        self, request: leadspb.ListFollowUpsRequest
    ) -> AsyncGenerator[leadspb.FollowUp, None]:
        """Yield a handoff's follow-ups in the order asked for, over all pages."""
        async for page in each_page(self.list_follow_ups, request):
            for item in page.follow_ups:
                yield item

    async def qualify_handoff(
        self, request: leadspb.QualifyHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Say that sales qualifies the lead."""
        return await self._connection.call(self._stub.QualifyHandoff, request, within)

    async def disqualify_handoff(
        self, request: leadspb.DisqualifyHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Say, after work, that nothing will come of it."""
        return await self._connection.call(self._stub.DisqualifyHandoff, request, within)

    async def recycle_handoff(
        self, request: leadspb.RecycleHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Give the lead back to marketing until a date."""
        return await self._connection.call(self._stub.RecycleHandoff, request, within)

    async def void_handoff(
        self, request: leadspb.VoidHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Handoff:
        """Say that it should never have been."""
        return await self._connection.call(self._stub.VoidHandoff, request, within)

    async def convert_handoff(
        self, request: leadspb.ConvertHandoffRequest, within: timedelta | None = None
    ) -> leadspb.Opportunity:
        """Make an opportunity of a handoff."""
        return await self._connection.call(self._stub.ConvertHandoff, request, within)

    async def get_opportunity(
        self, request: leadspb.GetOpportunityRequest, within: timedelta | None = None
    ) -> leadspb.Opportunity:
        """Return an opportunity."""
        return await self._connection.call(self._stub.GetOpportunity, request, within)

    async def reopen_opportunity(
        self, request: leadspb.ReopenOpportunityRequest, within: timedelta | None = None
    ) -> leadspb.Opportunity:
        """Undo the end of an opportunity, and of its handoff."""
        return await self._connection.call(self._stub.ReopenOpportunity, request, within)

    async def close_opportunity(
        self, request: leadspb.CloseOpportunityRequest, within: timedelta | None = None
    ) -> leadspb.Opportunity:
        """End an opportunity, won or lost."""
        return await self._connection.call(self._stub.CloseOpportunity, request, within)

    async def list_reason_codes(
        self, request: leadspb.ListReasonCodesRequest, within: timedelta | None = None
    ) -> leadspb.ListReasonCodesResponse:
        """Return one page of the codes with which sales may say no."""
        return await self._connection.call(self._stub.ListReasonCodes, request, within)

    async def reason_codes(
        self, request: leadspb.ListReasonCodesRequest
    ) -> AsyncGenerator[leadspb.ReasonCode, None]:
        """Yield the codes with which sales may say no."""
        async for page in each_page(self.list_reason_codes, request):
            for item in page.reason_codes:
                yield item

    async def submit_leads(
        self,
        parent: str,
        submissions: Iterable[leadspb.Submission] | AsyncIterable[leadspb.Submission],
        options: BatchOptions | None = None,
    ) -> AsyncGenerator[list[LeadAnswer], None]:
        """Take in many leads; yield the answers of each batch, in the order of `submissions`.

        A stream that breaks is opened again and continues with the batches not yet answered;
        what the service had already kept of them comes back as `OUTCOME_DUPLICATE`.
        A refused submission does not stop the others: see `Answer.refusal`.
        """

        def request_of(request_id: str, items: Sequence[leadspb.Submission]) -> leadspb.SubmitLeadsRequest:
            return leadspb.SubmitLeadsRequest(parent=parent, request_id=request_id, submissions=items)

        def results_of(
            response: leadspb.SubmitLeadsResponse,
        ) -> tuple[str, Sequence[leadspb.SubmitLeadsResult]]:
            return response.request_id, response.results

        stream = BatchStream(
            self._connection,
            self._stub.SubmitLeads,
            request_of=request_of,
            results_of=results_of,
            options=options or BatchOptions(),
        )
        async with aclosing(stream.answers(submissions)) as answers:
            async for batch in answers:
                yield batch

    async def record_outcomes(
        self,
        parent: str,
        outcomes: Iterable[leadspb.Outcome] | AsyncIterable[leadspb.Outcome],
        options: BatchOptions | None = None,
    ) -> AsyncGenerator[list[OutcomeAnswer], None]:
        """Record outcomes that another system knows, in batches and resumed as `submit_leads` is."""

        def request_of(request_id: str, items: Sequence[leadspb.Outcome]) -> leadspb.RecordOutcomesRequest:
            return leadspb.RecordOutcomesRequest(parent=parent, request_id=request_id, outcomes=items)

        def results_of(
            response: leadspb.RecordOutcomesResponse,
        ) -> tuple[str, Sequence[leadspb.RecordOutcomesResult]]:
            return response.request_id, response.results

        stream = BatchStream(
            self._connection,
            self._stub.RecordOutcomes,
            request_of=request_of,
            results_of=results_of,
            options=options or BatchOptions(),
        )
        async with aclosing(stream.answers(outcomes)) as answers:
            async for batch in answers:
                yield batch

    async def watch_offers(
        self, request: leadspb.WatchOffersRequest, patience: timedelta | None = None
    ) -> AsyncGenerator[leadspb.WatchOffersResponse, None]:
        """Follow offers without end: the open ones first, then every change.

        Connects again by itself and continues behind the last response, for ever or for as long as
        `patience` allows without progress. To continue in another process, keep the last `resume_token`.
        """
        watch = follow_offers(self._connection, self._stub.WatchOffers, request, patience)
        async with aclosing(watch) as responses:
            async for response in responses:
                yield response
