"""Rules of `ReadEvents` and `WatchEvents` over a real server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from tests.contract.bus.served_log import LOG_ID, OTHER_LOG_ID, ServedLog

pytestmark = pytest.mark.timeout(30)


class Watching:
    """One `WatchEvents` call, driven by a test."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call: Any = EventLogServiceStub(channel).WatchEvents()

    async def start(self, *, credit: int, after: int = 0, log_id: str = "", view: str = "tenants/-") -> None:
        """Send the first request."""
        start = eventlogpb.WatchStart(parent=view, log_id=log_id, after_position=after, credit=credit)
        await self._call.write(eventlogpb.WatchEventsRequest(start=start))

    async def grant(self, credit: int) -> None:
        """Send more credit."""
        await self._call.write(eventlogpb.WatchEventsRequest(credit=credit))

    async def done_writing(self) -> None:
        """Close the request side."""
        await self._call.done_writing()

    async def next(self) -> eventlogpb.WatchEventsResponse:
        """Return the next response."""
        response = await self._call.read()
        assert response is not grpc.aio.EOF
        assert isinstance(response, eventlogpb.WatchEventsResponse)
        return response

    async def contents(self, count: int) -> list[str]:
        """Return the contents of the next events, as many as asked for at least."""
        found: list[str] = []
        while len(found) < count:
            events = (await self.next()).events
            found += [StringValue.FromString(event.payload.value).value for event in events]
        return found

    async def ended(self) -> tuple[grpc.StatusCode, str, dict[str, str]]:
        """Read to the end and return code, reason and metadata."""
        try:
            while await self._call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return refusal(error)
        return await self._call.code(), "", {}

    def cancel(self) -> None:
        """Hang up."""
        self._call.cancel()


