"""What a servicer learns of the call it answers, and what a repeated call looks like from outside."""
# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import MetaData

from smarketing.server.bootstrap import serve
from smarketing.server.calls import current_call
from smarketing.server.commands import Command, answer, call_for, define_commands, run_commands
from smarketing.sql.writer import Writer
from tests.builders.stores import a_database
from tests.contract.server.echo import (
    NOW,
    REQUEST_ID,
    SERVICE,
    EchoResponse,
    EchoServicer,
    a_request,
    bearer,
    serving,
    told,
)

pytestmark = pytest.mark.usefixtures("each_engine")

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Looking(EchoServicer):
    def __init__(self):
        self.calls = []
        super().__init__(lambda: self.calls.append(current_call()))


async def test_a_servicer_knows_who_asks_about_what_and_how_long_they_wait_in_every_arity():
    servicer = Looking()
    metadata = (
        *bearer("crmcrmcrmcrm"),
        ("smarketing-on-behalf-of", "tenants/default/people/mina"),
        ("traceparent", TRACEPARENT),
    )
    async with serving(servicer) as rig:
        await rig.all_four(a_request("a"), metadata=metadata, timeout=5)

    for name, call in zip(("Say", "Tell", "Gather", "Talk"), servicer.calls, strict=True):
        assert call.method == f"/{SERVICE}/{name}"
        assert call.tenant == "default"
        assert call.caller.principal == "tenants/default/systems/crm"
        assert call.caller.actor == "tenants/default/people/mina"
        assert call.traceparent == TRACEPARENT
        assert 0 <= call.remaining_seconds() < 6
    # A client stream has read nothing yet when its handler begins.
    assert [call.resource for call in servicer.calls if call.method.endswith(("Say", "Tell", "Talk"))] == [
        "tenants/default/leads/l1"
    ] * 3


@pytest.mark.parametrize(
    "nonsense", ["", "x", TRACEPARENT.upper(), "00-" + "0" * 32 + "-00f067aa0ba902b7-01"]
)
async def test_a_traceparent_that_is_none_is_not_passed_on(nonsense):
    servicer = Looking()
    async with serving(servicer) as rig:
        await rig.say(metadata=(*bearer(), ("traceparent", nonsense)))

    assert servicer.calls[0].traceparent == ""


def test_outside_of_a_call_there_is_nobody_to_act_for():
    with pytest.raises(LookupError):
        current_call()


class Keeping(EchoServicer):
    """Says the word through a command, as a mutation does."""

    def __init__(self, writer, tables):
        super().__init__()
        self._writer, self._tables = writer, tables
        self.calls = []

    async def Say(self, request, context):
        call = call_for(request)
        self.calls.append(call)
        (outcome,) = await self._writer.run(self._unit, [Command(request.word, call)])
        return answer(outcome, EchoResponse)

    def _unit(self, connection, commands, now):
        return run_commands(
            self._tables,
            connection,
            commands,
            now=now,
            use_case=lambda words: [f"{word}!" for word in words],
            render=lambda word: EchoResponse(word=word),
        )


@pytest.fixture
async def keeping():
    metadata = MetaData()
    tables = define_commands(metadata)
    with a_database("commands", metadata.create_all) as database:
        writer = Writer(database, now=lambda: NOW)
        yield Keeping(writer, tables)
        await writer.close()


async def test_a_replay_answers_the_same_and_says_in_the_trailers_that_it_is_one(keeping):
    async with serving(keeping) as rig:
        first, again = rig.say(a_request("hi")), None
        assert (await first).word == "hi!"
        again = rig.say(a_request("hi", request_id=REQUEST_ID.upper()))
        assert (await again).word == "hi!"

        assert dict(await first.trailing_metadata()).get("idempotent-replayed") is None
        assert dict(await again.trailing_metadata())["idempotent-replayed"] == "true"
    assert [call.resource for call in keeping.calls] == ["tenants/default/leads/l1"] * 2


async def test_a_reused_id_is_told_as_such(keeping):
    async with serving(keeping) as rig:
        await rig.say(a_request("hi"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(a_request("bye"))

        refused = told(caught.value)
        assert (refused.code, refused.reason, refused.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "IDEMPOTENCY_KEY_REUSED",
            ["request_id"],
        )


async def health_of(rig, service):
    stub = health_pb2_grpc.HealthStub(rig.channel)
    answered = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answered.status)


async def test_health_needs_no_token_and_tells_life_from_readiness():
    async with serving() as rig:
        assert (await health_of(rig, ""), await health_of(rig, SERVICE)) == ("SERVING", "NOT_SERVING")
        await rig.running.set_ready(True)
        assert (await health_of(rig, ""), await health_of(rig, SERVICE)) == ("SERVING", "SERVING")


async def test_readiness_follows_what_the_service_says():
    import asyncio

    answers, asked, stop = iter([False, True]), asyncio.Event(), asyncio.Event()

    async def ready():
        try:
            return next(answers)
        except StopIteration:
            asked.set()
            return True

    async with serving() as rig:
        running = asyncio.create_task(serve(rig.running, ready=ready, stop=stop))
        await asked.wait()
        assert await health_of(rig, SERVICE) == "SERVING"
        stop.set()
        await running
