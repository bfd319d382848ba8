# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""Whatever happens in a handler, the caller gets one status with a reason and nothing of ours."""

import asyncio
import io
from datetime import timedelta

import grpc
import pytest

from smarketing import logs
from smarketing.names import NameInvalid
from smarketing.server.errors import Refusal
from smarketing.server.methods import CallLimits
from smarketing.sql.errors import WriterBusy
from tests.contract.server.echo import (
    SERVICE,
    EchoServicer,
    ReaderStyleEchoServicer,
    a_request,
    bearer,
    outcome_of,
    pushback_milliseconds,
    serving,
    told,
)

pytestmark = pytest.mark.usefixtures("each_engine")

CANARY = "password=hunter2"


@pytest.fixture(autouse=True)
def _logs_as_a_process_has_them():
    # Before they are configured, the library's own renderer takes the field `stack` for its own.
    logs.configure_logs(logs.LogFormat.JSON, stream=io.StringIO())


def raising(error):
    def during():
        raise error

    return during


@pytest.mark.parametrize("style", [EchoServicer, ReaderStyleEchoServicer])
@pytest.mark.parametrize(
    "error", [RuntimeError(CANARY), KeyError(CANARY), ExceptionGroup(CANARY, [ValueError()])]
)
async def test_an_unknown_error_says_a_fixed_text_and_an_id_that_the_log_knows(style, error):
    log = io.StringIO()
    logs.configure_logs(logs.LogFormat.JSON, stream=log)
    async with serving(style(raising(error))) as rig:
        refusals = [told(outcome) for outcome in await rig.all_four(a_request())]

    for refusal in refusals:
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert refusal.metadata["error_id"] in refusal.text
        assert refusal.metadata["error_id"] in log.getvalue()
        assert CANARY not in str(vars(refusal))
    assert CANARY not in log.getvalue()


async def test_a_response_that_cannot_be_serialized_is_an_error_of_ours():
    class Forgetful(EchoServicer):
        async def Say(self, request, context):
            return None

    async with serving(Forgetful()) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()

        assert told(caught.value).reason == "INTERNAL"


@pytest.mark.parametrize("style", [EchoServicer, ReaderStyleEchoServicer])
async def test_a_stray_cancellation_does_not_leave_the_client_waiting(style):
    async with serving(style(raising(asyncio.CancelledError()))) as rig:
        refusals = [told(outcome) for outcome in await rig.all_four(a_request(), timeout=60)]

        assert [(refusal.code, refusal.reason) for refusal in refusals] == [
            (grpc.StatusCode.ABORTED, "CALL_INTERRUPTED")
        ] * 4


async def test_a_client_that_gives_up_stops_the_handler_and_counts_as_cancelled():
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def linger():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with serving(EchoServicer(linger)) as rig:
        call = rig.say(timeout=60)
        await begun.wait()
        call.cancel()
        await stopped.wait()
        await asyncio.sleep(0)

        assert (
            rig.telemetry.registry.get_sample_value(
                "grpc_server_handled_total",
                {"grpc_service": SERVICE, "grpc_method": "Say", "grpc_code": "CANCELLED"},
            )
            == 1
        )
        assert rig.telemetry.registry.get_sample_value("grpc_server_in_flight", {"kind": "unary"}) == 0


async def test_a_refusal_reaches_the_client_whole():
    refusal = Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        "OFFER_TAKEN",
        "The offer was taken by tenants/default/people/mina; take another.",
        {"owner": "tenants/default/people/mina"},
    )
    async with serving(EchoServicer(raising(refusal))) as rig:
        received = [told(outcome) for outcome in await rig.all_four(a_request())]

        assert [(each.code, each.reason, each.domain, each.text, each.metadata) for each in received] == [
            (
                refusal.code,
                "OFFER_TAKEN",
                "smarketing",
                refusal.message,
                {"owner": "tenants/default/people/mina"},
            )
        ] * 4


async def test_a_domain_error_is_told_as_the_services_table_says():
    class OfferTaken(Exception):
        pass

    def refusal_of(error):
        return (
            Refusal(grpc.StatusCode.FAILED_PRECONDITION, "OFFER_TAKEN", "Taken.")
            if isinstance(error, OfferTaken)
            else None
        )

    async with serving(EchoServicer(raising(OfferTaken())), refusal_of=refusal_of) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()

        assert told(caught.value).reason == "OFFER_TAKEN"


