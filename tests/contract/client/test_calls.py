"""What the client promises of single calls, against a real server with a fake behind it."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import (
    CallError,
    ClientSettings,
    DeniedError,
    FieldViolation,
    LeadsClient,
    RefusedError,
    RetryPolicy,
    UnavailableError,
)
from smarketing.config import Secret
from tests.contract.client.fake_leads import Failure, FakeLeads, run_fake

NAME = "tenants/default/leads/a/handoffs/1"


class Pause:
    """Stands for `asyncio.sleep`: remembers how long it was to wait, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@contextlib.asynccontextmanager
async def a_client(
    fake: FakeLeads, pause: Pause | None = None, *, token: str | None = None
) -> AsyncIterator[LeadsClient]:
    running = await run_fake(fake)
    settings = ClientSettings(leads=running.target, token=Secret(token) if token else None)
    policy = RetryPolicy(sleep=pause or Pause(), chance=lambda: 1.0)
    try:
        async with LeadsClient(settings, retries=policy) as leads:
            yield leads
    finally:
        await running.server.stop(None)


async def test_a_call_is_repeated_with_the_request_id_it_was_first_sent_with() -> None:
    fake = FakeLeads()
    fake.failures.extend([Failure(), Failure()])

    async with a_client(fake) as leads:
        answer = await leads.submit_lead(leadspb.SubmitLeadRequest(parent="tenants/default"))

    assert answer.outcome == leadspb.SubmitLeadResponse.OUTCOME_CREATED
    assert len(fake.requests) == 3
    assert len({request.request_id for request in fake.requests}) == 1
    assert fake.requests[0].request_id


async def test_a_call_that_a_stopping_server_cut_is_repeated() -> None:
    fake = FakeLeads()
    fake.failures.append(Failure(code=grpc.StatusCode.CANCELLED, reason=""))

    async with a_client(fake) as leads:
        answer = await leads.submit_lead(leadspb.SubmitLeadRequest(parent="tenants/default"))

    assert answer.outcome == leadspb.SubmitLeadResponse.OUTCOME_CREATED
    assert len({request.request_id for request in fake.requests}) == 1


async def test_a_request_id_that_the_caller_chose_is_kept() -> None:
    fake = FakeLeads()
    chosen = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"

    async with a_client(fake) as leads:
        await leads.submit_lead(leadspb.SubmitLeadRequest(parent="tenants/default", request_id=chosen))

    assert fake.requests[0].request_id == chosen


async def test_two_calls_with_one_request_message_are_two_requests() -> None:
    fake = FakeLeads()
    request = leadspb.SubmitLeadRequest(parent="tenants/default")

    async with a_client(fake) as leads:
        await leads.submit_lead(request)
        await leads.submit_lead(request)

    assert fake.requests[0].request_id != fake.requests[1].request_id
    assert request.request_id == ""


async def test_the_waits_between_attempts_double() -> None:
    fake = FakeLeads()
    fake.failures.extend([Failure(), Failure(), Failure()])
    pause = Pause()

    async with a_client(fake, pause) as leads:
        await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert pause.seconds == [0.1, 0.2, 0.4]


async def test_a_service_that_stays_away_is_given_up_after_four_attempts() -> None:
    fake = FakeLeads()
    fake.failures.extend([Failure()] * 9)

    async with a_client(fake) as leads:
        with pytest.raises(UnavailableError):
            await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert len(fake.requests) == 4


async def test_an_empty_budget_ends_repetition() -> None:
    fake = FakeLeads()
    fake.failures.extend([Failure()] * 40)

    async with a_client(fake) as leads:
        for _ in range(8):
            with pytest.raises(UnavailableError):
                await leads.submit_lead(leadspb.SubmitLeadRequest())

    # Ten tokens, one a failure, and nothing is repeated at five or less. The first call makes its four
    # attempts and leaves six; every later one leaves at most five, and has one attempt.
    assert len(fake.requests) == 4 + 7


