# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""The same handlers run on either engine; what is particular to one of them is said here."""

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from smarketing.config import ConfigInvalid, read_config
from smarketing.server.admission import AdmissionLimits
from smarketing.server.listening import StartRefused, listen, new_server
from smarketing.server.methods import CallLimits
from smarketing.server.settings import GrpcEngine, ServerConfig
from tests.builders.engines import ENGINE_VARIABLE
from tests.contract.server.echo import (
    MINA,
    ROOM,
    SERVICE,
    EchoResponse,
    EchoServicer,
    a_request,
    bearer,
    outcome_of,
    serving,
    told,
)

NATIVE = ServerConfig(grpc_engine=GrpcEngine.NATIVE)
IN_FLIGHT = 64


async def streams_in_flight(rig, count):
    async with asyncio.timeout(10):
        # The gauge is what an operator sees, and has no event to wait for.
        while rig.telemetry.registry.get_sample_value("grpc_server_in_flight", {"kind": "stream"}) != count:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("each_engine")
async def test_a_server_that_stops_loses_no_answer_of_a_call_it_began():
    for _ in range(10):
        begun, go = asyncio.Semaphore(0), asyncio.Event()

        async def during(begun=begun, go=go):
            begun.release()
            await go.wait()

        async with serving(EchoServicer(during)) as rig:
            calls = [asyncio.ensure_future(outcome_of(rig.say(timeout=20))) for _ in range(IN_FLIGHT)]
            for _ in calls:
                await begun.acquire()
            drained = asyncio.create_task(rig.running.drain())
            await rig.draining.wait()
            go.set()

            assert await asyncio.gather(*calls) == ["hello"] * IN_FLIGHT
            await drained


@pytest.mark.usefixtures("each_engine")
async def test_calls_given_up_before_they_began_leave_nothing_behind():
    async with serving() as rig:
        calls = [rig.say() for _ in range(IN_FLIGHT)]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

        assert (await rig.say()).word == "hello"
        assert not getattr(rig.running._server, "_calls", None)
        # Nothing is left for the drain to wait for.
        async with asyncio.timeout(5):
            await rig.running.drain()
        assert rig.telemetry.registry.get_sample_value("grpc_server_in_flight", {"kind": "unary"}) == 0


