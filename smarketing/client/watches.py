"""Streams from a service that go on for days: each continues behind the last response it brought."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TypeVar

import grpc

from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.eventlog.v1.eventlog_pb2_grpc import EventLogServiceStub
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.client.connection import Connection
from smarketing.client.errors import CallError, UnavailableError, error_of
from smarketing.client.retries import Patience

__all__ = ["follow_events", "follow_offers"]

Q = TypeVar("Q")
A = TypeVar("A")

# The server sends a bookmark every 5 s when it has nothing else to say.
_SILENCE_SECONDS = 30.0


async def follow_offers(
    connection: Connection,
    method: grpc.aio.UnaryStreamMultiCallable[leadspb.WatchOffersRequest, leadspb.WatchOffersResponse],
    request: leadspb.WatchOffersRequest,
    patience_limit: timedelta | None,
) -> AsyncGenerator[leadspb.WatchOffersResponse, None]:
    """Yield responses for as long as the caller wants, over as many streams as it takes."""
    watch = leadspb.WatchOffersRequest()
    watch.CopyFrom(request)
    patience = Patience(connection.retries, patience_limit)
    while True:
        call = method(watch, metadata=connection.metadata)
        try:
            async with aclosing(_received(call, silence_seconds=None)) as responses:
                async for response in responses:
                    patience.progressed()
                    yield response
                    watch.resume_token = response.resume_token
        except CallError as error:
            if error.reason == "RESUME_TOKEN_INVALID" and watch.resume_token != request.resume_token:
                # The server knows it no more. A watch begun anew brings every open offer: nothing is missed.
                watch.resume_token = ""
                continue
            await patience.rest(error)


async def follow_events(
    connection: Connection,
    start: eventlogpb.WatchStart,
    patience_limit: timedelta | None,
) -> AsyncGenerator[eventlogpb.WatchEventsResponse, None]:
    """Yield responses behind `start`, contiguous and each event once, over as many streams as it takes."""
    watch = eventlogpb.WatchStart()
    watch.CopyFrom(start)
    patience = Patience(connection.retries, patience_limit)
    stub = EventLogServiceStub(connection.channel)
    while True:
        call = stub.WatchEvents(metadata=connection.metadata)
        try:
            with suppress(asyncio.InvalidStateError):
                await call.write(eventlogpb.WatchEventsRequest(start=watch))
            granted = 0
            async with aclosing(_received(call, silence_seconds=_SILENCE_SECONDS)) as responses:
                async for response in responses:
                    patience.progressed()
                    yield _behind(response, watch.after_position)
                    if response.events:
                        watch.after_position = response.events[-1].position
                    watch.log_id = response.log_id
                    granted += len(response.events)
                    if granted * 2 >= watch.credit:
                        granted = await _granted(call, granted)
        except CallError as error:
            await patience.rest(error)
        except grpc.aio.AioRpcError as error:
            await patience.rest(error_of(error))
        finally:
            call.cancel()


async def _granted(
    call: grpc.aio.StreamStreamCall[eventlogpb.WatchEventsRequest, eventlogpb.WatchEventsResponse],
    credit: int,
) -> int:
    """Grant more credit, and return what is left to grant."""
    # A stream that has ended takes no credit; the next response to read says how it ended.
    with suppress(asyncio.InvalidStateError):
        await call.write(eventlogpb.WatchEventsRequest(credit=credit))
    return 0


def _behind(response: eventlogpb.WatchEventsResponse, position: int) -> eventlogpb.WatchEventsResponse:
    if not response.events:
        return response
    first = response.events[0].position
    if first != position + 1:
        raise UnavailableError(
            grpc.StatusCode.UNAVAILABLE, "", f"The log went on at {first} where {position + 1} was next."
        )
    return response


async def _received(
    call: grpc.aio.UnaryStreamCall[Q, A] | grpc.aio.StreamStreamCall[Q, A],
    silence_seconds: float | None,
) -> AsyncGenerator[A, None]:
    """Yield what `call` brings.

    Raises:
        CallError: when it ends, in whatever way: these streams have no end of their own.
    """
    responses = aiter(call)
    try:
        while True:
            try:
                response = await asyncio.wait_for(anext(responses), silence_seconds)
            except StopAsyncIteration:
                raise _ended() from None
            except TimeoutError:
                raise UnavailableError(
                    grpc.StatusCode.UNAVAILABLE, "", f"Nothing was heard for {silence_seconds:g} s."
                ) from None
            except grpc.aio.AioRpcError as error:
                raise error_of(error) from None
            yield response
    finally:
        call.cancel()


def _ended() -> CallError:
    return UnavailableError(grpc.StatusCode.UNAVAILABLE, "", "The service ended the stream.")