def refusal(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    status = rpc_status.from_call(error)
    info = ErrorInfo()
    assert status is not None
    status.details[0].Unpack(info)
    return error.code(), info.reason, dict(info.metadata)


@pytest.fixture
async def watching(channel: grpc.aio.Channel) -> AsyncIterator[Watching]:
    watching = Watching(channel)
    yield watching
    watching.cancel()


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return EventLogServiceStub(channel)


async def test_a_read_returns_the_events_behind_a_position(log: ServedLog, stub: Any) -> None:
    await log.record("a", "b", "c")

    response = await stub.ReadEvents(eventlogpb.ReadEventsRequest(parent="tenants/-", after_position=1))

    assert [event.position for event in response.events] == [2, 3]
    assert (response.log_id, response.head_position) == (LOG_ID, 3)


async def test_a_read_at_the_head_answers_at_once_with_nothing(log: ServedLog, stub: Any) -> None:
    await log.record("a")

    response = await stub.ReadEvents(eventlogpb.ReadEventsRequest(parent="tenants/-", after_position=1))

    assert response == eventlogpb.ReadEventsResponse(log_id=LOG_ID, head_position=1)


async def test_a_tenants_view_holds_its_own_events_alone(log: ServedLog, stub: Any) -> None:
    await log.record("mine")
    await log.record("theirs", tenant="other")

    response = await stub.ReadEvents(eventlogpb.ReadEventsRequest(parent="tenants/acme"))

    assert [(event.tenant, event.position) for event in response.events] == [("tenants/acme", 1)]
    assert response.log_id != LOG_ID


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (eventlogpb.ReadEventsRequest(parent="", after_position=0), "parent"),
        (eventlogpb.ReadEventsRequest(parent="tenants/a/leads/b"), "parent"),
        (eventlogpb.ReadEventsRequest(parent="tenants/-", after_position=-1), "after_position"),
        (eventlogpb.ReadEventsRequest(parent="tenants/-", limit=-1), "limit"),
    ],
)
async def test_a_senseless_read_is_refused_by_field(
    request_: eventlogpb.ReadEventsRequest, field: str, stub: Any
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.ReadEvents(request_)

    code, _, metadata = refusal(error.value)
    assert (code, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_damaged_event_is_sent_to_nobody_and_its_place_is_told(
    log: ServedLog, stub: Any, watching: Watching
) -> None:
    await log.record("a", "b", "c")
    with log.database.writer_engine.begin() as connection:
        # The text within the payload becomes a "c": nothing else tells it from one that was recorded.
        connection.exec_driver_sql("UPDATE event_log SET payload = X'0a0163' WHERE position = 2")

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.ReadEvents(eventlogpb.ReadEventsRequest(parent="tenants/-"))
    await watching.start(credit=10)

    told = (grpc.StatusCode.DATA_LOSS, "EVENT_DAMAGED", {"position": "2"})
    assert (refusal(error.value), await watching.ended()) == (told, told)


@pytest.mark.parametrize(("log_id", "after"), [(OTHER_LOG_ID, 0), ("", 2), (LOG_ID, 2)])
async def test_a_reader_who_knows_more_than_the_log_is_told_that_it_regressed(
    log_id: str, after: int, log: ServedLog, stub: Any, watching: Watching
) -> None:
    await log.record("a")

    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.ReadEvents(
            eventlogpb.ReadEventsRequest(parent="tenants/-", log_id=log_id, after_position=after)
        )
    await watching.start(credit=10, after=after, log_id=log_id)

    expected = (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LOG_REGRESSED",
        {"log_id": LOG_ID, "head_position": "1", "wanted_log_id": log_id, "wanted_position": str(after)},
    )
    assert refusal(error.value) == expected
    assert await watching.ended() == expected


async def test_a_watch_sends_what_is_there_and_then_what_comes(log: ServedLog, watching: Watching) -> None:
    await log.record("a", "b")
    await watching.start(credit=100, after=1)

    assert await watching.contents(1) == ["b"]
    await log.record("c")
    assert await watching.contents(1) == ["c"]


async def test_a_watch_sends_no_more_than_its_credit(log: ServedLog, watching: Watching) -> None:
    await log.record(*"abcdefgh")
    await watching.start(credit=3)

    first = await watching.contents(3)
    await watching.grant(2)
    second = await watching.contents(2)

    assert (first, second) == (["a", "b", "c"], ["d", "e"])


async def test_an_idle_watch_gets_bookmarks(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, bookmark_seconds=0.05)
    await log.start()
    await log.record("a")
    async with log.channel() as channel:
        watching = Watching(channel)
        await watching.start(credit=10, after=1, log_id=LOG_ID)

        bookmarks = [await watching.next() for _ in range(3)]

        assert bookmarks == [eventlogpb.WatchEventsResponse(log_id=LOG_ID, head_position=1)] * 3
        watching.cancel()
    await log.close()


async def test_a_commit_wakes_the_watch_long_before_it_would_look_by_itself(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, bookmark_seconds=3600)
    await log.start()
    async with log.channel() as channel:
        watching = Watching(channel)
        await watching.start(credit=10)
        await watching.next()  # the first bookmark: the watch is asleep now

        for content in ("a", "b"):
            await log.record(content)
            async with asyncio.timeout(10):
                assert await watching.contents(1) == [content]
        watching.cancel()
    await log.close()


async def test_a_watch_without_credit_left_still_learns_of_the_head(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, bookmark_seconds=0.05)
    await log.start()
    async with log.channel() as channel:
        watching = Watching(channel)
        await watching.start(credit=1)
        await log.record("a", "b", "c")
        while not (response := await watching.next()).events:
            pass

        while (response := await watching.next()).head_position < 3:
            pass

        assert not response.events
        watching.cancel()
    await log.close()


async def test_events_of_a_watch_follow_one_another_under_many_writers(
    log: ServedLog, watching: Watching
) -> None:
    await watching.start(credit=10_000)

    async def write(number: int) -> None:
        for turn in range(20):
            await log.record(f"{number}-{turn}")

    writing = asyncio.gather(*(write(number) for number in range(10)))
    positions: list[int] = []
    while len(positions) < 200:
        positions += [event.position for event in (await watching.next()).events]
    await writing

    assert positions == list(range(1, 201))


async def test_a_draining_server_ends_watches_with_the_place_to_resume(
    log: ServedLog, watching: Watching
) -> None:
    await log.record("a", "b")
    await watching.start(credit=10)
    await watching.contents(2)

    log.draining.begin()

    expected = (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", {"resume_position": "2"})
    assert await watching.ended() == expected


async def test_a_reader_that_does_not_read_is_let_go_with_the_place_to_resume(
    tmp_path: Path,
) -> None:
    log = ServedLog(tmp_path)
    log.write_seconds = 0.2
    await log.start()
    for _ in range(10):
        await log.record(*("x" * 200_000 for _ in range(10)))
    async with log.channel() as channel:
        watching = Watching(channel)
        await watching.start(credit=1000)
        async with asyncio.timeout(20):
            await log.servicer.refused.wait()
        # Until here nothing was read: from now on the client reads what was on its way, and then the end.
        code, reason, metadata = await watching.ended()

        assert not log.servicer._watches
        assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "READER_TOO_SLOW")
        assert 0 < int(metadata["resume_position"]) < 100
    await log.close()


async def test_a_reader_that_half_closes_ends_the_watch(log: ServedLog, watching: Watching) -> None:
    await log.record("a")
    await watching.start(credit=1)
    await watching.contents(1)

    await watching.done_writing()

    assert await watching.ended() == (grpc.StatusCode.OK, "", {})


@pytest.mark.parametrize("credit", [0, -1, 100_001])
async def test_credit_out_of_bounds_is_refused(credit: int, watching: Watching) -> None:
    await watching.start(credit=credit)

    code, _, metadata = await watching.ended()
    assert (code, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "credit")


async def test_wrong_later_credit_ends_the_watch_with_its_refusal(watching: Watching) -> None:
    await watching.start(credit=1)
    await watching.next()
    await watching.grant(-5)

    code, _, metadata = await watching.ended()
    assert (code, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "credit")


async def test_a_watch_begins_with_start_and_has_one(watching: Watching, channel: grpc.aio.Channel) -> None:
    other = Watching(channel)
    await watching.grant(5)
    await other.start(credit=1)
    await other.next()
    await other.start(credit=1)

    for call in (watching, other):
        code, _, metadata = await call.ended()
        assert (code, metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "start")


async def test_nothing_of_a_watch_stays_behind_when_its_reader_hangs_up(
    log: ServedLog, watching: Watching
) -> None:
    await watching.start(credit=5)
    await watching.next()
    assert len(log.servicer._watches) == 1

    watching.cancel()

    async with asyncio.timeout(10):
        while log.servicer._watches:  # noqa: ASYNC110 -- the server's own state
            await asyncio.sleep(0.01)