async def test_errors_of_the_library_have_refusals_of_their_own():
    async with serving(
        EchoServicer(raising(NameInvalid("owner", "tenants/{tenant}/people/{person}")))
    ) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()
        assert (told(caught.value).reason, told(caught.value).fields) == ("FIELD_INVALID", ["owner"])

    async with serving(EchoServicer(raising(WriterBusy(9)))) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()
        busy = told(caught.value)
        assert (busy.code, busy.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_BUSY")
        assert pushback_milliseconds(busy) == busy.retry_milliseconds > 0
        assert (
            rig.telemetry.registry.get_sample_value(
                "smarketing_server_rejected_total", {"reason": "queue_full"}
            )
            == 1
        )


async def forever():
    await asyncio.Event().wait()


async def test_a_call_without_a_deadline_gets_one():
    limits = CallLimits(default_deadline=timedelta(milliseconds=50))
    async with serving(EchoServicer(forever), limits=limits) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(timeout=None)

        refused = told(caught.value)
        assert (refused.code, refused.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


async def test_a_call_with_too_long_a_deadline_is_cut_to_ours():
    limits = CallLimits(longest_deadline=timedelta(milliseconds=50))
    async with serving(EchoServicer(forever), limits=limits) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(timeout=60)

        assert told(caught.value).reason == "DEADLINE_EXCEEDED"


async def test_a_timeout_inside_the_handler_is_not_taken_for_the_callers_deadline():
    async with serving(EchoServicer(raising(TimeoutError()))) as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(timeout=None)

        assert told(caught.value).reason == "INTERNAL"


async def test_bytes_that_are_no_such_message_are_refused_with_a_reason_in_every_arity():
    async with serving() as rig:
        for malformed in (b"\xff\xff\xff", b"\x0a\x02\xc3\x28", b"\x0a\x7f"):
            refusals = [told(outcome) for outcome in await rig.all_four(malformed)]

            assert [(refusal.code, refusal.reason) for refusal in refusals] == [
                (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_MALFORMED")
            ] * 4


async def test_a_request_over_the_limit_is_refused_with_a_reason_and_one_far_over_by_the_transport():
    async with serving() as rig:
        over = [told(outcome) for outcome in await rig.all_four(b"\x22" + bytes(1024 * 1024))]
        far_over = [outcome.code() for outcome in await rig.all_four(bytes(5 * 1024 * 1024))]

        assert [(refusal.code, refusal.reason) for refusal in over] == [
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
        ] * 4
        assert far_over == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 4
        assert (await rig.say()).word == "hello"


async def test_oversized_metadata_ends_the_call_and_not_the_server():
    async with serving() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(metadata=(*bearer(), ("x-filler", "x" * 20_000)))

        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await rig.say()).word == "hello"


async def test_each_message_of_a_stream_is_checked():
    async with serving() as rig:
        for call in (rig.gather, rig.talk):
            error = await outcome_of(call(iter([a_request(), a_request(word="bell\x07")])))

            assert (told(error).reason, told(error).fields) == ("FIELD_INVALID", ["word"])


@pytest.mark.parametrize(
    ("request_id", "reason"), [("", "REQUEST_ID_REQUIRED"), ("42", "REQUEST_ID_INVALID")]
)
async def test_a_mutation_needs_a_uuid(request_id, reason):
    async with serving() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(a_request(request_id=request_id))

        refused = told(caught.value)
        assert (refused.code, refused.reason, refused.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            reason,
            ["request_id"],
        )


async def test_every_call_is_counted_with_its_code():
    async with serving() as rig:
        await rig.say()
        await rig.all_four(a_request(), metadata=())

        def handled(method, code):
            return rig.telemetry.registry.get_sample_value(
                "grpc_server_handled_total",
                {"grpc_service": SERVICE, "grpc_method": method, "grpc_code": code},
            )

        assert handled("Say", "OK") == 1
        counted = {method: handled(method, "UNAUTHENTICATED") for method in rig.attempts}
        assert set(counted) == {"Say", "Tell", "Gather", "Talk"}
        # Of an attempt whose outcome the client made up the server may not have heard.
        assert all(1 <= counted[method] <= tried for method, tried in rig.attempts.items())
