"""A fake of the service `leads` for tests of its callers: real gRPC, memory instead of rules."""

# ruff: noqa: N802 - gRPC names the methods

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import (
    EventLogServiceServicer,
    add_EventLogServiceServicer_to_server,
)
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.leads_pb2_grpc import LeadServiceServicer, add_LeadServiceServicer_to_server

LOG_ID = "11111111-1111-4111-8111-111111111111"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What a call is refused with."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    reason: str = ""
    message: str = "not now"
    metadata: dict[str, str] = field(default_factory=dict)
    field: str = ""
    retry_delay: timedelta | None = None
    pushback: str = ""

    def status(self) -> status_pb2.Status:
        """Return it as the services send it."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        details: list[Any] = []
        if self.reason:
            details.append(
                error_details_pb2.ErrorInfo(reason=self.reason, domain="smarketing", metadata=self.metadata)
            )
        if self.field:
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=self.field, description="an address"
            )
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        if self.retry_delay is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(self.retry_delay)
            details.append(retry)
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        return status

    async def abort(self, context: Any) -> None:
        """End the call with it."""
        trailers: list[tuple[str, str | bytes]] = [
            ("grpc-status-details-bin", self.status().SerializeToString())
        ]
        if self.pushback:
            trailers.append(("grpc-retry-pushback-ms", self.pushback))
        await context.abort(self.code, self.message, tuple(trailers))


class FakeLeads(LeadServiceServicer, EventLogServiceServicer):
    """Answers as told; what it has kept outlives the servers that it is put on.

    Submissions and outcomes are known by their natural key: a second time they are duplicates.
    An `external_id` that begins with `bad-` is refused.
    """

    def __init__(self) -> None:
        self.failures: deque[Failure] = deque()
        """What the next calls of any method are refused with, one each."""
        self.requests: list[Any] = []
        """Requests of unary calls and first requests of watches, refused ones included."""
        self.metadata: list[dict[str, str | bytes]] = []
        """What came with them."""
        self.batches: list[Any] = []
        """Batches received, over all streams."""
        self.kept: set[tuple[str, str]] = set()
        """Natural keys of what was taken."""
        self.break_after: deque[int] = deque()
        """For each coming batch stream: after how many answered batches it is cut."""
        self.refuse_after: int | None = None
        """After how many answered batches, over all streams, the caller is denied."""
        self.answered = 0
        """Batches answered, over all streams."""
        self.offers: list[leadspb.WatchOffersResponse] = []
        """What a watch of offers brings; its tokens are positions in this list."""
        self.offers_per_stream: int | None = None
        """After so many responses a watch of offers is cut."""
        self.event_count = 0
        """Events in the log."""
        self.events_per_stream: int | None = None
        """After so many events a watch of events is cut."""
        self.handoffs: list[leadspb.Handoff] = []
        """What is listed."""
        self.silent = asyncio.Event()
        """Never set: a call that waits for it never answers."""
        self.is_silent = False
        """Whether unary calls wait for ever."""
        self.silent_after: int | None = None
        """After how many answered batches, over all streams, no further one is answered."""

    async def _taken(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.is_silent:
            await self.silent.wait()
        if self.failures:
            await self.failures.popleft().abort(context)

    async def GetHandoff(self, request: Any, context: Any) -> leadspb.Handoff:
        await self._taken(request, context)
        known = [handoff for handoff in self.handoffs if handoff.name == request.name]
        if not known:
            missing = Failure(
                code=grpc.StatusCode.NOT_FOUND, reason="HANDOFF_UNKNOWN", metadata={"handoff": request.name}
            )
            await missing.abort(context)
        return known[0]

    async def GetLead(self, request: Any, context: Any) -> leadspb.Lead:
        await self._taken(request, context)
        return leadspb.Lead(name=request.name, contact=leadspb.Contact(given_name="Jo", phone="+4930123"))

    async def SubmitLead(self, request: Any, context: Any) -> leadspb.SubmitLeadResponse:
        await self._taken(request, context)
        return leadspb.SubmitLeadResponse(
            outcome=leadspb.SubmitLeadResponse.OUTCOME_CREATED,
            handoff=leadspb.Handoff(name=_handoff_of("one")),
        )

    async def AcceptOffer(self, request: Any, context: Any) -> leadspb.Handoff:
        await self._taken(request, context)
        return leadspb.Handoff(
            name=request.name.partition("/offers/")[0], state=leadspb.Handoff.STATE_ACCEPTED
        )

    async def LogFollowUp(self, request: Any, context: Any) -> leadspb.FollowUp:
        await self._taken(request, context)
        return leadspb.FollowUp(name=f"{request.parent}/followUps/1", channel=request.follow_up.channel)

    async def ListHandoffs(self, request: Any, context: Any) -> leadspb.ListHandoffsResponse:
        await self._taken(request, context)
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        return leadspb.ListHandoffsResponse(
            handoffs=self.handoffs[start:end], next_page_token=str(end) if end < len(self.handoffs) else ""
        )

    async def SubmitLeads(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[leadspb.SubmitLeadsResponse]:
        created, duplicate = (
            leadspb.SubmitLeadResponse.OUTCOME_CREATED,
            leadspb.SubmitLeadResponse.OUTCOME_DUPLICATE,
        )
        async for request in self._batches_of(request_iterator, context):
            results = []
            for submission in request.submissions:
                if submission.external_id.startswith("bad-"):
                    results.append(leadspb.SubmitLeadsResult(error=_refusal()))
                    continue
                known = self._known(submission)
                results.append(
                    leadspb.SubmitLeadsResult(
                        outcome=duplicate if known else created, handoff=_handoff_of(submission.external_id)
                    )
                )
            yield leadspb.SubmitLeadsResponse(request_id=request.request_id, results=results)

    async def RecordOutcomes(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[leadspb.RecordOutcomesResponse]:
        recorded, duplicate = (
            leadspb.RecordOutcomesResult.OUTCOME_RECORDED,
            leadspb.RecordOutcomesResult.OUTCOME_DUPLICATE,
        )
        async for request in self._batches_of(request_iterator, context):
            results = [
                leadspb.RecordOutcomesResult(
                    outcome=duplicate if self._known(outcome) else recorded,
                    handoff=_handoff_of(outcome.external_id),
                )
                for outcome in request.outcomes
            ]
            yield leadspb.RecordOutcomesResponse(request_id=request.request_id, results=results)

    async def WatchOffers(self, request: Any, context: Any) -> AsyncIterator[leadspb.WatchOffersResponse]:
        await self._taken(request, context)
        start = int(request.resume_token or 0)
        for sent, response in enumerate(self.offers[start:], start=1):
            yield response
            if sent == self.offers_per_stream:
                await Failure(reason="SERVER_DRAINING").abort(context)
        await self.silent.wait()

    async def ReadEvents(self, request: Any, context: Any) -> eventlogpb.ReadEventsResponse:
        await self._taken(request, context)
        last = min(self.event_count, request.after_position + (request.limit or 500))
        return eventlogpb.ReadEventsResponse(
            events=[_event(position) for position in range(request.after_position + 1, last + 1)],
            log_id=LOG_ID,
            head_position=self.event_count,
        )

    async def WatchEvents(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[eventlogpb.WatchEventsResponse]:
        start = (await anext(request_iterator)).start
        await self._taken(start, context)
        position, credit, sent = start.after_position, start.credit, 0
        while position < self.event_count:
            while credit == 0:
                credit += (await anext(request_iterator)).credit
            position, credit, sent = position + 1, credit - 1, sent + 1
            yield eventlogpb.WatchEventsResponse(
                events=[_event(position)], log_id=LOG_ID, head_position=self.event_count
            )
            if sent == self.events_per_stream:
                await Failure(reason="SERVER_DRAINING").abort(context)
        yield eventlogpb.WatchEventsResponse(log_id=LOG_ID, head_position=self.event_count)
        await self.silent.wait()

    async def _batches_of(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        answers_left = self.break_after.popleft() if self.break_after else -1
        async for request in request_iterator:
            self.batches.append(request)
            if self.silent_after == self.answered:
                await self.silent.wait()
            if answers_left == 0:
                # Kept, but the answer is lost: what a crash behind the commit looks like.
                for item in getattr(request, "submissions", ()) or getattr(request, "outcomes", ()):
                    self._known(item)
                await Failure().abort(context)
            if self.refuse_after == self.answered:
                await Failure(code=grpc.StatusCode.UNAUTHENTICATED, reason="UNAUTHENTICATED").abort(context)
            answers_left -= 1
            self.answered += 1
            yield request

    def _known(self, item: Any) -> bool:
        key = (item.source_system, item.external_id)
        known = key in self.kept
        self.kept.add(key)
        return known


@dataclass
class Running:
    """A server with a fake on it."""

    server: grpc.aio.Server
    port: int

    @property
    def target(self) -> str:
        """Where it is reached."""
        return f"127.0.0.1:{self.port}"


async def run_fake(fake: FakeLeads, *, port: int = 0) -> Running:
    """Start a server for `fake`; with a `port` it takes up where another one was."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    add_LeadServiceServicer_to_server(fake, server)
    add_EventLogServiceServicer_to_server(fake, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return Running(server, bound)


def submissions(count: int, *, source_system: str = "website") -> Sequence[leadspb.Submission]:
    """Return so many different submissions."""
    return [
        leadspb.Submission(source_system=source_system, external_id=f"s-{number}") for number in range(count)
    ]


def _handoff_of(external_id: str) -> str:
    return f"tenants/default/leads/{external_id}/handoffs/1"


def _refusal() -> status_pb2.Status:
    return Failure(
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="SUBMISSION_INVALID",
        message="Correct the address.",
        field="contact.email",
    ).status()


def _event(position: int) -> eventlogpb.Event:
    return eventlogpb.Event(
        log_id=LOG_ID, position=position, tenant="tenants/default", subject=_handoff_of(f"s-{position}")
    )
