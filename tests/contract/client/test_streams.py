"""Streams of the client go on where the answers ended, whatever became of the server meanwhile."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import grpc
import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client import (
    BatchOptions,
    ClientSettings,
    DeniedError,
    LeadsClient,
    RefusedError,
    UnavailableError,
)
from tests.contract.client.fake_leads import Failure, FakeLeads, Running, run_fake, submissions

CREATED = leadspb.SubmitLeadResponse.OUTCOME_CREATED
DUPLICATE = leadspb.SubmitLeadResponse.OUTCOME_DUPLICATE
TENS = BatchOptions(batch_size=10, batches_in_flight=3)


@contextlib.asynccontextmanager
async def running(fake: FakeLeads) -> AsyncIterator[tuple[LeadsClient, Running]]:
    server = await run_fake(fake)
    try:
        async with LeadsClient(ClientSettings(leads=server.target)) as leads:
            yield leads, server
    finally:
        await server.server.stop(None)


async def test_answers_come_in_the_order_of_the_submissions() -> None:
    fake = FakeLeads()
    sent = submissions(95)

    async with running(fake) as (leads, _):
        answers = [
            answer async for batch in leads.submit_leads("tenants/default", sent, TENS) for answer in batch
        ]

    assert [answer.index for answer in answers] == list(range(95))
    assert [answer.item for answer in answers] == sent
    assert {answer.result.outcome for answer in answers} == {CREATED}
    assert [len(batch.submissions) for batch in fake.batches] == [10] * 9 + [5]


async def test_a_bad_submission_is_refused_alone() -> None:
    fake = FakeLeads()
    sent = [leadspb.Submission(external_id=text) for text in ("good-1", "bad-1", "good-2")]

    async with running(fake) as (leads, _):
        answers = [answer async for batch in leads.submit_leads("tenants/default", sent) for answer in batch]

    assert [answer.refusal is None for answer in answers] == [True, False, True]
    refusal = answers[1].refusal
    assert isinstance(refusal, RefusedError)
    assert (refusal.reason, refusal.field_violations[0].field) == ("SUBMISSION_INVALID", "contact.email")


async def test_only_batches_without_an_answer_are_sent_again() -> None:
    fake = FakeLeads()
    fake.break_after.append(4)

    async with running(fake) as (leads, _):
        stream = leads.submit_leads("tenants/default", submissions(100), TENS)
        answers = [answer async for batch in stream for answer in batch]

    assert len(answers) == len(fake.kept) == 100
    received = Counter(batch.submissions[0].external_id for batch in fake.batches)
    answered_as_created = [answer for answer in answers if answer.result.outcome == CREATED]
    assert all(received[answer.item.external_id] <= 1 for answer in answered_as_created)
    # The fifth batch was kept without an answer; an answer just before the cut may be lost on the way.
    again = {external_id for external_id, times in received.items() if times > 1}
    assert {"s-40"} <= again <= {"s-20", "s-30", "s-40"}


async def test_a_batch_sent_again_keeps_its_request_id() -> None:
    fake = FakeLeads()
    fake.break_after.append(0)

    async with running(fake) as (leads, _):
        async for _batch in leads.submit_leads("tenants/default", submissions(10), TENS):
            pass

    assert len(fake.batches) == 2
    assert fake.batches[0].request_id == fake.batches[1].request_id


async def test_a_stream_survives_a_restart_of_the_server_at_its_port() -> None:
    fake = FakeLeads()

    async with running(fake) as (leads, first):
        answers = []
        second: Running | None = None
        async for batch in leads.submit_leads("tenants/default", submissions(200), TENS):
            answers.extend(batch)
            if len(answers) == 50:
                await first.server.stop(None)
                second = await run_fake(fake, port=first.port)
        assert second is not None
        await second.server.stop(None)

    assert [answer.index for answer in answers] == list(range(200))
    assert len(fake.kept) == 200
    answered_before = {f"s-{number}" for number in range(50)}
    received = [batch.submissions[0].external_id for batch in fake.batches]
    assert all(received.count(external_id) <= 1 for external_id in answered_before)
    # At most what was in flight is sent twice.
    assert 20 <= len(received) <= 20 + TENS.batches_in_flight


async def test_no_more_batches_are_read_ahead_than_may_be_in_flight() -> None:
    fake = FakeLeads()
    fake.silent_after = 1
    taken = 0

    def counted() -> Iterator[leadspb.Submission]:
        nonlocal taken
        for submission in submissions(10_000):
            taken += 1
            yield submission

    soon = timedelta(milliseconds=100)
    options = BatchOptions(batch_size=10, batches_in_flight=3, answer_timeout=soon, patience=soon)
    async with running(fake) as (leads, _):
        with pytest.raises(UnavailableError, match=r"No answer came for 0\.1 s"):
            async for _batch in leads.submit_leads("tenants/default", counted(), options):
                pass

    assert len(fake.kept) == 10
    assert taken == 10 + 30


async def test_a_caller_who_is_denied_hears_it_at_once() -> None:
    fake = FakeLeads()
    fake.refuse_after = 0

    async with running(fake) as (leads, _):
        with pytest.raises(DeniedError):
            async for _batch in leads.submit_leads("tenants/default", submissions(100), TENS):
                pass

    assert len(fake.batches) == 1


async def test_a_slow_source_is_answered_item_by_item() -> None:
    fake = FakeLeads()
    answered = asyncio.Event()

    async def one_after_the_other() -> AsyncIterator[leadspb.Submission]:
        for submission in submissions(3):
            yield submission
            await answered.wait()
            answered.clear()

    async with running(fake) as (leads, _):
        async for _batch in leads.submit_leads("tenants/default", one_after_the_other()):
            answered.set()

    assert [len(batch.submissions) for batch in fake.batches] == [1, 1, 1]


async def test_a_fault_of_the_source_reaches_the_caller() -> None:
    async def broken() -> AsyncIterator[leadspb.Submission]:
        yield leadspb.Submission(external_id="one")
        raise ZeroDivisionError

    async with running(FakeLeads()) as (leads, _):
        with pytest.raises(ZeroDivisionError):
            async for _batch in leads.submit_leads("tenants/default", broken()):
                pass


async def test_a_service_that_stays_away_ends_the_stream_when_patience_does() -> None:
    fake = FakeLeads()
    impatient = BatchOptions(patience=timedelta(milliseconds=300))

    async with running(fake) as (leads, server):
        await server.server.stop(None)
        with pytest.raises(UnavailableError):
            async for _batch in leads.submit_leads("tenants/default", submissions(3), impatient):
                pass


async def test_a_watch_of_offers_continues_behind_its_last_response() -> None:
    fake = FakeLeads()
    fake.offers = [
        leadspb.WatchOffersResponse(handoffs=[leadspb.Handoff(name=f"h-{n}")], resume_token=str(n))
        for n in range(1, 8)
    ]
    fake.offers_per_stream = 3

    seen: list[str] = []
    async with running(fake) as (leads, _):
        watch = leads.watch_offers(leadspb.WatchOffersRequest(parent="tenants/default"))
        async with contextlib.aclosing(watch) as responses:
            async for response in responses:
                seen.append(response.handoffs[0].name)
                if len(seen) == 7:
                    break

    assert seen == [f"h-{n}" for n in range(1, 8)]
    assert [request.resume_token for request in fake.requests] == ["", "3", "6"]


async def test_a_forgotten_resume_token_begins_the_watch_anew() -> None:
    fake = FakeLeads()
    fake.offers = [leadspb.WatchOffersResponse(resume_token="1")]
    fake.offers_per_stream = 1
    seen = 0

    async with running(fake) as (leads, _):
        watch = leads.watch_offers(leadspb.WatchOffersRequest(parent="tenants/default"))
        async with contextlib.aclosing(watch) as responses:
            async for _response in responses:
                seen += 1
                if seen == 2:
                    break
                fake.failures.append(
                    Failure(code=grpc.StatusCode.INVALID_ARGUMENT, reason="RESUME_TOKEN_INVALID")
                )

    assert [request.resume_token for request in fake.requests] == ["", "1", ""]


async def test_a_followed_log_has_no_hole_and_no_repeat() -> None:
    fake = FakeLeads()
    fake.event_count = 250
    fake.events_per_stream = 60

    positions: list[int] = []
    async with running(fake) as (leads, _):
        watch = leads.events.watch_events("tenants/default", credit=16)
        async with contextlib.aclosing(watch) as responses:
            async for response in responses:
                positions.extend(event.position for event in response.events)
                if not response.events:
                    break

    assert positions == list(range(1, 251))
    starts = [start.after_position for start in fake.requests]
    assert starts[0] == 0
    assert len(starts) >= 5
    # Each stream begins behind what was seen of the one before, and that brought sixty at most.
    assert all(0 < later - earlier <= 60 for earlier, later in itertools.pairwise(starts))


async def test_a_changed_log_ends_the_watch() -> None:
    fake = FakeLeads()
    fake.failures.append(Failure(code=grpc.StatusCode.FAILED_PRECONDITION, reason="LOG_REGRESSED"))

    async with running(fake) as (leads, _):
        with pytest.raises(RefusedError, match="LOG_REGRESSED"):
            async for _response in leads.events.watch_events("tenants/default", after_position=9):
                pass