@pytest.mark.usefixtures("each_engine")
async def test_an_answer_larger_than_the_limit_is_a_status_and_not_a_silence():
    class Verbose(EchoServicer):
        async def Say(self, request, context):
            return EchoResponse(word="x" * 5_000_000)

        async def Tell(self, request, context):
            yield EchoResponse(word="x" * 5_000_000)

    unlimited = [("grpc.max_receive_message_length", -1)]
    async with (
        serving(Verbose()) as rig,
        grpc.aio.insecure_channel(f"127.0.0.1:{rig.running.port}", options=unlimited) as channel,
    ):
        willing = replace(rig, channel=channel)
        for call in (willing.say(), willing.tell()):
            assert (await outcome_of(call)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.usefixtures("each_engine")
async def test_a_method_that_nobody_serves_is_unimplemented():
    async with serving() as rig:
        for path in (f"/{SERVICE}/Sing", "/elsewhere.v1.Service/Do"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rig.channel.unary_unary(path)(b"", metadata=MINA, timeout=5)

            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("kilobytes", [20, 60])
async def test_metadata_that_is_too_much_gets_a_status_from_the_native_engine_too(kilobytes):
    # With one place, so that it must be free again.
    async with serving(config=NATIVE, admission=AdmissionLimits(unary_in_flight=1)) as rig:
        refused = await outcome_of(rig.say(metadata=(*bearer(), ("x-filler", "x" * kilobytes * 1000))))

        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await rig.say()).word == "hello"


async def test_readers_that_sleep_hold_no_threads_of_the_native_engine():
    class Flood(EchoServicer):
        async def Tell(self, request, context):
            while True:
                yield EchoResponse(word="x" * 60_000)

    limits = CallLimits(stream_write=timedelta(milliseconds=300))
    admission = AdmissionLimits(streams_per_principal=40)
    async with serving(Flood(), limits=limits, admission=admission, config=NATIVE) as rig:
        await rig.say()
        threads = threading.active_count()
        sleepers = [rig.tell(timeout=60) for _ in range(40)]
        await streams_in_flight(rig, 40)

        assert (await rig.say()).word == "hello"
        assert threading.active_count() == threads
        await streams_in_flight(rig, 0)
        for sleeper in sleepers:
            assert told(await outcome_of(sleeper)).reason == "READER_TOO_SLOW"


async def test_while_it_drains_the_native_engine_refuses_new_calls_with_a_reason():
    begun, go = asyncio.Event(), asyncio.Event()

    async def during():
        begun.set()
        await go.wait()

    async with serving(EchoServicer(during), config=NATIVE) as rig:
        running = asyncio.ensure_future(outcome_of(rig.say()))
        await begun.wait()
        drained = asyncio.create_task(rig.running.drain())
        await rig.draining.wait()
        refused = await outcome_of(rig.say())
        go.set()

        assert (told(refused).code, told(refused).reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "SERVER_DRAINING",
        )
        assert await running == "hello"
        await drained


async def test_the_native_engine_turns_calls_away_while_the_event_loop_has_no_time():
    refused = []

    def call_from_elsewhere(port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            say = channel.unary_unary(f"/{SERVICE}/Say")
            with pytest.raises(grpc.RpcError) as caught:
                say(b"", metadata=MINA, timeout=10)
            refused.append(caught.value)

    class Busy(EchoServicer):
        async def Say(self, request, context):
            if not refused:
                # The loop stands still until the other call is answered.
                other = threading.Thread(target=call_from_elsewhere, args=[rig.running.port])
                other.start()
                other.join()
            return EchoResponse(word=request.word)

    async with serving(Busy(), admission=AdmissionLimits(unary_in_flight=1), config=NATIVE) as rig:
        assert (await rig.say(timeout=30)).word == "hello"
        assert (await rig.say()).word == "hello"

        assert (told(refused[0]).code, told(refused[0]).reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "SERVER_BUSY",
        )
        assert told(refused[0]).retry_milliseconds > 0
        value = rig.telemetry.registry.get_sample_value
        labels = {"grpc_service": SERVICE, "grpc_method": "Say", "grpc_code": "RESOURCE_EXHAUSTED"}
        assert value("grpc_server_handled_total", labels) == 1
        assert value("smarketing_server_rejected_total", {"reason": "concurrency"}) == 1


async def test_calls_of_one_connection_that_wait_leave_the_native_engine_room_for_others():
    answers = []

    def call_from_elsewhere(port):
        with (
            grpc.insecure_channel(
                f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
            ) as one,
            grpc.insecure_channel(
                f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
            ) as other,
        ):
            saying = [channel.unary_unary(f"/{SERVICE}/Say") for channel in (one, other)]
            # Of the 39 places that are left half of all are for one connection; the rest is the other's.
            mine = [saying[0].future(raw, metadata=MINA, timeout=20) for _ in range(21)]
            refused = next(call for call in wait_for_one(mine) if call.done())
            theirs = [saying[1].future(raw, metadata=MINA, timeout=20) for _ in range(20)]
            full = next(call for call in wait_for_one(theirs) if call.done())
            answers.extend([refused.code(), full.code()])
            go.set()
            answers.extend(Counter(call.code() for call in calls) for calls in (mine, theirs))

    raw = a_request().SerializeToString()
    go = threading.Event()

    class Busy(EchoServicer):
        async def Say(self, request, context):
            if not go.is_set():
                # The loop stands still until the others have found out.
                elsewhere.start()
                go.wait(20)
            return EchoResponse(word=request.word)

    async with serving(Busy(), admission=AdmissionLimits(unary_in_flight=40), config=NATIVE) as rig:
        elsewhere = threading.Thread(target=call_from_elsewhere, args=[rig.running.port])
        assert (await rig.say(timeout=30)).word == "hello"
        await asyncio.to_thread(elsewhere.join)

    ok, exhausted = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answers == [exhausted, exhausted, {ok: 20, exhausted: 1}, {ok: 19, exhausted: 1}]


def wait_for_one(calls):
    """Return the calls once one of them is done."""
    done = threading.Event()
    for call in calls:
        call.add_done_callback(lambda _: done.set())
    assert done.wait(20)
    return calls


async def test_the_native_engine_takes_its_folder_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with serving(config=NATIVE) as rig:
        assert (await rig.say()).word == "hello"
        [folder] = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0

    assert list(tmp_path.iterdir()) == []


async def test_a_taken_port_is_not_shared_by_the_native_engine():
    async with serving(config=NATIVE) as rig:
        for engine in GrpcEngine:
            with pytest.raises(StartRefused, match="taken"):
                listen(
                    new_server(ServerConfig(grpc_engine=engine), ROOM), f"127.0.0.1:{rig.running.port}", None
                )


def test_the_native_engine_is_refused_with_tls_in_one_sentence():
    environ = {
        ENGINE_VARIABLE: "native",
        "SMARKETING_TLS_CERTIFICATE": "server.pem",
        "SMARKETING_TLS_KEY": "server.key",
    }
    with pytest.raises(ConfigInvalid, match="SMARKETING_GRPC_ENGINE is native, which has no TLS: set it"):
        read_config(ServerConfig, {**environ, "SMARKETING_LISTEN": "0.0.0.0:7001"})


async def test_the_native_engine_is_refused_where_others_can_reach_it():
    with pytest.raises(StartRefused, match="configure TLS"):
        listen(new_server(ServerConfig(grpc_engine=GrpcEngine.NATIVE), ROOM), "0.0.0.0:0", None)


def test_a_native_engine_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "smarketing.server.native", raising=False)
    monkeypatch.setitem(sys.modules, "pygrpc_native", None)
    with pytest.raises(StartRefused, match=r"install smarketing\[native\], or set it to grpcio"):
        new_server(ServerConfig(grpc_engine=GrpcEngine.NATIVE), ROOM)


async def test_a_unix_socket_is_served_by_the_native_engine(tmp_path: Path):
    address = f"unix:{tmp_path}/leads.sock"
    async with (
        serving(config=ServerConfig(listen=address, grpc_engine=GrpcEngine.NATIVE)) as rig,
        grpc.aio.insecure_channel(address) as channel,
    ):
        assert (await replace(rig, channel=channel).say()).word == "hello"
