# ruff: noqa: N802, ARG002 -- gRPC chooses the names and the arguments of a servicer
"""Too much is refused at once, and the end of a process fails nobody who could be finished."""

import asyncio
from datetime import timedelta

import grpc
import pytest

from smarketing.server.admission import AdmissionLimits
from smarketing.server.bootstrap import BackgroundTask, TaskEnded, serve
from smarketing.server.draining import server_draining
from smarketing.server.methods import CallLimits
from smarketing.sql import StorageFault, StorageFull, StorageUnavailable
from tests.contract.server.echo import (
    EchoResponse,
    EchoServicer,
    a_request,
    bearer,
    pushback_milliseconds,
    serving,
    told,
)

pytestmark = pytest.mark.usefixtures("each_engine")


class Gate:
    """Holds handlers back until it is opened, and says how many stand before it."""

    def __init__(self) -> None:
        self.arrivals = asyncio.Semaphore(0)
        self._open = asyncio.Event()

    async def __call__(self):
        self.arrivals.release()
        await self._open.wait()

    def open(self):
        self._open.set()


async def test_a_full_server_refuses_at_once_with_pushback_and_serves_those_inside():
    gate = Gate()
    async with serving(EchoServicer(gate), admission=AdmissionLimits(unary_in_flight=2)) as rig:
        inside = [rig.say(), rig.say()]
        for _ in inside:
            await gate.arrivals.acquire()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()
        refused = told(caught.value)
        gate.open()

        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER_BUSY")
        assert pushback_milliseconds(refused) == refused.retry_milliseconds > 0
        assert [(await call).word for call in inside] == ["hello", "hello"]
        assert (await rig.say()).word == "hello"


async def test_streams_have_a_budget_of_their_own_and_unary_calls_are_unharmed():
    limits = AdmissionLimits(streams_in_flight=2, streams_per_principal=2)
    async with serving(admission=limits) as rig:
        streams = [rig.talk(timeout=60), rig.talk(timeout=60)]
        for stream in streams:
            await stream.write(a_request("word"))
            assert (await stream.read()).word == "word"

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in rig.tell()]

        assert told(caught.value).reason == "SERVER_BUSY"
        assert (await rig.say()).word == "hello"
        for stream in streams:
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF
        assert [each.word async for each in rig.tell()] == list("hello")


async def test_one_principal_cannot_take_every_stream():
    async with serving(admission=AdmissionLimits(streams_per_principal=1)) as rig:
        stream = rig.talk(timeout=60)
        await stream.write(a_request("word"))
        await stream.read()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in rig.tell()]

        assert told(caught.value).reason == "TOO_MANY_STREAMS"
        assert [each.word async for each in rig.tell(metadata=bearer("crmcrmcrmcrm"))] == list("hello")
        stream.cancel()


async def test_a_tenant_over_its_quota_does_not_touch_another():
    limits = AdmissionLimits(tenant_calls_per_second=0.001, tenant_burst=2)
    async with serving(admission=limits) as rig:
        await rig.say()
        await rig.say()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()

        others = a_request(name="tenants/other/leads/l1")
        assert told(caught.value).reason == "TENANT_QUOTA_EXCEEDED"
        assert (await rig.say(others, metadata=bearer("otherotherot"))).word == "hello"


async def test_a_reader_that_reads_nothing_is_let_go_and_its_place_is_free_again():
    class Flood(EchoServicer):
        async def Tell(self, request, context):
            while True:
                yield EchoResponse(word="x" * 60_000)

    limits = CallLimits(stream_write=timedelta(milliseconds=50))
    async with serving(Flood(), limits=limits, admission=AdmissionLimits(streams_in_flight=1)) as rig:
        sleeper = rig.tell(timeout=60)
        await sleeper.read()
        async with asyncio.timeout(10):
            # The gauge is what an operator sees, and has no event to wait for.
            while rig.telemetry.registry.get_sample_value("grpc_server_in_flight", {"kind": "stream"}):  # noqa: ASYNC110 -- see above
                await asyncio.sleep(0.01)
        sleeper.cancel()

        assert (await rig.say()).word == "hello"


class Watching(EchoServicer):
    """Ends its streams when the server drains, as a watch does."""

    draining = None

    async def Talk(self, requests, context):
        async for request in requests:
            yield EchoResponse(word=request.word)
            await self.draining.wait()
            raise server_draining(resume_position=41)


async def test_draining_finishes_calls_ends_streams_with_a_resume_position_and_frees_the_port():
    gate, servicer = Gate(), Watching()
    servicer._during = gate
    async with serving(servicer) as rig:
        servicer.draining = rig.draining
        stream = rig.talk(timeout=60)
        await stream.write(a_request("word"))
        await stream.read()
        running_call = rig.say()
        await gate.arrivals.acquire()

        drained = asyncio.create_task(rig.running.drain())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        gate.open()

        assert (await running_call).word == "hello"
        async with asyncio.timeout(5):
            await drained
        ended = told(caught.value)
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert ended.metadata == {"resume_position": "41"}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await rig.say(timeout=1)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_draining_server_takes_no_new_stream():
    async with serving() as rig:
        rig.draining.begin()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [_ async for _ in rig.tell()]

        assert told(caught.value).reason == "SERVER_DRAINING"


async def _ready():
    return True


async def _forever():
    await asyncio.Event().wait()


async def test_the_death_of_a_background_task_ends_the_process():
    async def dies():
        raise ValueError("sweeper")

    async with serving() as rig:
        with pytest.raises(ExceptionGroup) as caught:
            await serve(rig.running, background=[BackgroundTask("sweep", dies)], ready=_ready)

        assert caught.group_contains(ValueError, match="sweeper")
        with pytest.raises(grpc.aio.AioRpcError):
            await rig.say(timeout=1)


async def test_a_background_task_that_simply_returns_ends_the_process_too():
    async def returns():
        return None

    async with serving() as rig:
        with pytest.raises(ExceptionGroup) as caught:
            await serve(rig.running, background=[BackgroundTask("sweep", returns)], ready=_ready)

        assert caught.group_contains(TaskEnded, match="sweep")


@pytest.mark.parametrize("fault", [StorageUnavailable(StorageFault.UNREACHABLE), StorageFull("no room")])
async def test_a_background_task_waits_for_storage_that_refuses_and_begins_again(monkeypatch, fault):
    monkeypatch.setattr("smarketing.server.bootstrap._STORAGE_RETRY_SECONDS", 0)
    begun, stop = [], asyncio.Event()

    async def sweeps():
        begun.append(len(begun))
        if len(begun) == 1:
            raise fault
        stop.set()
        await _forever()

    async with serving() as rig, asyncio.timeout(30):
        await serve(rig.running, background=[BackgroundTask("sweep", sweeps)], ready=_ready, stop=stop)

    assert begun == [0, 1]


async def test_asked_to_stop_it_cancels_background_tasks_after_the_last_call():
    order, gate, stop = [], Gate(), asyncio.Event()

    async def beside():
        try:
            await _forever()
        finally:
            order.append("background ended")

    async def answers():
        await gate()
        order.append("call answered")

    async with serving(EchoServicer(answers)) as rig:
        serving_until_stopped = asyncio.create_task(
            serve(rig.running, background=[BackgroundTask("beside", beside)], ready=_ready, stop=stop)
        )
        call = rig.say()
        await gate.arrivals.acquire()
        stop.set()
        await rig.draining.wait()
        gate.open()
        await serving_until_stopped

        assert (await call).word == "hello"
        assert order == ["call answered", "background ended"]