async def test_a_server_that_stops_is_waited_for_and_costs_no_budget() -> None:
    fake = FakeLeads()

    async with a_client(fake) as leads:
        for _ in range(3):
            fake.failures.extend([Failure(reason="SERVER_DRAINING")] * 6)
            await leads.submit_lead(leadspb.SubmitLeadRequest())
        fake.failures.extend([Failure(code=grpc.StatusCode.CANCELLED, reason="")] * 3)
        await leads.submit_lead(leadspb.SubmitLeadRequest())
        # All of it is still there.
        fake.failures.extend([Failure()] * 3)
        await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert len(fake.requests) == 3 * 7 + 4 + 4


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
    ],
)
async def test_nothing_but_unavailability_is_repeated(code: grpc.StatusCode) -> None:
    fake = FakeLeads()
    fake.failures.append(Failure(code=code, reason="SOME_REASON"))

    async with a_client(fake) as leads:
        with pytest.raises(CallError) as raised:
            await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert raised.value.code is code
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, retry_delay=timedelta(seconds=1.5)),
        Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, pushback="1500"),
    ],
)
async def test_an_overloaded_service_is_asked_again_when_it_says(failure: Failure) -> None:
    fake = FakeLeads()
    fake.failures.append(failure)
    pause = Pause()

    async with a_client(fake, pause) as leads:
        await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert pause.seconds == [1.5]
    assert len(fake.requests) == 2


async def test_a_pushback_beyond_the_deadline_is_not_waited_for() -> None:
    fake = FakeLeads()
    fake.failures.append(Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, pushback="60000"))
    pause = Pause()

    async with a_client(fake, pause) as leads:
        with pytest.raises(UnavailableError):
            await leads.submit_lead(leadspb.SubmitLeadRequest())

    assert pause.seconds == []


async def test_a_call_ends_at_its_deadline() -> None:
    fake = FakeLeads()
    fake.is_silent = True

    async with a_client(fake) as leads:
        with pytest.raises(UnavailableError) as raised:
            await leads.submit_lead(leadspb.SubmitLeadRequest(), within=timedelta(milliseconds=50))

    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_refusal_says_code_reason_metadata_and_fields() -> None:
    fake = FakeLeads()
    fake.failures.append(
        Failure(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="SUBMISSION_INVALID",
            message="Correct it.",
            metadata={"field": "submission.contact.email"},
            field="submission.contact.email",
        )
    )

    async with a_client(fake) as leads:
        with pytest.raises(RefusedError) as raised:
            await leads.submit_lead(leadspb.SubmitLeadRequest())

    refused = raised.value
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SUBMISSION_INVALID")
    assert refused.message == "Correct it."
    assert refused.metadata == {"field": "submission.contact.email"}
    assert refused.field_violations == (FieldViolation("submission.contact.email", "an address"),)


async def test_an_unknown_caller_is_denied() -> None:
    fake = FakeLeads()
    fake.failures.append(Failure(code=grpc.StatusCode.UNAUTHENTICATED, reason="UNAUTHENTICATED"))

    async with a_client(fake) as leads:
        with pytest.raises(DeniedError):
            await leads.get_handoff(leadspb.GetHandoffRequest(name=NAME))


async def test_every_call_carries_the_token() -> None:
    fake = FakeLeads()
    fake.handoffs = [leadspb.Handoff(name=NAME)]

    async with a_client(fake, token="smk_abc_secret") as leads:
        await leads.get_handoff(leadspb.GetHandoffRequest(name=NAME))

    assert fake.metadata[0]["authorization"] == "Bearer smk_abc_secret"


async def test_a_pager_walks_every_page_and_keeps_the_filter() -> None:
    fake = FakeLeads()
    fake.handoffs = [leadspb.Handoff(name=f"tenants/default/leads/{n}/handoffs/1") for n in range(7)]
    request = leadspb.ListHandoffsRequest(parent="tenants/default/leads/-", page_size=3, owner="o")

    async with a_client(fake) as leads:
        listed = [handoff.name async for handoff in leads.handoffs(request)]

    assert listed == [handoff.name for handoff in fake.handoffs]
    assert [page.page_token for page in fake.requests] == ["", "3", "6"]
    assert {page.owner for page in fake.requests} == {"o"}
